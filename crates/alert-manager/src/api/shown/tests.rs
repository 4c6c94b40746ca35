//! The exact text of answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::alert::Alert;

fn view(labels: &[(&str, &str)], url: &str) -> AlertView {
    let labels = Labels::from_pairs(labels.iter().copied());
    AlertView {
        alert: Arc::new(Alert {
            fingerprint: Fingerprint(0xab),
            labels,
            annotations: Labels::from_pairs([("a", "line\nfeed \"x\" \u{1} ä")]),
            starts_at: 1_700_000_000_123_999_999,
            ends_at: 1_700_000_300_000_000_000,
            updated_at: -1_500_000_000,
            timeout: false,
            generator_url: url.to_owned(),
        }),
        receivers: vec!["r \"1\"".to_owned(), "s".to_owned()].into(),
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
    }
}

#[test]
fn alerts_are_written_as_the_api_has_them() {
    assert_eq!(alerts(&[]), b"[]");
    let active = view(&[("x", "1"), ("b", "2")], "http://g?a=<&>");
    let mut muted = view(&[("x", "1")], "");
    muted.silenced_by = vec!["s1".to_owned(), "s2".to_owned()];
    muted.inhibited_by = vec![Fingerprint(1)];
    muted.muted_by = vec!["night".to_owned()];
    let text = String::from_utf8(alerts(&[active.clone(), muted])).unwrap();
    let start = r#""annotations":{"a":"line\nfeed \"x\" \u0001 ä"},"endsAt":"2023-11-14T22:18:20.000Z","fingerprint":"00000000000000ab","receivers":[{"name":"r \"1\""},{"name":"s"}],"startsAt":"2023-11-14T22:13:20.123Z","#;
    let active_text = format!(
        r#"{{{start}"status":{{"inhibitedBy":[],"mutedBy":[],"silencedBy":[],"state":"active"}},"updatedAt":"1969-12-31T23:59:58.500Z","labels":{{"b":"2","x":"1"}},"generatorURL":"http://g?a=<&>"}}"#
    );
    let muted_text = format!(
        r#"{{{start}"status":{{"inhibitedBy":["0000000000000001"],"mutedBy":["night"],"silencedBy":["s1","s2"],"state":"suppressed"}},"updatedAt":"1969-12-31T23:59:58.500Z","labels":{{"x":"1"}}}}"#
    );
    assert_eq!(text, format!("[{active_text},{muted_text}]"));
    let group = GroupView {
        labels: Labels::from_pairs([("x", "1")]),
        route_labels: BTreeMap::from([("k".to_owned(), "{{ .Status }}".to_owned())]),
        receiver: "r".to_owned(),
        alerts: vec![active],
    };
    assert_eq!(
        String::from_utf8(groups(&[group])).unwrap(),
        format!(
            r#"[{{"labels":{{"x":"1"}},"routeLabels":{{"k":"{{{{ .Status }}}}"}},"receiver":{{"name":"r"}},"alerts":[{active_text}]}}]"#
        )
    );
}
