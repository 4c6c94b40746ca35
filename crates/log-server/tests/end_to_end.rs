//! The real binary: pushed to over every protocol, asked, killed and asked again.

#[path = "end_to_end/kill.rs"]
mod kill;
#[path = "end_to_end/limits.rs"]
mod limits;
#[path = "end_to_end/otlp.rs"]
mod otlp;
#[path = "end_to_end/querier.rs"]
mod querier;
#[path = "end_to_end/server.rs"]
mod server;

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use prost::Message;
use serde_json::{Value, json};
use server::Server;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;
use wire::delivery::deliver_request::Message as Incoming;
use wire::delivery::deliver_response::Message as Outgoing;
use wire::delivery::delivery_client::DeliveryClient;
use wire::delivery::{Batch, DeliverRequest, Hello, Label, Line, SourceLines};
use wire::logs::logs_query_client::LogsQueryClient;
use wire::logs::query_response::Part;
use wire::loki::pusher_client::PusherClient;
use wire::loki::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};

const SELECTOR: &str = "{containers=\"host1/web\"}";

fn json_push(at: i64, lines: &[&str]) -> String {
    let values: Vec<Value> =
        lines.iter().enumerate().map(|(idx, line)| json!([(at + idx as i64).to_string(), line])).collect();
    json!({ "streams": [{ "stream": { "containers": "host1/web" }, "values": values }] }).to_string()
}

fn proto_push(at: i64, line: &str) -> Vec<u8> {
    let timestamp = prost_types::Timestamp {
        seconds: at.div_euclid(1_000_000_000),
        nanos: at.rem_euclid(1_000_000_000) as i32,
    };
    let entry = EntryAdapter {
        timestamp: Some(timestamp),
        line: line.to_owned(),
        structured_metadata: vec![LabelPairAdapter { name: "trace".to_owned(), value: "t1".to_owned() }],
        parsed: Vec::new(),
    };
    let stream = StreamAdapter { labels: SELECTOR.to_owned(), entries: vec![entry], hash: 0 };
    let message = PushRequest { streams: vec![stream] }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&message).expect("compresses")
}

/// The lines of a range query, newest first.
async fn lines(server: &Server, query: &str) -> Vec<String> {
    let answer = server.get_json("/loki/api/v1/query_range", &[("query", query), ("limit", "1000")]).await;
    let mut lines: Vec<(String, String)> = Vec::new();
    for stream in answer["data"]["result"].as_array().expect("streams") {
        for value in stream["values"].as_array().expect("values") {
            let text = |idx: usize| value[idx].as_str().expect("a string").to_owned();
            lines.push((text(0), text(1)));
        }
    }
    lines.sort();
    lines.into_iter().rev().map(|(_, line)| line).collect()
}

