//! Patterns against what Go's regexp does with them.

use super::*;

#[test]
fn patterns_mean_what_go_means() {
    for (pattern, text, expected) in [
        (r"^\d+$", "123", true),
        (r"^\d+$", "١٢", false),
        (r"^\w+$", "aZ_9", true),
        (r"^\w+$", "é", false),
        (r"^\W+$", "é-", true),
        (r"^\s$", "\u{a0}", false),
        (r"^\s$", "\u{b}", false),
        (r"\bfoo\b", "a foo b", true),
        (r"\bfoo\b", "éfooé", true),
        (r"a\Bb", "ab", true),
        (r"^[\d\-x]+$", "1-x", true),
        (r"^[^\W]+$", "ab", true),
        (r"^[[]$", "[", true),
        (r"^[a&&b]+$", "&ab", true),
        (r"^[]a]+$", "]a", true),
        (r"^[^]a]+$", "b", true),
        (r"^[+--]+$", "+,-", true),
        (r"^[a-]+$", "a-", true),
        (r"^[a~~b]+$", "~", true),
        (r"^a{$", "a{", true),
        (r"^{foo}$", "{foo}", true),
        (r"^a{,2}$", "a{,2}", true),
        (r"^a{2,3}$", "aaa", true),
        (r"^a{2}?$", "aa", true),
        (r"^\Qa.b*\E+$", "a.b**", true),
        (r"^\101\x42\x{43}$", "ABC", true),
        (r"^\<b\>$", "<b>", true),
        (r"^\-\/\:$", "-/:", true),
        (r"^\pL\PL\p{Greek}$", "a1α", true),
        (r"^\p{^Greek}$", "a", true),
        (r"(?i)^ERROR$", "error", true),
        (r"^(?i:a)b$", "Ab", true),
        (r"^(?i:a)b$", "AB", false),
        (r"(?s)^a.b$", "a\nb", true),
        (r"^a.b$", "a\nb", false),
        (r"(?m)^b$", "a\nb", true),
        (r"^b$", "a\nb", false),
        (r"^[[:alpha:]]+$", "aé", false),
        (r"^[[:^alpha:]]+$", "12", true),
        (r"^\A\z$", "", true),
        ("a||b", "", true),
        ("()", "x", true),
        ("(|a)*", "aa", true),
        ("^#x y$", "#x y", true),
        (r"^\.$", ".", true),
        (r"^]}$", "]}", true),
    ] {
        let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert_eq!(regex.is_match(text), expected, "{pattern} on {text:?}");
    }
}

#[test]
fn refusals_are_gos() {
    for (pattern, error) in [
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(+)", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("[a", "missing closing ]: `[a`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        (r"\u1234", r"invalid escape sequence: `\u`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?P<n)", "invalid named capture: `(?P<n)`"),
        ("(?P<a-b>x)", "invalid named capture: `(?P<a-b>`"),
        ("((a{100}){100}){100}", "expression too large: `((a{100}){100}){100}`"),
    ] {
        let shown = Regex::new(pattern).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        assert_eq!(shown, format!("error parsing regexp: {error}"), "{pattern}");
    }
    assert!(Regex::new(&"(".repeat(100_000)).is_err());
    assert!(Regex::new(&format!("{}{}", "(".repeat(5000), ")".repeat(5000))).is_err());
}

#[test]
fn groups_are_found_and_expanded() {
    let regex = Regex::new(r"(?P<host>\w+):(?<port>\d+)(x)?").unwrap();
    let captures = regex.captures("at node1:9100 now").unwrap();
    assert_eq!(
        (captures.get(0), captures.name("host"), captures.get(2)),
        (Some("node1:9100"), Some("node1"), Some("9100"))
    );
    assert_eq!(
        (captures.get(3), captures.get(9), captures.name("x"), captures.range()),
        (None, None, None, 3..13)
    );
    assert_eq!(regex.group_names().flatten().collect::<Vec<_>>(), ["host", "port"]);
    for (template, expected) in [
        ("$host", "node1"),
        ("${host}x", "node1x"),
        ("$hostx", ""),
        ("$1-$2", "node1-9100"),
        ("${1}0", "node10"),
        ("$10", ""),
        ("$$1", "$1"),
        ("$", "$"),
        ("${host", "${host"),
        ("a$-b", "a$-b"),
        ("$0", "node1:9100"),
        ("$3", ""),
        ("$01", ""),
    ] {
        assert_eq!(regex.replace_all("node1:9100", template), expected, "{template}");
    }
    assert_eq!(Regex::new("a*").unwrap().replace_all("baac", "-"), "-b-c-");
    assert_eq!(regex.replace_all_literal("a:1 b:2", "$1"), "$1 $1");
}
