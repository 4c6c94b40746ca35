//! Matchers on values, and what they tell about them.

use proptest::prelude::*;

use super::*;

fn compile(op: MatchOp, value: &str) -> CompiledMatcher {
    CompiledMatcher::new(Matcher::new("l", op, value)).expect(value)
}

#[test]
fn matchers_are_anchored_and_see_missing_as_empty() {
    let regex = compile(MatchOp::Regex, "a.c|b");
    assert!(regex.matches("abc") && regex.matches("a\nc") && regex.matches("b"));
    assert!(!regex.matches("xabc") && !regex.matches("bb") && !regex.matches_empty());
    assert!(compile(MatchOp::NotEqual, "x").matches_empty() && compile(MatchOp::Regex, ".*").matches_empty());
    assert!(CompiledMatcher::new(Matcher::new("l", MatchOp::Regex, "a)(b")).is_err());
}

#[test]
fn literals_are_found_only_where_they_are_certain() {
    for (pattern, values) in [
        ("a|b", Some(vec!["a", "b"])),
        ("(a|b)", Some(vec!["a", "b"])),
        ("a|", Some(vec!["a", ""])),
        ("foo|foobar|b.", None),
        ("api-(get|put)s?", Some(vec!["api-gets", "api-get", "api-puts", "api-put"])),
        ("a[12]", Some(vec!["a1", "a2"])),
        ("a\\.b", Some(vec!["a.b"])),
        ("a.|b", None),
        ("(?i)a", Some(vec!["A", "a"])),
        ("^a$", None),
    ] {
        assert_eq!(compile(MatchOp::Regex, pattern).literal_values(), values, "{pattern}");
    }
    assert_eq!(compile(MatchOp::NotRegex, "a|b").excluded_values(), Some(vec!["a", "b"]));
    for (pattern, prefix) in [
        ("api-.*", "api-"),
        ("apis?", "api"),
        ("a|b", ""),
        ("foo-a.*|foo-b.*", "foo-"),
        ("(?i)api", ""),
        ("ab{0,1}", "a"),
        ("a+", "a"),
        ("^api.*", "api"),
        ("(api|apx)y", "ap"),
    ] {
        assert_eq!(compile(MatchOp::Regex, pattern).literal_prefix(), prefix, "{pattern}");
    }
    for (pattern, required) in [
        (".*foo.*", Some(vec!["foo"])),
        (".*(foo|bar).+", Some(vec!["foo", "bar"])),
        ("a.*bcd.*e", Some(vec!["bcd"])),
        ("x?.*", None),
        ("(foo.*|b.*)", Some(vec!["foo", "b"])),
        ("(foo.*|.*)", None),
        ("(ab)+", Some(vec!["ab"])),
    ] {
        let matcher = compile(MatchOp::Regex, pattern);
        let found =
            matcher.required_literals().map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found, required, "{pattern}");
    }
}

#[test]
fn plans_are_taken_where_they_fit() {
    for (pattern, plan) in [
        (".*", "Any"),
        ("(.*)", "Any"),
        (".*.*", "Any"),
        (".+", "NonEmpty"),
        (".*.+", "NonEmpty"),
        ("foo", "OneOf"),
        ("a|b|c|dd|e|f|g|hh|i|j", "Among"),
        ("foo.*", "Around"),
        (".*foo", "Around"),
        ("foo.+bar", "Around"),
        (".*foo.*", "Contains"),
        ("(foo|bar).*", "Regex"),
        (".*foo.+", "Regex"),
        ("(?-s)foo.*", "Regex"),
        ("[0-9]+", "Regex"),
    ] {
        let compiled = compile(MatchOp::Regex, pattern).regex.expect("a pattern");
        let shown = format!("{:?}", compiled.plan);
        assert!(shown.starts_with(plan), "{pattern}: {shown}");
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a",
        "b",
        "foo",
        ".*",
        ".+",
        ".",
        "a?",
        "b*",
        "(a|b)",
        "(foo|bar|)",
        "[ab]",
        "x{2}",
        "|",
        "(?:a.*)",
        "\\.",
        "é",
        "(?i:a)",
        "\n",
        "^",
        "$",
        "\\b",
        "\\d",
        "\\w+",
    ]);
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = String> {
    let piece =
        proptest::sample::select(vec!["a", "b", "A", "foo", "bar", "\n", "é", "x", "xx", ".", "1", "_", ""]);
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]
    #[test]
    fn plans_and_literals_agree_with_the_pattern(pattern in pattern(), value in value()) {
        let Ok(plain) = Regex::anchored(&pattern) else {
            return Ok(());
        };
        let matcher = compile(MatchOp::Regex, &pattern);
        let expected = plain.is_match(&value);
        prop_assert_eq!(matcher.matches(&value), expected, "{} on {:?}", pattern, value);
        if expected {
            prop_assert!(value.starts_with(matcher.literal_prefix()));
            if let Some(texts) = matcher.required_literals() {
                prop_assert!(texts.iter().any(|text| value.contains(text.as_str())), "{} {:?} {:?}", pattern, value, texts);
            }
        }
        if let Some(values) = matcher.literal_values() {
            prop_assert_eq!(values.contains(&value.as_str()), expected);
        }
        if expected && let Some(texts) = Regex::new(&pattern).ok().and_then(|free| free.required_literals()) {
            prop_assert!(texts.iter().any(|text| value.contains(text.as_str())));
        }
    }

    #[test]
    fn any_pattern_is_compiled_or_refused(pattern in "[a-c(){}\\[\\]|*+?\\\\^$.,:<>P=!0-9dswbBQEpxzA\\-imsU&~é ]{0,14}") {
        if let Ok(regex) = Regex::new(&pattern) {
            let _matched = regex.is_match("abc 123");
            let _literals = regex.required_literals();
        }
        let _anchored = CompiledMatcher::new(Matcher::new("l", MatchOp::Regex, pattern));
    }
}
