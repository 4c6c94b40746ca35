//! What the shipped templates render, and the functions.

use super::*;
use crate::data::{AlertData, Data, Pairs};

fn pairs(text: &str) -> Pairs {
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn data() -> Data {
    let alert = |status, instance: &str| AlertData {
        status,
        labels: pairs(&format!("alertname=Down,job=node,instance={instance}")),
        annotations: pairs("summary=It is <down>"),
        starts_at: Some(1_700_000_000_000_000_000),
        ends_at: (status == "resolved").then_some(1_700_000_060_000_000_000),
        generator_url: "http://prom/graph?g0.expr=up".to_owned(),
        fingerprint: "abc".to_owned(),
    };
    Data {
        receiver: "team x".to_owned(),
        status: "firing",
        alerts: vec![alert("firing", "a"), alert("resolved", "b")],
        notification_reason: "first notification",
        group_labels: pairs("alertname=Down"),
        common_labels: pairs("alertname=Down,job=node"),
        common_annotations: pairs("summary=It is <down>"),
        route_labels: pairs("tier=1"),
        ack_url: String::new(),
        external_url: "http://am:9093".to_owned(),
    }
}

#[test]
fn shipped_templates_render_what_they_should() {
    let templates = Templates::shipped();
    let value = data().to_value();
    for (text, expected) in [
        ("{{ template \"__subject\" . }}", "[FIRING:1] Down (node)"),
        ("{{ template \"slack.default.titlelink\" . }}", "http://am:9093/#/alerts?receiver=team+x"),
        ("{{ template \"slack.default.color\" . }}", "danger"),
        (
            "{{ template \"slack.default.fallback\" . }}",
            "[FIRING:1] Down (node) | http://am:9093/#/alerts?receiver=team+x",
        ),
        ("{{ template \"slack.default.text\" . }}", ""),
        (
            "{{ template \"__text_alert_list\" .Alerts.Firing }}",
            "Labels:\n - alertname = Down\n - instance = a\n - job = node\nAnnotations:\n - summary = It is <down>\nSource: http://prom/graph?g0.expr=up\n",
        ),
        ("{{ .CommonLabels.Remove (stringSlice \"job\") }}", "map[alertname:Down]"),
        ("{{ .GroupLabels.SortedPairs.Names | join \",\" }}", "alertname"),
        (
            "{{ (index .Alerts 0).StartsAt.Format \"15:04\" }} {{ (index .Alerts 0).EndsAt.IsZero }}",
            "22:13 true",
        ),
        ("{{ range .Alerts.Resolved }}{{ .EndsAt }}{{ end }}", "2023-11-14 22:14:20 +0000 UTC"),
        ("{{ (index .Alerts 0).StartsAt | tz \"Europe/Berlin\" | date \"15:04 MST\" }}", "23:13 CET"),
        (
            "{{ .CommonLabels.nope }}{{ (routeLabels .).tier }}{{ .NotificationReason }}",
            "1first notification",
        ),
        ("{{ title \"it is\" }} {{ toUpper \"a\" }} {{ trimSpace \" b \" }}", "It Is A b"),
        (
            "{{ match \"^D\" .GroupLabels.alertname }} {{ reReplaceAll \"(D)\" \"<$1>\" \"Down\" }}",
            "true <D>own",
        ),
        (
            "{{ toJson .CommonLabels }} {{ toJson (list 1 \"a\" true) }} {{ toJson (dict \"k\" .Status) }}",
            "{\"alertname\":\"Down\",\"job\":\"node\"} [1,\"a\",true] {\"k\":\"firing\"}",
        ),
        (
            "{{ base64encode \"a?>\" }} {{ base64decode \"YT8-\" }} {{ urlUnescape \"a%20b+c\" }}",
            "YT8- a?> a b c",
        ),
        (
            "{{ append (list 1) 2 | len }} {{ humanizeDuration 3700.0 }} {{ humanizeDuration \"0.5\" }}",
            "2 1h 1m 40s 500ms",
        ),
        ("{{ (toDate \"2006-01-02\" \"2026-11-22\").Year }}", "2026"),
        ("{{ len .Alerts }} {{ len .Alerts.Firing }} {{ .Status }}", "2 1 firing"),
    ] {
        assert_eq!(templates.text(text, &value).unwrap(), expected, "{text}");
    }
    assert!(templates.text("{{ mustToDate \"2006\" \"x\" }}", &value).is_err());
    let html = templates.html(r#"{{ template "email.default.html" . }}"#, &value).unwrap();
    assert!(
        html.contains("It is &lt;down&gt;") && html.contains("[1] Firing") && html.contains("[1] Resolved"),
        "{html}"
    );
    assert!(
        html.contains("2 alerts for alertname=Down") && html.contains("background-color: #e6522c"),
        "{html}"
    );
    assert!(html.contains("http://am:9093/#/alerts?receiver=team&#43;x"), "{html}");
}

#[test]
fn every_shipped_template_renders() {
    let templates = Templates::shipped();
    let value = data().to_value();
    for name in templates.0.names().filter(|name| !name.starts_with("__") && !name.ends_with(".tmpl")) {
        if name == "pagerduty.default.instances" {
            continue;
        }
        templates.text(&format!("{{{{ template {name:?} . }}}}"), &value).unwrap();
    }
}

#[test]
fn files_go_over_the_shipped_ones() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.tmpl");
    std::fs::write(
        &file,
        r#"{{ define "__subject" }}mine{{ end }}{{ define "extra" }}{{ .Status }}{{ end }}"#,
    )
    .unwrap();
    let files = crate::glob::expand(&dir.path().join("*.tmpl")).unwrap();
    let templates = Templates::load(&files).unwrap();
    let text = r#"{{ template "slack.default.title" . }} {{ template "extra" . }}"#;
    assert_eq!(templates.text(text, &data().to_value()).unwrap(), "mine firing");
    std::fs::write(&file, "{{ define").unwrap();
    assert!(Templates::load(&files).unwrap_err().to_string().starts_with("template: mine.tmpl:1"));
    assert!(crate::glob::expand(&dir.path().join("none*/x?.tmpl")).unwrap().is_empty());
}
