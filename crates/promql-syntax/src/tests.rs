//! Parsing, printing and errors, case by case.

use proptest::prelude::*;

use crate::{Features, ParseOptions, parse_expr, pretty, selectors};

fn options() -> ParseOptions<'static> {
    ParseOptions::without_regex(Features::all())
}

/// Parses, prints, parses again.
fn check(input: &str, printed: &str) {
    let expr = parse_expr(input, &options()).unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(expr.to_string(), printed, "{input}");
    let again = parse_expr(printed, &options()).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.to_string(), printed, "{input}");
    assert!(!pretty(&expr).is_empty());
}

fn check_error(input: &str, expected: &str) {
    match parse_expr(input, &options()) {
        Ok(expr) => panic!("{input}: parsed as {expr}"),
        Err(error) => assert_eq!(error.to_string(), expected, "{input}"),
    }
}

#[test]
fn expressions_are_printed_in_canonical_form() {
    for (input, printed) in [
        ("1", "1"),
        ("0x1F", "31"),
        ("0755", "493"),
        ("1_000", "1000"),
        ("+Inf", "+Inf"),
        ("1 + 2 * 3 ^ 2 ^ 1", "1 + 2 * 3 ^ 2 ^ 1"),
        ("-1^2", "-1 ^ 2"),
        ("5m * 2", "5m * 2"),
        ("foo{b='x',a=~\"y\"}", "foo{a=~\"y\",b=\"x\"}"),
        ("{\"a.b\", \"c.d\"!=\"\"}", "{\"c.d\"!=\"\",__name__=\"a.b\"}"),
        ("sum(foo) by (a,b,)", "sum by (a, b) (foo)"),
        ("sum without() (foo)", "sum without () (foo)"),
        ("topk(5, foo)", "topk(5, foo)"),
        ("count_values('v', foo)", "count_values(\"v\", foo)"),
        ("a * on(x) group_left(y) b", "a * on (x) group_left (y) b"),
        ("a + fill(0) b", "a + fill (0) b"),
        ("a == bool b", "a == bool b"),
        ("a and on() b or c unless d", "a and on () b or c unless d"),
        ("rate(foo[5m:1m] @ start() offset -5m)", "rate(foo[5m:1m] @ start() offset -5m)"),
        ("foo offset 5m @ 12.5", "foo @ 12.500 offset 5m"),
        ("rate(foo[5m + step()] anchored)", "rate(foo[5m + step()] anchored)"),
        ("foo offset (5m * 2)", "foo offset (5m * 2)"),
        ("foo offset -2^2", "foo offset -2s ^ 2"),
        ("foo offset min_of(step(), 1s) + 8", "foo offset min_of(step(), 1s) + 8"),
        ("foo[max_of(step(),5s)]", "foo[max_of(step(), 5s)]"),
        ("sum + avg{a='b'}", "sum + avg{a=\"b\"}"),
        ("start() + fill", "start() + fill"),
        ("h </ 5 >/ 1", "h </ 5 >/ 1"),
        ("info(foo, {data=~\".*\"})", "info(foo, {data=~\".*\"})"),
        ("SUM BY (x) (Rate(foo[1m]))", ""),
        ("foo # a comment\n + bar", "foo + bar"),
        ("((foo))[5m:]", "((foo))[5m:]"),
        ("histogram_quantiles(h, 'q', 0.5, 0.9)", "histogram_quantiles(h, \"q\", 0.5, 0.9)"),
    ] {
        if printed.is_empty() {
            assert!(parse_expr(input, &options()).is_err(), "{input}");
        } else {
            check(input, printed);
        }
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    for (input, error) in [
        ("", "1:1: parse error: no expression found in input"),
        ("# nothing", "1:1: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("1 /", "1:4: parse error: unexpected end of input"),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:2: parse error: unexpected right parenthesis ')'"),
        ("2.5.", "1:1: parse error: bad number or duration syntax: \"2.5.\""),
        ("0deadbeef", "1:1: parse error: bad number or duration syntax: \"0de\""),
        ("foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"),
        ("foo{a", "1:6: parse error: unexpected end of input inside braces"),
        ("foo{a}", "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""),
        ("foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5mm\""),
        (
            "foo[]",
            "1:5: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("foo[0m]", "1:5: parse error: duration must be greater than 0"),
        ("foo[5m", "1:7: parse error: unclosed left bracket"),
        (
            "foo offset",
            "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        ("foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("foo @", "1:6: parse error: unexpected end of input in @, expected timestamp"),
        ("1 and 2", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"),
        ("sum(1 +)", "1:8: parse error: unexpected \")\" in aggregation"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "rate(foo)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        ("floor()", "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0"),
        ("nope(1)", "1:1: parse error: unknown function with name \"nope\""),
        ("foo\n+ nope(1)", "2:3: parse error: unknown function with name \"nope\""),
        ("(foo + bar)[5m]", "1:12: parse error: ranges only allowed for vector selectors"),
        ("\"\\c\"", "1:1: parse error: unknown escape sequence U+0063 'c'"),
    ] {
        check_error(input, error);
    }
}

#[test]
fn features_that_are_off_are_refused() {
    let options = ParseOptions::without_regex(Features::default());
    for (input, error) in [
        (
            "limitk(1, foo)",
            "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("info(foo)", "function \"info\" is not enabled"),
        ("foo anchored", "anchored modifier is experimental and not enabled"),
        ("a + fill(1) b", "binop fill modifiers are experimental and not enabled"),
    ] {
        let found = parse_expr(input, &options).map(|expr| expr.to_string()).map_err(|e| e.message);
        assert_eq!(found, Err(error.to_owned()), "{input}");
    }
}

#[test]
fn selectors_are_found_with_their_ranges() {
    let expr = parse_expr("sum(rate(a[5m])) / max_over_time(b{x=\"y\"}[1h:1m])", &options()).expect("parses");
    let found: Vec<_> = selectors(&expr)
        .iter()
        .map(|found| (found.selector.name.clone(), found.range.is_some(), found.subquery_depth))
        .collect();
    assert_eq!(found, [("a".to_owned(), true, 0), ("b".to_owned(), false, 1)]);
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    for input in ["(".repeat(100_000), "-".repeat(100_000) + "1", "1+".repeat(100_000) + "1"] {
        assert!(parse_expr(&input, &options()).is_err());
    }
    assert!(parse_expr(&("a+".repeat(200) + "a"), &options()).is_ok());
}

#[test]
fn long_expressions_are_split_over_lines() {
    let name = "x".repeat(60);
    let expr =
        parse_expr(&format!("sum by (job) (rate({name}[5m])) / sum({name})"), &options()).expect("parses");
    assert_eq!(pretty(&expr), format!("  sum by (job) (rate({name}[5m]))\n/\n  sum({name})"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_panics(input in "\\PC{0,60}") {
        parse_expr(&input, &options()).ok();
    }

    #[test]
    fn no_run_of_tokens_panics_and_what_parses_prints(
        words in prop::collection::vec(prop::sample::select(vec![
            "foo", "sum", "(", ")", "[", "]", "{", "}", "5m", "1", "+", "-", "^", "by", "on", "offset", "@", "start",
            "step", ",", ":", "=", "=~", "\"x\"", "a", "bool", "group_left", "fill", "rate", "and", "anchored",
        ]), 0..14),
    ) {
        if let Ok(expr) = parse_expr(&words.join(" "), &options()) {
            let printed = expr.to_string();
            let again = parse_expr(&printed, &options());
            prop_assert_eq!(again.map(|e| e.to_string()), Ok(printed));
        }
    }
}