#[tokio::test]
async fn deleted_lines_are_hidden_until_the_request_is_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let config =
        "auth_enabled: false\ncompactor: {retention_enabled: true, delete_request_store: filesystem}\n";
    let mut server = Server::start(dir.path(), config).await;
    let at = server.now_ns();
    let pushed = json_push(at, &["GET / 200", "GET /x 404", "POST / 200"]);
    assert_eq!(server.post("/loki/api/v1/push", "application/json", pushed.into()).await.0, 204);
    let form = "application/x-www-form-urlencoded";
    let post = async |query: &str| {
        let path = format!("/loki/api/v1/delete?start=1000000000&query={query}");
        server.post(&path, form, Vec::new()).await
    };
    assert_eq!(post("%7Bcontainers%3D%22host1/web%22%7D%20%7C%20regexp%20%22(%22").await.0, 400);
    assert_eq!(post("sum(").await.0, 400);
    let deleted = post("%7Bcontainers%3D%22host1/web%22%7D%20%7C%3D%20%22GET%22").await;
    assert_eq!(deleted, (204, String::new()));
    assert_eq!(lines(&server, SELECTOR).await, ["POST / 200"]);
    assert_eq!(server.post("/flush", form, Vec::new()).await.0, 204);
    assert_eq!(lines(&server, SELECTOR).await, ["POST / 200"]);
    let listed = server.get_json("/loki/api/v1/delete", &[]).await;
    assert_eq!((&listed[0]["status"], &listed[0]["user_id"]), (&json!("received"), &json!("fake")));
    assert_eq!(listed[0]["start_time"], json!(1_000_000_000));
    let id = listed[0]["request_id"].as_str().expect("an id").to_owned();
    assert_eq!(server.delete("/loki/api/v1/delete", &[("request_id", "nothing")]).await.0, 404);
    assert_eq!(server.delete("/loki/api/v1/delete", &[("request_id", &id)]).await.0, 204);
    assert_eq!(lines(&server, SELECTOR).await.len(), 3);
    // By what a parser finds, over a restart.
    let by_status = "%7Bcontainers%3D%22host1/web%22%7D%20%7C%20pattern%20%22%3C_%3E%20%3C_%3E%20%3Cstatus%3E%22%20%7C%20status%3E%3D400";
    assert_eq!(post(by_status).await, (204, String::new()));
    assert_eq!(lines(&server, SELECTOR).await, ["POST / 200", "GET / 200"]);
    server.kill();
    server.restart().await;
    assert_eq!(lines(&server, SELECTOR).await, ["POST / 200", "GET / 200"]);
}

#[tokio::test]
async fn patterns_are_what_filters_take() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), "auth_enabled: false\n").await;
    let at = server.now_ns() - 60_000_000_000;
    let mut sent = Vec::new();
    for n in 0..40 {
        sent.push(format!("level=info user={} took={}ms path=/item/{n}", ["alice", "bob"][n % 2], n * 7));
        sent.push(format!("level=error cannot reach 10.0.0.{n}: refused"));
    }
    let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
    assert_eq!(
        server.post("/loki/api/v1/push", "application/json", json_push(at, &sent).into()).await.0,
        204
    );
    for flushed in [false, true] {
        if flushed {
            server.post("/flush", "", Vec::new()).await;
        }
        let answer = server.get_json("/loki/api/v1/patterns", &[("query", SELECTOR), ("step", "1h")]).await;
        let found: Vec<(&str, &str, u64)> = answer["data"]
            .as_array()
            .expect("patterns")
            .iter()
            .map(|pattern| {
                let samples = pattern["samples"].as_array().expect("samples");
                let count = samples.iter().map(|sample| sample[1].as_u64().expect("a count")).sum();
                let text = |name: &str| pattern[name].as_str().expect("a text");
                (text("pattern"), text("level"), count)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("level=error cannot reach <_>.<_>.<_>.<_>: refused", "error", 40),
                ("level=info user=<_> took=<_>ms path=/item/<_>", "info", 40),
            ]
        );
        for (pattern, _, count) in found {
            let query = format!("{SELECTOR} |> \"{pattern}\"");
            assert_eq!(lines(&server, &query).await.len() as u64, count, "{pattern}");
        }
    }
}

