//! Matchers in both grammars.

use super::*;

#[test]
fn both_grammars_and_the_fallback() {
    use MatcherMode::{Classic, Fallback, Utf8Strict};
    for (text, mode, expected) in [
        (r#"a="b""#, Fallback, r#"{a="b"}"#),
        ("a=b", Fallback, r#"{a="b"}"#),
        (r#" { a = "b" , c=~"d.*", e!="", f!~"x|y" } "#, Fallback, r#"{a="b",c=~"d.*",e!="",f!~"x|y"}"#),
        ("{}", Fallback, "{}"),
        (r#"{a="b",}"#, Fallback, r#"{a="b"}"#),
        (r#"a="b,c""#, Fallback, r#"{a="b,c"}"#),
        (r#"a="q\"u\\o\nte""#, Fallback, r#"{a="q\"u\\o\nte"}"#),
        (r#""my name"="x""#, Fallback, r#"{"my name"="x"}"#),
        ("größe=1", Fallback, r#"{"größe"="1"}"#),
        ("a=b c", Fallback, r#"{a="b c"} warned"#),
        (r"a=~\d+", Fallback, r#"{a=~"\\d+"} warned"#),
        ("a=b,c=d", Classic, r#"{a="b",c="d"}"#),
        ("a=", Classic, r#"{a=""}"#),
        (r"a=~x\.y", Classic, r#"{a=~"x\\.y"}"#),
        ("größe=1", Classic, "error"),
        ("a=b c", Utf8Strict, "error"),
        ("a=b,c=d", Utf8Strict, "error"),
        (r#"{a="b"#, Fallback, "error"),
        (r#"a="b"#, Fallback, "error"),
        ("a", Fallback, "error"),
        ("", Utf8Strict, "error"),
        ("=b", Fallback, "error"),
        (r#"a=~"(""#, Fallback, "error"),
    ] {
        let shown = match parse(text, mode).and_then(|(m, warning)| Ok((MatcherSet::new(m)?, warning))) {
            Ok((set, None)) => set.to_string(),
            Ok((set, Some(_))) => format!("{set} warned"),
            Err(_) => "error".to_owned(),
        };
        assert_eq!(shown, expected, "{text} {mode:?}");
    }
}
