//! The real binary: scrape, query, kill, start again; the same answers before and after, and the same as Prometheus' own
//! where that is installed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::harness::{PROMETHEUS, Server, now_ms, prometheus};

/// An exporter whose counter grows with each scrape.
fn exporter() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let scrapes = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buf = [0; 8192];
            let Ok(_) = stream.read(&mut buf) else { continue };
            let count = scrapes.fetch_add(1, Ordering::SeqCst) + 1;
            let body = format!(
                "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{{path=\"/a\"}} {count}\nhits_total{{path=\"/b\\\"c\"}} {}\n# TYPE temperature gauge\ntemperature 20.5\n",
                count * 3
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
            write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok();
        }
    });
    address
}

fn now_seconds() -> i64 {
    now_ms() / 1000
}

#[test]
fn samples_survive_a_kill_and_answers_are_prometheus_own() {
    let dir = tempfile::tempdir().expect("directory");
    let (config, data) = (dir.path().join("prometheus.yml"), dir.path().join("data"));
    let target = exporter();
    let rules = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - record: hits:sum\n    expr: sum(hits_total)\n  - alert: Warm\n    expr: temperature > 20\n    labels: {severity: page}\n    annotations: {summary: 'it is {{ $value }} degrees'}\n";
    std::fs::write(dir.path().join("my.rules"), rules).expect("file");
    let yaml = format!(
        "global: {{scrape_interval: 200ms, evaluation_interval: 1s}}\nrule_files: [my.rules]\nscrape_configs:\n- job_name: test\n  static_configs: [{{targets: ['{target}'], labels: {{site: x}}}}]\n"
    );
    std::fs::write(&config, yaml).expect("file");

    let server = Server::start(&config, &data);
    let has_samples = |_: u16, body: &str| body.contains("\"hits_total\"") && !body.contains(",\"1\"]");
    server.wait_for("/api/v1/query?query=hits_total%7Bpath%3D%22%2Fa%22%7D%3E5", has_samples);
    server.wait_for("/api/v1/query?query=hits:sum", |_, body| body.contains("hits:sum"));
    server
        .wait_for("/api/v1/alerts", |_, body| body.contains("it is 20.5 degrees") && body.contains("firing"));
    let targets = server.get("/api/v1/targets").1;
    assert!(targets.contains("\"health\":\"up\"") && targets.contains("\"site\":\"x\""), "{targets}");
    assert!(server.get("/api/v1/metadata").1.contains("\"help\":\"Hits.\""));
    assert_eq!(
        server.get("/api/v1/label/path/values").1,
        "{\"status\":\"success\",\"data\":[\"/a\",\"/b\\\"c\"]}"
    );
    for (path, status) in [
        ("/api/v1/query?query=up%7B", 400),
        ("/api/v1/query_range?query=up&start=0&end=100&step=0", 400),
        ("/api/v1/query?query=up&timeout=x", 400),
        ("/api/v1/read", 405),
        ("/graph", 501),
        ("/nowhere", 404),
        ("/rules/test/test", 404),
        ("/-/reload", 405),
        ("/federate?match[]=hits_total", 200),
        ("/api/v1/status/tsdb", 200),
        ("/api/watchbell/v1/cardinality?limit=1001", 400),
        ("/api/watchbell/v1/cardinality?window=x", 400),
        ("/api/watchbell/v1/rules/backtest", 400),
        ("/api/watchbell/v1/rules/backtest?rule=none", 404),
        ("/api/watchbell/v1/rules/backtest?expr=up%7B", 400),
        ("/api/watchbell/v1/rules/backtest?expr=up&step=0.001", 400),
        ("/metrics", 200),
    ] {
        assert_eq!(server.get(path).0, status, "{path}");
    }

    let back = now_seconds() - 300;
    let tested = server.get(&format!("/api/watchbell/v1/rules/backtest?rule=Warm&step=1&start={back}")).1;
    let tested = serde_json::from_str::<Value>(&tested).expect("JSON")["data"].take();
    assert_eq!(
        (&tested["fired"], &tested["episodes"][0]["endedAt"]),
        (&Value::from(1), &Value::Null),
        "{tested}"
    );
    assert_eq!(tested["expr"], "temperature > 20");

    let costs = server.get("/api/watchbell/v1/cardinality?limit=5&window=1m").1;
    let costs = serde_json::from_str::<Value>(&costs).expect("JSON")["data"].take();
    assert!(costs["seriesByMetric"].as_array().is_some_and(|rows| rows.len() == 5), "{costs}");
    assert_eq!(costs["samplesByTarget"][0]["value"], 3.0, "{costs}");
    assert_eq!(costs["newSeriesByJob"][0]["labels"]["job"], "test", "{costs}");

    assert_eq!(grpc_parts(&server.address), ["header 1", "series 1", "trailer"]);

    let end = now_seconds();
    let range = format!("/api/v1/query_range?query=hits_total&start={}&end={end}&step=1", end - 60);
    let before = server.result(&range);
    assert!(before.as_array().is_some_and(|series| series.len() == 2), "{before}");
    server.kill();

    let server = Server::start(&config, &data);
    assert_eq!(server.result(&range), before, "what was answered before the kill");
    drop(server);
    compare_with_prometheus(dir.path(), &data, end, &before);
}

/// The parts of an instant query's answer over gRPC, on the same port.
fn grpc_parts(address: &str) -> Vec<String> {
    use wire::metrics::query_response::Part;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let url = format!("http://{address}");
        let mut client =
            wire::metrics::metrics_query_client::MetricsQueryClient::connect(url).await.expect("connected");
        let time_ms = now_seconds() * 1000;
        let request =
            wire::metrics::InstantRequest { query: "temperature".to_owned(), time_ms, ..Default::default() };
        let mut answer = client.instant(request).await.expect("answered").into_inner();
        let mut parts = Vec::new();
        while let Some(message) = answer.message().await.expect("message") {
            parts.push(match message.part {
                Some(Part::Header(header)) => format!("header {}", header.result_type),
                Some(Part::Series(batch)) => format!("series {}", batch.series.len()),
                Some(Part::Trailer(_)) => "trailer".to_owned(),
                other => format!("{other:?}"),
            });
        }
        parts
    })
}

/// Opens the directory with Prometheus itself, if it is installed, and asks the same.
fn compare_with_prometheus(dir: &Path, data: &Path, end: i64, expected: &Value) {
    if !Path::new(PROMETHEUS).exists() {
        return;
    }
    let config = dir.join("empty.yml");
    std::fs::write(&config, "global: {}\n").expect("file");
    let original = prometheus(&config, data, &[]);
    let range = format!("/api/v1/query_range?query=hits_total&start={}&end={end}&step=1", end - 60);
    assert_eq!(&original.result(&range), expected, "what Prometheus reads from the same directory");
}