#[tokio::test]
async fn lines_survive_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), "auth_enabled: false\n").await;
    let at = server.now_ns();
    let pushed = server
        .post("/loki/api/v1/push", "application/json", json_push(at, &["GET / 200", "GET /x 404"]).into())
        .await;
    assert_eq!(pushed, (204, String::new()));
    let pushed =
        server.post("/loki/api/v1/push", "application/x-protobuf", proto_push(at + 5, "over protobuf")).await;
    assert_eq!(pushed, (204, String::new()));
    let stream = StreamAdapter {
        labels: SELECTOR.to_owned(),
        entries: vec![EntryAdapter {
            timestamp: Some(prost_types::Timestamp { seconds: at / 1_000_000_000, nanos: 0 }),
            line: "over gRPC".to_owned(),
            ..EntryAdapter::default()
        }],
        hash: 0,
    };
    let mut pusher = PusherClient::connect(server.base()).await.expect("connects");
    pusher.push(PushRequest { streams: vec![stream] }).await.expect("stored");
    let expected = ["over protobuf", "GET /x 404", "GET / 200", "over gRPC"];
    assert_eq!(lines(&server, SELECTOR).await, expected);
    server.kill();
    server.restart().await;
    assert_eq!(lines(&server, SELECTOR).await, expected);
    assert_eq!(
        lines(&server, &format!("{SELECTOR} |~ \"HTTP|GET\" |~ \"[4-5][0-9][0-9]\"")).await,
        ["GET /x 404"]
    );
    let answer = server
        .get_json("/loki/api/v1/query", &[("query", &format!("sum(count_over_time({SELECTOR}[10m]))"))])
        .await;
    assert_eq!(answer["data"]["result"][0]["value"][1], "4");
    assert_eq!(
        server.command(&["query", "--output", "raw", "--limit", "2", SELECTOR]).await,
        "over protobuf\nGET /x 404\n"
    );
    assert_eq!(server.command(&["labels", "containers"]).await, "host1/web\n");
    // What is sent again is there once.
    server
        .post("/loki/api/v1/push", "application/json", json_push(at, &["GET / 200", "GET /x 404"]).into())
        .await;
    assert_eq!(lines(&server, SELECTOR).await, expected);
}

