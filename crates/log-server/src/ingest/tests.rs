//! Push bodies, checks of streams and what is added to them.

use log_storage_api::BatchEntry;
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::{IncomingLabels, IncomingStream, decode_json, decode_proto, level, validate};
use model::Labels;

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
    validate::enrich(level::of_labels(&labels, &limits.level_fields), &mut enriched, &limits);
    assert_eq!((&*enriched[0].line, enriched[0].structured_metadata[0].1.as_str()), ("aé", "unknown"));
    let limits = Limits { line_bytes_max: Some(8), truncation_mark: "[cut]".to_owned(), ..limits };
    let mut cut = [BatchEntry { line: "aébcdefgh".into(), ..BatchEntry::default() }];
    validate::enrich(None, &mut cut, &limits);
    assert_eq!(cut[0].line, "aé[cut]");
    let limits = Limits { enforced_labels: vec!["team".to_owned()], ..Limits::default() };
    let refused = validate::labels(&pairs(&[("app", "x")]), &limits).expect_err("a label is missing");
    assert_eq!(
        (refused.reason, refused.message.as_str()),
        ("missing_enforced_labels", r#"missing required labels team for stream {app="x"}"#)
    );
}

#[test]
fn metadata_is_bounded() {
    let limits = Limits { metadata_bytes_max: Some(10), metadata_count_max: Some(2), ..Limits::default() };
    let labels = Labels::from_pairs([("a", "b")]);
    let check = |limits: &Limits, pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let entry = BatchEntry { structured_metadata: pairs.collect(), ..BatchEntry::default() };
        validate::metadata(&labels, &entry, limits).map_err(|invalid| (invalid.reason, invalid.message))
    };
    assert_eq!(check(&limits, &[("abc", "1234567")]), Ok(()));
    let (reason, message) = check(&limits, &[("abc", "12345678")]).expect_err("too large");
    assert_eq!(reason, "structured_metadata_too_large");
    assert!(message.contains("too large: '11' bytes, limit: '10' bytes"), "{message}");
    let (reason, message) = check(&limits, &[("a", ""), ("b", ""), ("c", "")]).expect_err("too many");
    assert_eq!(reason, "structured_metadata_too_many");
    assert!(message.contains("too many structured metadata labels: '3', limit: '2'"), "{message}");
    let limits = Limits { allows_metadata: false, ..Limits::default() };
    assert_eq!(check(&limits, &[]), Ok(()));
    let (reason, message) = check(&limits, &[("a", "b")]).expect_err("not allowed");
    assert_eq!(reason, "disallowed_structured_metadata");
    assert!(message.contains("limits_config.allow_structured_metadata"), "{message}");
    let mut entries = [BatchEntry::default()];
    validate::enrich(Some("info"), &mut entries, &limits);
    assert_eq!(entries[0].structured_metadata, []);
}

#[test]
fn lines_of_one_time_are_moved_apart() {
    let limits = Limits { increments_duplicates: true, ..Limits::default() };
    let entries = [(5, "a"), (5, "b"), (5, "b"), (5, "c"), (9, "d"), (9, "e")];
    let entries =
        entries.map(|(timestamp, line)| BatchEntry { timestamp, line: line.into(), ..BatchEntry::default() });
    let mut spread = entries;
    validate::enrich(None, &mut spread, &limits);
    // The same line again stays at its time: it is a duplicate.
    assert_eq!(spread.map(|entry| entry.timestamp), [5, 6, 5, 6, 9, 10]);
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
                    validate::enrich(level::of_labels(&labels, &limits.level_fields), &mut stream.entries, &limits);
                }
            }
        }
    }
}
