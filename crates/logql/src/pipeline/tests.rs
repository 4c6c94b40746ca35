//! No line makes a stage panic.

use std::borrow::Cow;

use logql_syntax::parse_log;
use model::Labels;
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};

use super::Pipeline;
use crate::line_labels::LineLabels;

/// Every stage that takes a line apart.
const STAGES: &str = r#"{a="b"} | decolorize | json | json x="a.b[0]" | logfmt | logfmt --strict y="z" | unpack
    | regexp "(?P<r>.*)" | pattern "<p> <_>=<q>" | r > 5 | q < 3s | p = ip("1.2.3.4") | line_format "{{.p}}""#;

/// Pieces of the formats, so that lines are nearly well formed.
fn lines() -> impl Strategy<Value = String> {
    let pieces = [
        "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u12", "\\ud83d", "a", "é", "1", "-", "true", "nul", "=",
        " ", "\u{1b}[", "\u{9b}", "m", "_entry", "\"a\":", "\n",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|parts| parts.concat())
}

#[test]
fn no_line_panics() {
    let log = parse_log(STAGES).expect("stages");
    let pipelines: Vec<Pipeline> =
        (0..log.stages.len()).map(|skip| Pipeline::new(&log.stages[skip..], 0).expect("compiles")).collect();
    let mut runner = TestRunner::new(Config::with_cases(256));
    let outcome = runner.run(&(any::<String>(), lines()), |(text, pieces)| {
        for line in [text.as_str(), pieces.as_str()] {
            for pipeline in &pipelines {
                let mut labels = LineLabels::default();
                labels.reset(&Labels::from_pairs([("a", "b")]), &[("p".to_owned(), "1".to_owned())]);
                let _line = pipeline.run(0, Cow::Borrowed(line), &mut labels);
            }
        }
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
}