#[tokio::test]
async fn the_api_answers_as_the_original_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), "auth_enabled: false\n").await;
    let at = server.now_ns();
    server.post("/loki/api/v1/push", "application/x-protobuf", proto_push(at, "{\"code\":5}")).await;
    for (path, params, status, body) in [
        ("/ready", &[][..], 200, "ready\n"),
        ("/loki/api/v1/labels", &[], 200, r#"{"status":"success","data":["containers","service_name"]}"#),
        ("/loki/api/v1/label/nope/values", &[], 200, r#"{"status":"success"}"#),
        (
            "/loki/api/v1/series",
            &[("match", SELECTOR)],
            200,
            r#"{"status":"success","data":[{"containers":"host1/web","service_name":"unknown_service"}]}"#,
        ),
        (
            "/loki/api/v1/format_query",
            &[("query", "{a=\"b\"}|=\"x\"")],
            200,
            r#"{"status":"success","data":"{a=\"b\"} |= \"x\""}"#,
        ),
        ("/rules/test/test", &[], 404, "404 page not found\n"),
        ("/api/prom/label", &[], 200, r#"{"values":["containers","service_name"]}"#),
        ("/api/prom/label/containers/values", &[], 200, r#"{"values":["host1/web"]}"#),
        (
            "/api/prom/query",
            &[("query", "rate({a=\"b\"}[1m])")],
            400,
            "legacy endpoints only support streams result type\n",
        ),
        ("/alertmanager/api/v2/status", &[], 404, "404 page not found\n"),
        ("/loki/api/v1/rules", &[], 404, "no rule groups found\n"),
        (
            "/loki/api/v1/tail",
            &[("query", SELECTOR), ("delay_for", "6")],
            400,
            "delay_for can't be greater than 5\n",
        ),
        (
            "/loki/api/v1/query_range",
            &[("query", SELECTOR), ("limit", "0")],
            400,
            "limit must be a positive value\n",
        ),
        (
            "/loki/api/v1/query_range",
            &[("query", SELECTOR), ("direction", "up")],
            400,
            "invalid direction 'up'\n",
        ),
        (
            "/loki/api/v1/query_range",
            &[("query", SELECTOR), ("limit", "5001")],
            400,
            "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)\n",
        ),
        (
            "/loki/api/v1/query_range",
            &[("query", SELECTOR), ("start", "20"), ("end", "10")],
            400,
            "end timestamp must not be before or equal to start time\n",
        ),
        (
            "/loki/api/v1/query",
            &[("query", SELECTOR)],
            400,
            "log queries are not supported as an instant query type, please change your query to a range query type\n",
        ),
        (
            "/loki/api/v1/query_range",
            &[("query", "{a=\"b\"")],
            400,
            "parse error at line 1, col 7: syntax error: unexpected $end, expecting } or ,\n",
        ),
    ] {
        assert_eq!(server.get(path, params).await, (status, body.to_owned()), "{path} {params:?}");
    }
    for (regexp, found) in [("co.e\"", 1), ("nothing", 0)] {
        let answer = server.get_json("/api/prom/query", &[("query", SELECTOR), ("regexp", regexp)]).await;
        assert_eq!(answer["streams"].as_array().map(Vec::len), Some(found), "{answer}");
        if found > 0 {
            assert_eq!(answer["streams"][0]["entries"][0]["line"], "{\"code\":5}");
        }
    }
    let ring = server.get_with("/ring", &[], &[("Accept", "application/json")]).await;
    assert!(ring.0 == 200 && ring.1.contains(r#""state":"ACTIVE""#), "{}", ring.1);
    let flags = [("X-Loki-Response-Encoding-Flags", "categorize-labels")];
    let query = format!("{SELECTOR} | json");
    let (_, body) = server.get_with("/loki/api/v1/query_range", &[("query", &query)], &flags).await;
    let expected = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"streams\",\"encodingFlags\":[\"categorize-labels\"],\"result\":[{{\
         \"stream\":{{\"containers\":\"host1/web\",\"service_name\":\"unknown_service\"}},\"values\":[[\"{at}\",\"{{\\\"code\\\":5}}\",\
         {{\"structuredMetadata\":{{\"detected_level\":\"unknown\",\"trace\":\"t1\"}},\"parsed\":{{\"code\":\"5\"}}}}]]}}],\"stats\":{{"
    );
    assert!(body.starts_with(&expected), "{body}\n{expected}");
    let answer = server
        .get_json("/loki/api/v1/query", &[("query", "vector(1)+vector(1)"), ("time", "4000000000")])
        .await;
    assert_eq!(answer["data"]["result"], json!([{ "metric": {}, "value": [4_000_000_000u64, "2"] }]));
}

#[tokio::test]
async fn bad_bodies_are_refused_and_what_is_valid_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let config =
        "auth_enabled: false\ndistributor: {max_recv_msg_size: 64KB}\nlimits_config: {max_line_size: 1KB}\n";
    let server = Server::start(dir.path(), config).await;
    let at = server.now_ns();
    let long = "x".repeat(2000);
    let half = json_push(at, &["short", &long]);
    let old = json_push(at - 30 * 86_400_000_000_000, &["old"]);
    for (kind, body, status, part) in [
        ("", b"x".to_vec(), 400, "Content-Type"),
        ("application/json", b"{".to_vec(), 400, "EOF"),
        ("application/json", b"{\"streams\":[]}".to_vec(), 422, "at least one valid stream"),
        ("application/x-protobuf", b"garbage".to_vec(), 400, "not valid Snappy"),
        ("application/json", vec![b' '; 100_000], 413, "distributor.max_recv_msg_size"),
        ("application/json", half.into_bytes(), 400, "max entry size '1024' bytes exceeded"),
        ("application/json", old.into_bytes(), 400, "timestamp too old"),
    ] {
        let (got, text) = server.post("/loki/api/v1/push", kind, body).await;
        assert!(got == status && text.contains(part), "{kind}: {got} {text}");
    }
    assert_eq!(lines(&server, SELECTOR).await, ["short"]);
}

#[tokio::test]
async fn tails_show_what_comes() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), "auth_enabled: false\n").await;
    let at = server.now_ns();
    server.post("/loki/api/v1/push", "application/json", json_push(at, &["first"]).into()).await;
    let url = server.url("/loki/api/v1/tail", &[("query", &format!("{SELECTOR} != \"hidden\""))]);
    let (mut socket, _) =
        tokio_tungstenite::connect_async(url.replacen("http", "ws", 1)).await.expect("upgrades");
    let mut seen = Vec::new();
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while seen.len() < 3 {
        let frame = tokio::time::timeout_at(end, socket.next()).await.expect("in time");
        let Frame::Text(text) = frame.expect("a frame").expect("readable") else { continue };
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        for stream in frame["streams"].as_array().expect("streams") {
            for value in stream["values"].as_array().expect("values") {
                seen.push(value[1].as_str().expect("a line").to_owned());
            }
        }
        if seen == ["first"] {
            let more = json_push(at + 10, &["second", "hidden", "third"]);
            server.post("/loki/api/v1/push", "application/json", more.into()).await;
        }
    }
    assert_eq!(seen, ["first", "second", "third"]);
    socket.send(Frame::Close(None)).await.expect("closes");
    let url = server.url("/loki/api/v1/tail", &[("query", &format!("rate({SELECTOR}[1m])"))]);
    let (mut socket, _) =
        tokio_tungstenite::connect_async(url.replacen("http", "ws", 1)).await.expect("upgrades");
    let frame = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    match frame.expect("a frame").expect("readable") {
        Frame::Close(Some(close)) => {
            assert_eq!(
                (u16::from(close.code), close.reason.as_str()),
                (1011, "only log selector is supported")
            );
        }
        other => assert_eq!(other, Frame::Close(None)),
    }
}

