//! What tenants may push and ask, answered as the original does.

use super::server::Server;
use super::{SELECTOR, json_push, lines};

#[tokio::test]
async fn what_limits_refuse_is_named_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = "auth_enabled: false
limits_config:
  max_structured_metadata_size: 16
  per_stream_rate_limit: 100
  per_stream_rate_limit_burst: 120
";
    let server = Server::start(dir.path(), config).await;
    let at = server.now_ns();
    let push =
        async |body: String| server.post("/loki/api/v1/push", "application/json", body.into_bytes()).await;
    let with_metadata = serde_json::json!({ "streams": [{ "stream": { "containers": "host1/web" }, "values": [
        [at.to_string(), "kept", { "a": "b" }],
        [(at + 1).to_string(), "refused", { "abcdefgh": "123456789" }],
    ] }] });
    let (status, text) = push(with_metadata.to_string()).await;
    assert_eq!(status, 400);
    assert!(text.contains("structured metadata too large: '17' bytes, limit: '16' bytes"), "{text}");
    let (status, text) = push(json_push(at + 10, &["first", &"x".repeat(200), "last"])).await;
    assert_eq!(status, 429);
    assert!(
        text.contains("Per stream rate limit exceeded (limit: 100") && text.contains("1 out of 3"),
        "{text}"
    );
    assert_eq!(lines(&server, SELECTOR).await, ["last", "first", "kept"]);
    let metrics = server.get("/metrics", &[]).await.1;
    for reason in ["structured_metadata_too_large", "per_stream_rate_limit"] {
        let counted = format!("loki_discarded_samples_total{{reason=\"{reason}\",tenant=\"fake\"}} 1");
        assert!(metrics.contains(&counted), "{reason}");
    }
}

#[tokio::test]
async fn ingestion_can_be_blocked() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = "auth_enabled: false
limits_config: {block_ingestion_until: '2100-01-01T00:00:00Z'}
";
    let server = Server::start(dir.path(), config).await;
    let body = json_push(server.now_ns(), &["x"]).into_bytes();
    let (status, text) = server.post("/loki/api/v1/push", "application/json", body).await;
    assert_eq!(status, 260);
    assert!(text.starts_with("ingestion blocked for user fake until '2100-01-01T00:00:00Z'"), "{text}");
    assert!(lines(&server, SELECTOR).await.is_empty());
}

#[tokio::test]
async fn queries_can_be_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = "auth_enabled: false
limits_config:
  required_labels: [containers]
  minimum_labels_number: 1
  max_streams_matchers_per_query: 2
  max_query_bytes_read: 100
  blocked_queries: [{pattern: '.*secret.*', regex: true, types: filter}, {pattern: '{containers=\"a\"}'}]
";
    let server = Server::start(dir.path(), config).await;
    let pushed = json_push(server.now_ns(), &["short", &"x".repeat(200)]).into_bytes();
    assert_eq!(server.post("/loki/api/v1/push", "application/json", pushed).await.0, 204);
    for (query, status, part) in [
        (
            "{app=\"b\"}",
            400,
            "missing required matchers [containers], labels present in the query were [app]",
        ),
        ("{containers=\"c\"} |= \"secret\"", 400, "query blocked by policy"),
        ("{containers=\"a\"}", 400, "query blocked by policy"),
        ("{containers=\"c\",a=\"b\",d=\"e\"}", 400, "max streams matchers per query exceeded"),
        ("sum(rate({app=\"b\"}[1m]))", 400, "missing required matchers"),
        ("{containers=\"host1/web\"}", 400, "the query would read too many bytes"),
        ("{containers=\"secret\"}", 200, "streams"),
    ] {
        let (got, text) = server.get("/loki/api/v1/query_range", &[("query", query)]).await;
        assert!(got == status && text.contains(part), "{query}: {got} {text}");
    }
}

#[tokio::test]
async fn limits_of_tenants_change_while_the_server_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("overrides.yaml");
    std::fs::write(&file, "overrides: {a: {max_line_size: 10}}\n").expect("written");
    let config = format!("runtime_config: {{file: {}, period: 100ms}}\n", file.display());
    let server = Server::start(dir.path(), &config).await;
    let at = server.now_ns();
    let push = async |line: &str| {
        let body = json_push(at, &[line]).into_bytes();
        let tenant = [("X-Scope-OrgID", "a")];
        server.post_with("/loki/api/v1/push", "application/json", body, &tenant).await.0
    };
    assert_eq!(push("far more than ten bytes").await, 400);
    std::fs::write(&file, "overrides: {a: {max_line_size: 100}}\n").expect("written");
    let changed = async {
        while push("far more than ten bytes").await != 204 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), changed).await.expect("in time");
    // A file that is wrong changes nothing, and is told.
    std::fs::write(&file, "overrides: {a: {max_line_size: nonsense}}\n").expect("written");
    let told = async {
        while !server.get("/metrics", &[]).await.1.contains("loki_runtime_config_last_reload_successful 0") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.expect("in time");
    assert_eq!(push("far more than ten bytes, once more").await, 204);
}
