//! OpenTelemetry's metrics over HTTP.

use serde_json::{Value, json};

use crate::harness::{Server, now_ms};

const PATH: &str = "/api/v1/otlp/v1/metrics";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn started(yaml: &str, flags: &[&str]) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("directory");
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, yaml).expect("file");
    let server = Server::start_with(&config, &dir.path().join("data"), flags);
    (dir, server)
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn request(metrics: &Value) -> String {
    let resource = attributes(&[
        ("service.namespace", "shop"),
        ("service.name", "cart"),
        ("service.instance.id", "i1"),
        ("host.name", "h1"),
    ]);
    json!({"resourceMetrics": [{
        "resource": {"attributes": resource},
        "scopeMetrics": [{"scope": {"name": "lib", "version": "2"}, "metrics": metrics}],
    }]})
    .to_string()
}

fn all_kinds(now: i64) -> Value {
    let at = (now * 1_000_000).to_string();
    let point = |more: Value| {
        let mut point = json!({"timeUnixNano": at, "attributes": attributes(&[("http.method", "GET")])});
        for (key, value) in more.as_object().expect("an object") {
            point[key] = value.clone();
        }
        point
    };
    json!([
        {"name": "cpu.use", "unit": "1", "gauge": {"dataPoints": [point(json!({"asDouble": 0.5}))]}},
        {"name": "http.requests", "unit": "{request}", "description": "All of them.",
         "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point(json!({
            "asInt": "7", "exemplars": [{"timeUnixNano": at, "asDouble": 1.0, "traceId": "0af7", "spanId": "b7"}]}))]}},
        {"name": "latency", "unit": "ms", "histogram": {"aggregationTemporality": 2, "dataPoints": [point(json!({
            "count": "6", "sum": 20.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [1, 2.5]}))]}},
        {"name": "size", "unit": "By", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point(json!({
            "count": 5, "sum": 9, "scale": 9, "zeroCount": 1, "positive": {"offset": 0, "bucketCounts": [1, 3]}}))]}},
        {"name": "wait", "unit": "s", "summary": {"dataPoints": [point(json!({
            "count": 2, "sum": 3, "quantileValues": [{"quantile": 0.5, "value": 1.25}]}))]}},
    ])
}

#[test]
fn every_kind_of_metric_is_stored() {
    let flags = ["--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"];
    let (_dir, server) = started("global: {}\n", &flags);
    let now = now_ms();
    let answer = server.send("POST", PATH, &[JSON], request(&all_kinds(now)).as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let identity = "job=\"shop/cart\",instance=\"i1\",http_method=\"GET\"";
    for (query, expected) in [
        (format!("cpu_use_ratio{{{identity}}}"), "0.5"),
        (format!("http_requests_total{{{identity}}}"), "7"),
        (format!("latency_milliseconds_bucket{{{identity},le=\"1\"}}"), "1"),
        (format!("latency_milliseconds_bucket{{{identity},le=\"2.5\"}}"), "3"),
        (format!("latency_milliseconds_bucket{{{identity},le=\"+Inf\"}}"), "6"),
        (format!("latency_milliseconds_sum{{{identity}}}"), "20.5"),
        ("latency_milliseconds_count".to_owned(), "6"),
        ("histogram_count(size_bytes)".to_owned(), "5"),
        ("histogram_sum(size_bytes)".to_owned(), "9"),
        ("histogram_quantile(1, size_bytes) < 1.0028".to_owned(), "1.0027112750502025"),
        (format!("wait_seconds{{{identity},quantile=\"0.5\"}}"), "1.25"),
        ("wait_seconds_count".to_owned(), "2"),
        ("target_info{job=\"shop/cart\",instance=\"i1\",host_name=\"h1\",service_name=\"\"}".to_owned(), "1"),
    ] {
        assert_eq!(server.value(&query, now).as_deref(), Some(expected), "{query}");
    }
    let exemplars = server
        .get(&format!("/api/v1/query_exemplars?query=http_requests_total&start=0&end={}", now / 1000 + 1))
        .1;
    assert!(
        exemplars.contains("\"trace_id\":\"0af7\"") && exemplars.contains("\"span_id\":\"b7\""),
        "{exemplars}"
    );
}

#[test]
fn a_bad_request_leaves_nothing_behind() {
    let (_dir, server) = started("global: {}\n", &["--web.enable-otlp-receiver"]);
    let now = now_ms();
    let at = (now * 1_000_000).to_string();
    let good = json!({"name": "good", "gauge": {"dataPoints": [{"timeUnixNano": at, "asInt": 1}]}});
    for (what, bad) in [
        (
            "temporality",
            json!({"name": "bad", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [{"timeUnixNano": at, "asInt": 1}]}}),
        ),
        (
            "scale",
            json!({"name": "bad", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{"timeUnixNano": at, "scale": -5}]}}),
        ),
        ("no valid name", json!({"name": "", "gauge": {"dataPoints": [{"timeUnixNano": at, "asInt": 1}]}})),
        ("unsupported type", json!({"name": "bad"})),
    ] {
        let answer = server.send("POST", PATH, &[JSON], request(&json!([good, bad])).as_bytes());
        assert!(
            answer.status == 400 && answer.text().contains(what),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
        assert_eq!(server.value("good", now), None, "{what}");
    }
    let protobuf = ("Content-Type", "application/x-protobuf");
    assert_eq!(server.send("POST", PATH, &[protobuf], b"").status, 200);
    for (headers, body, status) in [
        (vec![JSON], &b"{"[..], 400),
        (vec![JSON], b"[]", 400),
        (vec![protobuf], b"\x0a\xff", 400),
        (vec![("Content-Type", "text/plain")], b"", 415),
        (vec![], b"", 415),
        (vec![JSON, ("Content-Encoding", "snappy")], b"{}", 415),
        (vec![JSON, ("Content-Encoding", "gzip")], b"x", 400),
    ] {
        assert_eq!(server.send("POST", PATH, &headers, body).status, status, "{headers:?}");
    }
    let (_dir, closed) = started("global: {}\n", &[]);
    assert_eq!(closed.send("POST", PATH, &[JSON], b"{}").status, 404);
}

#[test]
fn the_configuration_decides_about_names_and_labels() {
    let yaml = "otlp: {translation_strategy: NoTranslation, promote_resource_attributes: [host.name], keep_identifying_resource_attributes: true, convert_histograms_to_nhcb: true, promote_scope_metadata: true}\n";
    let (_dir, server) = started(yaml, &["--web.enable-otlp-receiver"]);
    let now = now_ms();
    let answer = server.send("POST", PATH, &[JSON], request(&all_kinds(now)).as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (query, expected) in [
        (
            "{\"http.requests\", \"host.name\"=\"h1\", \"http.method\"=\"GET\", otel_scope_name=\"lib\", otel_scope_version=\"2\"}",
            "7",
        ),
        ("histogram_count({\"latency\"})", "6"),
        ("histogram_fraction(0, 2.5, {\"latency\"})", "0.5"),
        ("target_info{\"service.name\"=\"cart\", otel_scope_name=\"\"}", "1"),
    ] {
        assert_eq!(server.value(query, now).as_deref(), Some(expected), "{query}");
    }
}