fn batch(sequence: u64, at: i64, lines: &[(u64, &str)]) -> DeliverRequest {
    let label = Label { name: "containers".to_owned(), value: "host1/web".to_owned() };
    let lines = lines.iter().map(|(offset, text)| Line {
        timestamp_ns: at + *offset as i64,
        text: (*text).to_owned(),
        offset: *offset,
        ordinal: 0,
        structured_metadata: Vec::new(),
    });
    let source = SourceLines {
        labels: vec![label],
        source: "host1/file//var/log/x".to_owned(),
        generation: 1,
        lines: lines.collect(),
    };
    DeliverRequest {
        message: Some(Incoming::Batch(Batch { sequence, sources: vec![source], ..Default::default() })),
    }
}

fn hello() -> DeliverRequest {
    DeliverRequest {
        message: Some(Incoming::Hello(Hello { agent: "host1".to_owned(), version: String::new() })),
    }
}

#[tokio::test]
async fn deliveries_are_stored_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), "auth_enabled: false\n").await;
    // Late lines are no reason to refuse a delivery.
    let at = server.now_ns() - 3 * 3_600_000_000_000;
    let first =
        vec![hello(), batch(1, at, &[(10, "one"), (20, "two")]), batch(2, at, &[(20, "two"), (30, "three")])];
    let mut client = DeliveryClient::connect(server.base()).await.expect("connects");
    let mut answers = client.deliver(futures::stream::iter(first)).await.expect("streams").into_inner();
    let mut acks = Vec::new();
    while let Some(answer) = answers.message().await.expect("an answer") {
        match answer.message {
            Some(Outgoing::Welcome(welcome)) => assert!(welcome.positions.is_empty()),
            Some(Outgoing::Ack(ack)) => acks.push((ack.sequence, ack.stored, ack.duplicates, ack.rejected)),
            other => assert_eq!(other, None),
        }
    }
    assert_eq!(acks, [(1, 2, 0, 0), (2, 1, 1, 0)]);
    server.kill();
    server.restart().await;
    let mut client = DeliveryClient::connect(server.base()).await.expect("connects");
    let mut answers =
        client.deliver(futures::stream::iter(vec![hello()])).await.expect("streams").into_inner();
    let answer = answers.message().await.expect("an answer").expect("welcome");
    let Some(Outgoing::Welcome(welcome)) = answer.message else { panic!("no welcome: {answer:?}") };
    let positions: Vec<_> =
        welcome.positions.iter().map(|p| (p.source.as_str(), p.generation, p.offset)).collect();
    assert_eq!(positions, [("host1/file//var/log/x", 1, 30)]);
    let mut client = LogsQueryClient::connect(server.base()).await.expect("connects");
    let request = wire::logs::RangeRequest {
        query: SELECTOR.to_owned(),
        start_ns: at - 1,
        end_ns: at + 1000,
        step_ns: 0,
        limit: 10,
        forward: true,
    };
    let mut parts = client.range(request).await.expect("answers").into_inner();
    let mut lines = Vec::new();
    while let Some(part) = parts.message().await.expect("a part") {
        if let Some(Part::Streams(batch)) = part.part {
            lines.extend(batch.streams.into_iter().flat_map(|stream| stream.entries).map(|entry| entry.line));
        }
    }
    assert_eq!(lines, ["one", "two", "three"]);
}

