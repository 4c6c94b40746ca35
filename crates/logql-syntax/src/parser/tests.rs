//! Queries and what they print as, queries and their errors, and texts that are no queries at all.

use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert_eq, proptest};

use crate::parse;

/// Each line: a query, and after ` => ` what it prints as (the same where nothing is given).
const PRINTED: &str = r#"
{a="b"}
{a="b", c!="d", e=~"f.*", g!~"h"}
{ a = "b" ,} => {a="b"}
({a="b"} |= "x") => {a="b"} |= "x"
{a="b"} |= "x" != "y" |~ "z" !~ "w" |> "<_> p" !> "q"
{a="b"} |= "x" or "y" or ip("10.0.0.0/8")
{a="b"} != ip("10.0.0.1-10.0.0.9")
{a="b"} # comment => {a="b"}
{a=`raw "text"`} => {a="raw \"text\""}
{a="\x41\u00e9\101"} => {a="AéA"}
{a="b"} | json
{a="b"} | json x="y.z[0]", w="w"
{a="b"} | json x, y => {a="b"} | json x="x", y="y"
{a="b"} | JSON | LogFmt => {a="b"} | json | logfmt
{a="b"} | logfmt --strict --keep-empty x="y"
{a="b"} | regexp "(?P<x>.*)" | pattern "<y> <_>" | unpack | decolorize
{a="b"} | line_format "{{.x}}" | label_format x=y, z="{{.w}}"
{a="b"} | drop x, y="z" | keep q, r=~"s"
{a="b"} | x="y" or z=~"w" and v!="u" => {a="b"} | x="y" or z=~"w" and v!="u"
{a="b"} | x="y", z="w" q="r" => {a="b"} | x="y" and z="w" and q="r"
{a="b"} | (x="y" or z="w") and v="u"
{a="b"} | x="y" or z="w" | v="u"
{a="b"} | x > 5 and x >= 5.5 or y < -3 and y <= 1e3 and z == 1 and w != 2 => {a="b"} | x > 5 and x >= 5.5 or y < -3 and y <= 1000 and z == 1 and w != 2
{a="b"} | x = 5 => {a="b"} | x == 5
{a="b"} | x > 1.5h and y < 1d and z = 250ms => {a="b"} | x > 1h30m and y < 24h and z == 250ms
{a="b"} | x > 10KB and y <= 4MiB and z == 1.5kB => {a="b"} | x > 10KB and y <= 4MiB and z == 1500B
{a="b"} | x=ip("::1") and y != ip("10.0.0.0/8") => {a="b"} | x = ip("::1") and y != ip("10.0.0.0/8")
{a="b"} | rate="1" | sum > 2 | count="x" | duration > 3s | ip="x" | bytes > 2
rate({a="b"}[5m])
RATE({a="b"}[1h30m]) => rate({a="b"}[1h30m])
count_over_time({a="b"} |= "x" [5m] offset 1h) => count_over_time({a="b"} |= "x" [5m] offset 1h)
count_over_time({a="b"}[5m] |= "x") => count_over_time({a="b"} |= "x" [5m])
count_over_time({a="b"}[5m] offset -1m | json) => count_over_time({a="b"} | json [5m] offset -1m)
count_over_time(({a="b"} |= "x")[5m]) => count_over_time({a="b"} |= "x" [5m])
count_over_time(({a="b"} |= "x" [5m])) => count_over_time({a="b"} |= "x" [5m])
sum_over_time({a="b"} | json | unwrap x [5m])
sum_over_time(({a="b"} | json | unwrap x)[5m]) => sum_over_time({a="b"} | json | unwrap x [5m])
sum_over_time({a="b"}[5m] | json | unwrap duration(x) | x > 1) => sum_over_time({a="b"} | json | unwrap duration(x) | x > 1 [5m])
sum_over_time({a="b"} | unwrap bytes(x) | __error__="" | y="z" [5m])
rate({a="b"} | unwrap duration_seconds(rate) [5m])
quantile_over_time(0.99, {a="b"} | unwrap x [5m]) by (c, d)
avg_over_time({a="b"} | unwrap x [5m]) without (c)
absent_over_time({a="b"}[5m])
sum by (a, b) (rate({a="b"}[5m]))
sum(rate({a="b"}[5m])) by (a) => sum by (a) (rate({a="b"}[5m]))
sum without () (rate({a="b"}[5m]))
topk(3, rate({a="b"}[5m]))
topk(3, rate({a="b"}[5m])) by (x) => topk by (x) (3, rate({a="b"}[5m]))
approx_topk(3, rate({a="b"}[5m]))
sort_desc(rate({a="b"}[5m]))
vector(1) + vector(1)
vector(-1.5)
1 + 2 * 3 ^ 2 ^ 2
(1 + 2) * 3
1 - (2 - 3)
1 - 2 - 3
(2 ^ 3) ^ 2
-1 + +2 => -1 + 2
1 -2 => 1 - 2
rate({a="b"}[5m]) > bool 1
rate({a="b"}[5m]) / on (x) group_left (y) rate({a="c"}[5m])
rate({a="b"}[5m]) / ignoring (x) rate({a="c"}[5m])
rate({a="b"}[5m]) / on (x) group_right (rate({a="c"}[5m]) + 1) => rate({a="b"}[5m]) / on (x) group_right () (rate({a="c"}[5m]) + 1)
rate({a="b"}[5m]) and rate({a="c"}[5m]) or rate({a="d"}[5m]) unless rate({a="e"}[5m])
rate({a="b"}[5m]) and (rate({a="c"}[5m]) or rate({a="d"}[5m]))
label_replace(rate({a="b"}[5m]), "x", "$1", "y", "(.*)")
{by="x"}
0x1F + .5 => 31 + 0.5
"#;

