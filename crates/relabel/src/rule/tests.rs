//! Rules as data: one line a rule, one case a check.

use model::{Labels, LabelsBuilder};
use proptest::prelude::*;

use super::*;

/// Reads `key=value|key=value`; `source_labels` are separated by commas.
fn spec(text: &str) -> RuleSpec {
    let mut spec = RuleSpec::default();
    for pair in text.split('|').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').expect("key=value");
        let text = Some(value.to_owned());
        match key {
            "src" => spec.source_labels = Some(value.split(',').map(str::to_owned).collect()),
            "sep" => spec.separator = text,
            "regex" => spec.regex = Some(value.replace('/', "|")),
            "mod" => spec.modulus = Some(value.parse().expect("number")),
            "target" => spec.target_label = text,
            "repl" => spec.replacement = text,
            "action" => spec.action = text,
            other => panic!("{other}"),
        }
    }
    spec
}

fn run(labels: &str, rules: &[&str], scheme: NameScheme) -> Option<String> {
    let pairs = labels.split(' ').filter(|pair| !pair.is_empty());
    let labels = Labels::from_pairs(pairs.map(|pair| pair.split_once('=').expect("name=value")));
    let rules: Vec<Rule> =
        rules.iter().map(|rule| Rule::new(spec(rule), scheme).expect("valid rule")).collect();
    let mut builder = LabelsBuilder::from_labels(&labels);
    apply(&rules, &mut builder)
        .then(|| builder.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_action_does_what_prometheus_does() {
    let cases: &[(&str, &[&str], Option<&str>)] = &[
        ("a=foo b=bar", &["src=a|regex=f(.*)|target=d|repl=ch${1}-ch${1}"], Some("a=foo b=bar d=choo-choo")),
        ("a=foo b=bar", &["src=a,b|regex=foo;bar|target=c|repl=x"], Some("a=foo b=bar c=x")),
        ("a=foo b=bar", &["src=a,b|sep=|regex=foobar|target=c|repl=x"], Some("a=foo b=bar c=x")),
        ("a=foo", &["src=a|regex=oo|target=c|repl=x"], Some("a=foo")),
        ("a=foo b=bar", &["src=a|target=b|repl="], Some("a=foo")),
        ("a=foo b=bar", &["src=zz|target=b"], Some("a=foo")),
        ("a=foo", &["src=a|regex=(.)(.*)|target=${2}_x|repl=$1"], Some("a=foo oo_x=f")),
        ("a=foo", &["src=a|regex=(?P<x>f).*|target=n_${x}|repl=$x"], Some("a=foo n_f=f")),
        ("a=foo", &["src=a|regex=f(z)?oo|target=${1}|repl=v"], Some("a=foo")),
        ("a=foo", &["src=a|target=b|repl=$$1"], Some("a=foo b=$1")),
        ("a=foo", &["src=a|target=b|repl=$1x"], Some("a=foo")),
        ("a=foo", &["src=a|regex=foo|action=keep"], Some("a=foo")),
        ("a=foo", &["src=a|regex=fo|action=keep"], None),
        ("a=foo", &["src=a|regex=fo/foo|action=DROP"], None),
        ("a=foo", &["src=b|regex=|action=drop"], None),
        ("a=x b=x", &["src=a|target=b|action=keepequal"], Some("a=x b=x")),
        ("a=x b=y", &["src=a|target=b|action=keepequal"], None),
        ("a=x b=x", &["src=a|target=b|action=dropequal"], None),
        ("c=baz", &["src=c|target=d|mod=1000|action=hashmod"], Some("c=baz d=976")),
        ("c=foo\nbar", &["src=c|target=d|mod=1000|action=hashmod"], Some("c=foo\nbar d=734")),
        ("a=1 my_b=2 my_c=3", &["regex=my_(.*)|action=labelmap"], Some("a=1 b=2 c=3 my_b=2 my_c=3")),
        ("a=1 b=2", &["regex=(a)|repl=${1}_x|action=labelmap"], Some("a=1 a_x=1 b=2")),
        ("a=1 ab=2 b=3", &["regex=a.*|action=labeldrop"], Some("b=3")),
        ("a=1 ab=2 b=3", &["regex=a.*|action=labelkeep"], Some("a=1 ab=2")),
        (
            "a=FoÖ",
            &["src=a|target=l|action=lowercase", "src=a|target=u|action=uppercase"],
            Some("a=FoÖ l=foö u=FOÖ"),
        ),
        ("a=x b=1", &["src=zz|target=b|action=lowercase"], Some("a=x")),
        ("a=x", &["src=a|target=b|repl=${1}", "src=b|regex=x|action=drop"], None),
        ("a=l1\nl2", &["src=a|regex=l1.l2|target=b|repl=ok"], Some("a=l1\nl2 b=ok")),
    ];
    for (labels, rules, expected) in cases {
        let found = run(labels, rules, NameScheme::Utf8);
        assert_eq!(found.as_deref(), *expected, "{labels:?} {rules:?}");
    }
}

#[test]
fn legacy_names_guard_the_target() {
    let rule = ["src=a|regex=(.*)|target=${1}|repl=v"];
    assert_eq!(run("a=b.c", &rule, NameScheme::Legacy).as_deref(), Some("a=b.c"));
    assert_eq!(run("a=b.c", &rule, NameScheme::Utf8).as_deref(), Some("a=b.c b.c=v"));
}

#[test]
fn wrong_rules_are_refused_and_name_the_key() {
    use NameScheme::{Legacy, Utf8};
    for (rule, scheme, message) in [
        ("action=nope", Utf8, "unknown relabel action \"nope\""),
        ("action=", Utf8, "unknown relabel action \"\""),
        ("src=a", Utf8, "relabel action replace needs target_label"),
        ("target=x|action=hashmod", Utf8, "relabel action hashmod needs a modulus above 0"),
        ("mod=8|action=hashmod", Utf8, "relabel action hashmod needs target_label"),
        ("target=a.b", Legacy, "\"a.b\" is not a valid target_label of relabel action replace"),
        ("target=${}", Legacy, "\"${}\" is not a valid target_label of relabel action replace"),
        ("target=0${1}", Legacy, "\"0${1}\" is not a valid target_label of relabel action replace"),
        (
            "repl=a-$1|action=labelmap",
            Legacy,
            "\"a-$1\" is not a valid replacement of relabel action labelmap",
        ),
        ("regex=(|target=a", Utf8, "relabel regex"),
        (
            "src=a|regex=x|action=labeldrop",
            Utf8,
            "source_labels cannot be set with relabel action labeldrop, which takes only regex",
        ),
        (
            "src=a|target=b|regex=x|action=keepequal",
            Utf8,
            "regex cannot be set with relabel action keepequal, which takes only source_labels and target_label",
        ),
        (
            "src=a|target=b|repl=x|action=lowercase",
            Utf8,
            "replacement cannot be set with relabel action lowercase, which takes only source_labels, separator and target_label",
        ),
    ] {
        let error = Rule::new(spec(rule), scheme).expect_err(rule);
        assert_eq!(error.to_string(), message, "{rule}");
    }
    assert!(Rule::new(spec("target=a_${1}_$x"), Legacy).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_rule_and_no_label_set_panics(
        regex in "[a-z.*()|$^\\[\\]?+\\\\]{0,8}",
        replacement in "[a-z$0-9{}]{0,8}",
        target in "[a-z$0-9{}é]{0,6}",
        value in ".{0,12}",
        action in 0usize..11,
    ) {
        let names = ["replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"];
        let mut spec = RuleSpec { action: Some(names[action].to_owned()), regex: Some(regex), ..RuleSpec::default() };
        if action < 7 {
            spec.source_labels = Some(vec!["a".to_owned()]);
            spec.target_label = Some(target);
            spec.replacement = Some(replacement);
            spec.modulus = Some(7);
        }
        if let Ok(rule) = Rule::new(spec, NameScheme::Utf8) {
            let mut labels = LabelsBuilder::new();
            labels.set("a", &value).set("b", "x");
            rule.apply(&mut labels);
        }
    }
}