/// Something in Alertmanager's place: its address, and what is posted to it.
async fn alertmanager() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Value>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = move |axum::Json(alerts): axum::Json<Value>| async move {
        sender.send(alerts).ok();
    };
    let router = axum::Router::new().route("/api/v2/alerts", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, receiver)
}

#[tokio::test]
async fn rules_fire_and_are_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let rules = dir.path().join("rules/fake");
    std::fs::create_dir_all(&rules).expect("a directory");
    std::fs::write(
        rules.join("web.yaml"),
        "groups:\n- name: web\n  interval: 1s\n  rules:\n  - alert: Errors\n    expr: sum(count_over_time({containers=\"host1/web\"} |= \"error\" [5m])) > 0\n    labels: {severity: page}\n",
    )
    .expect("written");
    let (alertmanager, mut received) = alertmanager().await;
    let config = format!(
        "auth_enabled: false\nruler: {{alertmanager_url: \"http://{alertmanager}\", storage: {{type: local, local: {{directory: {}}}}}}}\n",
        dir.path().join("rules").display()
    );
    let server = Server::start(dir.path(), &config).await;
    let at = server.now_ns();
    server.post("/loki/api/v1/push", "application/json", json_push(at, &["an error"]).into()).await;
    let firing = server
        .await_json("/prometheus/api/v1/alerts", |answer| {
            answer["data"]["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty())
        })
        .await;
    let alert = &firing["data"]["alerts"][0];
    assert_eq!((&alert["state"], &alert["value"]), (&json!("firing"), &json!("1e+00")));
    assert_eq!(alert["labels"], json!({ "alertname": "Errors", "severity": "page" }));
    let sent = tokio::time::timeout(Duration::from_secs(20), received.recv()).await.expect("in time");
    assert_eq!(sent.expect("alerts")[0]["labels"], json!({ "alertname": "Errors", "severity": "page" }));
    let (status, yaml) = server.get("/loki/api/v1/rules/web.yaml/web", &[]).await;
    assert!(status == 200 && yaml.starts_with("name: web\ninterval: 1s\n"), "{yaml}");
}

/// Something in a metrics server's place: its address, and the samples that are sent to it with the tenant they are of.
async fn metrics_server() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<(String, String, f64)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = move |headers: http::HeaderMap, body: axum::body::Bytes| async move {
        let tenant = headers["x-scope-orgid"].to_str().expect("text").to_owned();
        let message = snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
        let request = wire::prometheus::WriteRequest::decode(message.as_slice()).expect("a write request");
        for series in request.timeseries {
            let labels: Vec<String> =
                series.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
            for sample in series.samples {
                sender.send((tenant.clone(), labels.join(","), sample.value)).ok();
            }
        }
    };
    let router = axum::Router::new().route("/api/v1/write", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, receiver)
}