/// Each line: a query, ` => `, its error.
const REFUSED: &str = r#"
 => parse error at line 1, col 1: syntax error: unexpected $end
{a="b" => parse error at line 1, col 7: syntax error: unexpected $end, expecting } or ,
{a= => parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING
{a} => parse error at line 1, col 3: syntax error: unexpected }, expecting =, !=, =~ or !~
{a="b"} "x" => parse error at line 1, col 9: syntax error: unexpected STRING
{a="b"} | => parse error at line 1, col 10: syntax error: unexpected $end
{a="b"} |= 5 => parse error at line 1, col 12: syntax error: unexpected NUMBER, expecting STRING
{a="b"} |~ ip("1.2.3.4") => parse error at line 1, col 12: ip: only |= and != can be used with it
{a="b"}[5m] => parse error at line 1, col 8: syntax error: unexpected RANGE
{a="b"} | unwrap x => parse error at line 1, col 9: syntax error: unexpected |
{a="b"} | by => parse error at line 1, col 11: syntax error: unexpected by
{a="b => parse error at line 1, col 4: literal not terminated
{a=`b => parse error at line 1, col 4: literal not terminated
{a="\q"} => parse error at line 1, col 4: invalid char escape
{a="b"} | x => parse error at line 1, col 12: syntax error: unexpected $end, expecting =, !=, =~, !~, ==, >, >=, < or <=
{a="b"} | x > "5" => parse error at line 1, col 15: syntax error: unexpected STRING, expecting NUMBER, DURATION or BYTES
{a="b"} | x > 5EB => parse error at line 1, col 15: syntax error: unexpected "5EB", expecting a number
{a="b"} | logfmt --other => parse error at line 1, col 18: syntax error: unexpected flag, expecting --strict or --keep-empty
{a="b"} | label_format x=y,x=z => parse error at line 1, col 28: multiple label name 'x' not allowed in a single format operation
{a="b"} | label_format __error__=y => parse error at line 1, col 24: __error__ cannot be formatted
{a.b="c"} => parse error at line 1, col 3: syntax error: unexpected ., expecting =, !=, =~ or !~
{a:b="c"} => parse error at line 1, col 3: syntax error: unexpected :, expecting =, !=, =~ or !~
rate({a="b"}) => parse error at line 1, col 13: syntax error: unexpected ), expecting RANGE
rate({a="b"}[5m) => parse error at line 1, col 13: missing closing ']' in duration
rate({a="b"}[5minutes]) => parse error at line 1, col 13: not a valid duration string: "5minutes"
rate({a="b"}[1.5h]) => parse error at line 1, col 13: not a valid duration string: "1.5h"
rate({a="b"}[0s]) => parse error at line 1, col 13: duration must be greater than 0
rate({a="b"}[5m][5m]) => parse error at line 1, col 17: syntax error: unexpected RANGE
rate({a="b"}[5m] offset) => parse error at line 1, col 24: syntax error: unexpected ), expecting DURATION
rate({a="b"}[5m]) by (x) => parse error at line 1, col 1: grouping not allowed for rate aggregation
sum_over_time({a="b"}|unwrap x[5m]) by (x) => parse error at line 1, col 1: grouping not allowed for sum_over_time aggregation
sum_over_time({a="b"}[5m]) => parse error at line 1, col 1: invalid aggregation sum_over_time without unwrap
count_over_time({a="b"} | unwrap x [5m]) => parse error at line 1, col 1: invalid aggregation count_over_time with unwrap
quantile_over_time({a="b"} | unwrap x [5m]) => parse error at line 1, col 1: parameter required for operation quantile_over_time
rate(0.5, {a="b"}[5m]) => parse error at line 1, col 1: parameter 0.5 not supported for operation rate
sum(3, rate({a="b"}[5m])) => parse error at line 1, col 1: unsupported parameter for operation sum(3,
topk(rate({a="b"}[5m])) => parse error at line 1, col 1: parameter required for operation topk
topk(0, rate({a="b"}[5m])) => parse error at line 1, col 1: invalid parameter (must be greater than 0) topk(0
topk(4.1, rate({a="b"}[5m])) => parse error at line 1, col 1: invalid parameter topk(4.1,
sort(rate({a="b"}[5m])) by (x) => parse error at line 1, col 1: grouping not allowed for sort aggregation
sum by (x) (rate({a="b"}[5m])) by (y) => parse error at line 1, col 32: syntax error: unexpected by
group(rate({a="b"}[5m])) => parse error at line 1, col 1: syntax error: unexpected IDENTIFIER
variants(rate({a="b"}[5m])) => parse error at line 1, col 1: syntax error: unexpected variants
abs(rate({a="b"}[5m])) => parse error at line 1, col 1: syntax error: unexpected IDENTIFIER
{a="b"} + 1 => parse error at line 1, col 9: syntax error: unexpected +
1 + {a="b"} => parse error at line 1, col 5: syntax error: unexpected {
1 or vector(1) => parse error at line 1, col 3: unexpected literal for left leg of logical/set binary operation (or)
vector(1) and 1 => parse error at line 1, col 11: unexpected literal for right leg of logical/set binary operation (and)
sum(1) => parse error at line 1, col 5: sum needs a vector, not a number
-rate({a="b"}[5m]) => parse error at line 1, col 2: syntax error: unexpected IDENTIFIER, expecting NUMBER
rate({a="b"}[5m]) @ 5 => parse error at line 1, col 19: syntax error: unexpected character '@'
max_over_time(rate({a="b"}[1m])[5m:1m]) => parse error at line 1, col 32: not a valid duration string: "5m:1m"
label_replace(rate({a="b"}[5m]), "x", "$1", "y") => parse error at line 1, col 48: syntax error: unexpected ), expecting ,
"#;

fn cases(text: &'static str) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    text.lines().skip(1).map(|line| match line.rsplit_once(" => ") {
        Some((query, expected)) => (query, Some(expected)),
        None => (line, None),
    })
}

#[test]
fn trees_print_as_text_that_parses_to_the_same_tree() {
    for (query, expected) in cases(PRINTED) {
        let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let printed = tree.to_string();
        assert_eq!(printed, expected.unwrap_or(query), "{query}");
        assert_eq!(parse(&printed).map(|tree| tree.to_string()), Ok(printed.clone()), "{query}");
        assert_eq!(parse(&tree.pretty()).map(|tree| tree.to_string()), Ok(printed), "{query}");
    }
}

#[test]
fn errors_name_the_place() {
    for (query, expected) in cases(REFUSED) {
        let error = parse(query).expect_err(query).to_string();
        assert_eq!(Some(error.as_str()), expected, "{query}");
    }
    let error = parse("{a=\"b\"}\n  |= \"é\" 5").expect_err("a number is no stage");
    assert_eq!((error.line, error.col), (Some(2), 10));
}

#[test]
fn long_queries_break_over_lines() {
    let query = r#"sum by (cluster) (rate({namespace="production", container="nginx"} |= "error" | json | status >= 500 | line_format "{{.msg}}" [5m])) / 2"#;
    let pretty = parse(query).expect("parses").pretty();
    assert_eq!(
        pretty,
        r#"  sum by (cluster) (
    rate(
      {namespace="production", container="nginx"}
        |= "error"
        | json
        | status >= 500
        | line_format "{{.msg}}" [5m]
    )
  )
/
  2"#
    );
}

#[test]
fn depth_and_size_are_bounded() {
    for query in [
        "(".repeat(100_000),
        format!("{{a=\"b\"}} | {}", "(".repeat(100_000)),
        "sum(".repeat(30_000),
        format!("1{}", "+1".repeat(60_000)),
        format!("1{}", "^1".repeat(60_000)),
        format!("rate{}", "(".repeat(100_000)),
        "x".repeat(200_000),
    ] {
        assert!(parse(&query).is_err(), "{}", &query[..40]);
    }
    let filters = format!("{{a=\"b\"}}{}", " | x=\"y\" or z=\"w\"".repeat(5000));
    assert!(parse(&filters).is_ok());
}

/// Pieces that fit together often enough to reach deep into the parser.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "{",
        "}",
        "(",
        ")",
        "[5m]",
        "[",
        ",",
        "|",
        "|=",
        "!=",
        "=",
        "=~",
        "a",
        "b",
        "\"x\"",
        "`y`",
        "json",
        "logfmt",
        "--strict",
        "unwrap",
        "rate",
        "sum",
        "topk",
        "by",
        "without",
        "on",
        "group_left",
        "5",
        "1.5h",
        "10KB",
        "-",
        "+",
        "^",
        "or",
        "and",
        "offset",
        "drop",
        "label_format",
        "ip",
        "vector",
        "label_replace",
        "é",
        "\\",
        "#",
        "\n",
        "count_over_time",
        "bool",
        ">",
        "{a=\"b\"}",
        "({a=\"b\"}[5m])",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24).prop_map(|parts| parts.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_panics(text in any::<String>(), pieces in pieces()) {
        parse(&text).map(|tree| tree.to_string()).ok();
        if let Ok(tree) = parse(&pieces) {
            let printed = tree.to_string();
            prop_assert_eq!(parse(&printed).map(|tree| tree.to_string()), Ok(printed));
        }
    }
}
