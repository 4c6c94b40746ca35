//! Files as users write them, right and wrong.

use std::time::Duration;

use config::{Document, Map, Node, Reported};
use proptest::prelude::*;

fn errors_of(text: &str, read: impl FnOnce(&Node) -> Result<(), Reported>) -> Vec<String> {
    match Document::parse_yaml("f.yaml", text) {
        Ok(document) => document.read(read).err().map_or(Vec::new(), |e| lines(&e.to_string())),
        Err(errors) => lines(&errors.to_string()),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn walk(node: &Node) -> Result<(), Reported> {
    match node.kind() {
        config::Kind::Map => {
            for (_, child) in node.map()?.entries() {
                walk(&child)?;
            }
        }
        config::Kind::List => {
            for child in node.list()? {
                walk(&child)?;
            }
        }
        config::Kind::Scalar | config::Kind::Null => {}
    }
    Ok(())
}

#[test]
fn malformed_files_name_their_place() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key \"a\" is given twice, first in line 1"),
        ("a: *b\n", "f.yaml:1:4: not valid YAML"),
        ("a: &x [*x]\n", "f.yaml:1:8: an alias may not stand inside its own anchor"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a key must be a plain text"),
        ("a: [1\n", "f.yaml:2:1: not valid YAML"),
        ("a: {<<: 1}\n", "f.yaml:1:9: \"<<\" takes a map"),
    ] {
        let errors = errors_of(text, walk);
        assert!(errors.first().is_some_and(|error| error.starts_with(expected)), "{text:?}: {errors:?}");
    }
    let deep = "[".repeat(150);
    assert!(errors_of(&deep, walk)[0].contains("nested more than 100 deep"));
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", ")));
    }
    assert!(errors_of(&text, walk)[0].contains("nodes, aliases followed"));
}

#[test]
fn merge_keys_give_way_to_own_keys() {
    let text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nuse:\n  <<: [*base, *other]\n  a: 9\n";
    let document = Document::parse_yaml("f.yaml", text).unwrap();
    let loaded = document.read(|root| root.map()?.required("use")?.string_pairs()).unwrap();
    let pairs: Vec<_> = loaded.value.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(pairs, ["a=9", "b=2", "c=4"]);
}

fn read_typed(root: &Node) -> Result<(), Reported> {
    let map: Map = root.map()?;
    let (mut flag, mut number, mut wait) = (true, 0u16, Duration::ZERO);
    map.set(&mut flag, "flag", Node::bool);
    map.set(&mut number, "number", Node::integer);
    map.set(&mut wait, "wait", Node::duration);
    map.read("mode", |node| node.one_of(&[("proxy", 1), ("direct", 2)])).ok();
    map.read("labels", Node::string_pairs).ok();
    map.read("secret", Node::secret).ok();
    map.without_meaning(&["old"], "it went away");
    map.finish()
}

#[test]
fn all_errors_are_collected_with_place_and_path() {
    let text = "flag: maybe\nnumber: 70000\nwait: 5\nmode: proxi\nlabels: {a: [1]}\nnumbr: 1\n";
    let expected = [
        "f.yaml:1:7: flag: expected true or false, got \"maybe\"",
        "f.yaml:2:9: number: 70000 is out of range",
        "f.yaml:3:7: wait: \"5\" is not a duration: write numbers with units y, w, d, h, m, s, ms, largest first, such as 1h30m",
        "f.yaml:4:7: mode: expected one of proxy, direct, got \"proxi\", did you mean \"proxy\"",
        "f.yaml:5:13: labels.a: expected a text, got a list",
        "f.yaml:6:1: unknown key \"numbr\", did you mean \"number\"",
    ];
    assert_eq!(errors_of(text, read_typed), expected);
    assert_eq!(errors_of("flag: off\nnumber: 0x10\nwait: 1m\nlabels:\nold: 1\n", read_typed), [""; 0]);
}

#[test]
fn warnings_secrets_and_later_documents() {
    let text = "old: {x: 1}\nsecret: s3cret\nnumber: 010\n---\nb: 1\n";
    let document = Document::parse_yaml("f.yaml", text).unwrap();
    let loaded = document.read(read_typed).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "f.yaml:4:1: only the first YAML document of a file is read, this one is not",
            "f.yaml:1:1: old: accepted without effect: it went away"
        ]
    );
    let shown = document.to_masked_yaml();
    assert!(shown.contains("secret: <secret>") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn toml_makes_the_same_tree() {
    let text = "data_dir = \"/var\"\n[sinks.loki]\ntype = \"loki\"\nhealthy = true\nlabels.host = \"h1\"\n[[sinks.loki.list]]\nn = 0x10\n";
    let document = Document::parse_toml("vector.toml", text).unwrap();
    let loaded = document
        .read(|root| {
            let map = root.map()?;
            let sink = map.required("sinks")?.map()?.required("loki")?.map()?;
            let number: i64 = sink.required("list")?.list()?[0].map()?.required("n")?.integer()?;
            Ok((sink.required("healthy")?.bool()?, sink.required("labels")?.string_pairs()?, number))
        })
        .unwrap();
    assert_eq!(loaded.value, (true, vec![("host".to_owned(), "h1".to_owned())], 16));
    let unknown = document.read(|root| root.map()?.finish()).unwrap_err().to_string();
    assert_eq!(lines(&unknown)[1], "vector.toml:2:2: unknown key \"sinks\"");
    let broken = Document::parse_toml("v.toml", "a = 1\nb = \n").unwrap_err().to_string();
    assert!(broken.starts_with("v.toml:2:"), "{broken}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "[-a:&*<{}\\[\\],#|>'\"!%? \n\t0é]{0,60}") {
        if let Ok(document) = Document::parse_yaml("f", &text) {
            document.read(walk).ok();
            document.to_masked_yaml();
        }
        Document::parse_toml("f", &text).ok();
    }
}