#[tokio::test]
async fn what_rules_record_is_sent_to_a_metrics_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let rules = dir.path().join("rules/fake");
    std::fs::create_dir_all(&rules).expect("a directory");
    std::fs::write(
        rules.join("web.yaml"),
        "groups:\n- name: web\n  interval: 1s\n  rules:\n  - record: web:errors\n    expr: sum by (containers) (count_over_time({containers=\"host1/web\"} |= \"error\" [5m]))\n    labels: {from: logs, drop: me}\n",
    )
    .expect("written");
    let (metrics, mut received) = metrics_server().await;
    let config = format!(
        "auth_enabled: false
ruler:
  storage: {{type: local, local: {{directory: {}}}}}
  remote_write:
    enabled: true
    clients:
      main:
        url: http://{metrics}/api/v1/write
        queue_config: {{batch_send_deadline: 100ms}}
        write_relabel_configs: [{{action: labeldrop, regex: drop}}]
",
        dir.path().join("rules").display()
    );
    let server = Server::start(dir.path(), &config).await;
    let at = server.now_ns();
    let pushed = json_push(at, &["an error", "fine", "another error"]);
    server.post("/loki/api/v1/push", "application/json", pushed.into()).await;
    let sample = tokio::time::timeout(Duration::from_secs(20), received.recv()).await.expect("in time");
    assert_eq!(
        sample,
        Some(("fake".to_owned(), "__name__=web:errors,containers=host1/web,from=logs".to_owned(), 2.0))
    );
}

#[tokio::test]
async fn subcommands_do_the_work_of_logcli() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = "auth_enabled: false\ncompactor: {retention_enabled: true}\n";
    let server = Server::start(dir.path(), config).await;
    let at = server.now_ns() - 1_000_000_000;
    let pushed = json_push(at, &["code=1 error", "code=2"]);
    server.post("/loki/api/v1/push", "application/json", pushed.into()).await;
    server.post("/flush", "", Vec::new()).await;
    let labels = "{containers=\"host1/web\", service_name=\"unknown_service\"}";
    for (arguments, part) in [
        (&["series", SELECTOR][..], labels),
        (&["series", "--analyze-labels", SELECTOR], "containers    1              1"),
        (&["stats", SELECTOR], "entries: 2"),
        (&["volume", SELECTOR], "{containers=\"host1/web\"}"),
        (&["volume_range", "--step", "1h", SELECTOR], "{containers=\"host1/web\"}"),
        (&["detected-fields", SELECTOR], "label: code"),
        (&["detected-fields", SELECTOR, "code"], "1\n2\n"),
        (&["instant-query", "sum(count_over_time({containers=\"host1/web\"}[1h]))"], " 2\n"),
        (&["delete", "list"], "no delete requests"),
        (&["delete", "create", "--from", "1000000000", "{containers=\"host1/web\"} |= \"error\""], "created"),
        (&["delete", "list"], "00000001  received"),
        (&["query", "--output", "raw", SELECTOR], "code=2\n"),
        (&["delete", "cancel", "00000001"], "cancelled"),
        (&["query", "--output", "raw", "--limit", "1", "--forward", SELECTOR], "code=1 error\n"),
    ] {
        let text = server.command(arguments).await;
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
    let data = dir.path().join("data");
    let inspected = server.run(&["inspect", "--verify", "--streams", &data.display().to_string()]).await;
    assert!(inspected.contains(&format!("{labels}: 2 entries in 1 blocks")), "{inspected}");
}

#[tokio::test]
async fn tenants_are_kept_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), "auth_enabled: true\n").await;
    let at = server.now_ns();
    let body = json_push(at, &["of a"]);
    assert_eq!(
        server.post("/loki/api/v1/push", "application/json", body.clone().into()).await,
        (401, "no org id\n".to_owned())
    );
    let tenant = |name: &'static str| [("X-Scope-OrgID", name)];
    let pushed = server.post_with("/loki/api/v1/push", "application/json", body.into(), &tenant("a")).await;
    assert_eq!(pushed.0, 204);
    let path = "/loki/api/v1/label/containers/values";
    let (_, values) = server.get_with(path, &[], &tenant("a")).await;
    assert_eq!(values, r#"{"status":"success","data":["host1/web"]}"#);
    let (_, values) = server.get_with(path, &[], &tenant("b")).await;
    assert_eq!(values, r#"{"status":"success"}"#);
}
