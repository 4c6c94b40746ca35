//! Push bodies, checks of streams and what is added to them.

use log_storage_api::BatchEntry;
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::{IncomingLabels, IncomingStream, decode_json, decode_proto, level, validate};
use crate::config::Limits;

fn pairs_of<'a>(stream: &'a IncomingStream<'_>) -> &'a [(String, String)] {
    match &stream.labels {
        IncomingLabels::Pairs(pairs) => pairs,
        IncomingLabels::Text(text) => panic!("{text} was to be read already"),
    }
}

#[test]
fn json_bodies_of_both_forms_are_read() {
    let streams = decode_json(
        br#"{"streams":[{"stream":{"b":"2","a":"1"},"values":[["5","x"],["6","y",{"k":"v"}]]},
            {"labels":"{c=\"3\"}","entries":[{"ts":"1970-01-01T00:00:01Z","line":"z"}]}]}"#,
    )
    .expect("both forms");
    let shown: Vec<String> = streams
        .iter()
        .flat_map(|stream| stream.entries.iter().map(move |entry| (stream, entry)))
        .map(|(stream, entry)| format!("{:?} {} {}", pairs_of(stream), entry.timestamp, entry.line))
        .collect();
    assert_eq!(
        shown,
        [
            r#"[("a", "1"), ("b", "2")] 5 x"#,
            r#"[("a", "1"), ("b", "2")] 6 y"#,
            r#"[("c", "3")] 1000000000 z"#
        ]
    );
}

#[test]
fn malformed_bodies_are_refused() {
    for body in [
        "",
        "{}",
        r#"{"streams":[{"values":[]}]}"#,
        r#"{"streams":[{"stream":{"a":"b"},"values":[[5,"number"]]}]}"#,
        r#"{"streams":[{"stream":{"a":"b"},"values":[["5"]]}]}"#,
        r#"{"streams":[{"stream":{"a":"b"},"values":[["5",6]]}]}"#,
        r#"{"streams":[{"stream":{"a":"b"},"values":[["5","x",{"k":1}]]}]}"#,
        r#"{"streams":[{"stream":{"a":5},"values":[]}]}"#,
        r#"{"streams":[{"labels":"{a!=\"b\"}","entries":[]}]}"#,
        r#"{"streams":[{"labels":"{a=\"b\"} |= \"x\"","entries":[]}]}"#,
    ] {
        assert!(decode_json(body.as_bytes()).is_err(), "{body}");
    }
    assert!(decode_proto(b"\xff\xff\xff").is_err());
}

#[test]
fn streams_are_checked_and_enriched() {
    let limits = Limits { label_names_max: 2, label_value_bytes_max: 8, ..Limits::default() };
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let check = |given: &[(&str, &str)]| {
        validate::labels(&pairs(given), &limits)
            .map(|labels| labels.to_string())
            .map_err(|error| error.reason)
    };
    assert_eq!(check(&[("app", "x")]), Ok(r#"{app="x", service_name="x"}"#.to_owned()));
    assert_eq!(check(&[("z", "x"), ("e", "")]), Ok(r#"{service_name="unknown_service", z="x"}"#.to_owned()));
    assert!(check(&[("a", "1"), ("b", "2")]).is_ok());
    assert_eq!(check(&[("a", "1"), ("b", "2"), ("c", "3")]), Err("max_label_names_per_series"));
    assert_eq!(check(&[("a", "1"), ("a", "2")]), Err("duplicate_label_names"));
    assert_eq!(check(&[("a", "123456789")]), Err("label_value_too_long"));
    assert_eq!(check(&[("a.b", "1")]), Err("invalid_labels"));
    assert_eq!(check(&[]), Err("missing_labels"));
    let limits = Limits { truncates_lines: true, line_bytes_max: Some(3), ..limits };
    let mut enriched = [BatchEntry { line: "aéb error".into(), ..BatchEntry::default() }];
    let labels = validate::labels(&pairs(&[("a", "1")]), &limits).expect("valid");
    validate::enrich(level::of_labels(&labels), &mut enriched, &limits);
    assert_eq!((&*enriched[0].line, enriched[0].structured_metadata[0].1.as_str()), ("aé", "unknown"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_body_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        labels in any::<String>(),
        at in any::<String>(),
    ) {
        decode_proto(&bytes).ok();
        decode_json(&bytes).ok();
        let stream = serde_json::json!({ "labels": labels, "entries": [{ "ts": at, "line": labels }] });
        let pushed = serde_json::json!({ "streams": [stream] }).to_string();
        if let Ok(streams) = decode_json(pushed.as_bytes()) {
            for mut stream in streams {
                let limits = Limits { truncates_lines: true, line_bytes_max: Some(5), ..Limits::default() };
                if let Ok(labels) = validate::labels(pairs_of(&stream), &limits) {
                    validate::enrich(level::of_labels(&labels), &mut stream.entries, &limits);
                }
            }
        }
    }
}
