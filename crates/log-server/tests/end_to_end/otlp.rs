//! OpenTelemetry's logs, over HTTP and gRPC, as a collector sends them.

use prost::Message;
use tonic::codec::CompressionEncoding;
use wire::otlp::logs_service_client::LogsServiceClient;
use wire::otlp::{
    ExportLogsServiceRequest, InstrumentationScope, KeyValue, LogRecord, Resource, ResourceLogs, ScopeLogs,
};

use super::lines;
use super::server::Server;

const CONFIG: &str = "auth_enabled: true
limits_config:
  max_structured_metadata_entries_count: 8
  otlp_config:
    resource_attributes: {attributes_config: [{action: index_label, attributes: [team]}]}
    log_attributes: [{action: drop, regex: 'secret\\..*'}]
";

fn request(at: i64, records: &[(&str, &[(&str, &str)])]) -> ExportLogsServiceRequest {
    let attributes = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| KeyValue::of_text(k, v)).collect();
    let log_records = records.iter().enumerate().map(|(idx, (line, pairs))| LogRecord {
        time_unix_nano: (at + idx as i64) as u64,
        severity_text: "ERROR".to_owned(),
        body: Some((*line).into()),
        attributes: attributes(pairs),
        trace_id: vec![0xab; 16],
        ..LogRecord::default()
    });
    let scope = InstrumentationScope { name: "lib".to_owned(), ..InstrumentationScope::default() };
    let scope_logs =
        ScopeLogs { scope: Some(scope), log_records: log_records.collect(), ..ScopeLogs::default() };
    let resource = Resource {
        attributes: attributes(&[("service.name", "shop"), ("team", "red"), ("host.id", "h1")]),
        ..Resource::default()
    };
    let logs =
        ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

const TENANT: [(&str, &str); 1] = [("X-Scope-OrgID", "a")];

fn of_tenant<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-scope-orgid", "a".parse().expect("a value"));
    request
}

#[tokio::test]
async fn collectors_are_understood_over_grpc_and_http() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), CONFIG).await;
    let at = server.now_ns() - 1_000_000_000;
    let too_many: Vec<(String, String)> = (0..9).map(|n| (format!("k{n}"), n.to_string())).collect();
    let too_many: Vec<(&str, &str)> = too_many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut client = LogsServiceClient::connect(server.base())
        .await
        .expect("connects")
        .send_compressed(CompressionEncoding::Gzip);
    let first = request(at, &[("over gRPC", &[("http.path", "/x"), ("secret.key", "s")])]);
    let nobody = client.export(first.clone()).await.expect_err("a tenant is needed");
    assert_eq!(nobody.code(), tonic::Code::Unauthenticated);
    let answer = client.export(of_tenant(first)).await.expect("stored").into_inner();
    assert_eq!(answer.partial_success, None);
    let half = request(at + 10, &[("kept", &[]), ("too much", &too_many)]);
    let answer = client.export(of_tenant(half)).await.expect("stored in part").into_inner();
    let refused = answer.partial_success.expect("one record is refused");
    assert_eq!(refused.rejected_log_records, 1);
    assert!(refused.error_message.contains("limit: '8'"), "{}", refused.error_message);
    let body = request(at + 20, &[("over HTTP", &[])]).encode_to_vec();
    let kind = "application/x-protobuf";
    let answer = server.post_with("/otlp/v1/logs", kind, body, &TENANT).await;
    assert_eq!(answer, (204, String::new()));
    let query = [("query", "{service_name=\"shop\", team=\"red\"}")];
    let (_, text) = server.get_with("/loki/api/v1/query_range", &query, &TENANT).await;
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut found: Vec<String> = Vec::new();
    for stream in answer["data"]["result"].as_array().expect("streams") {
        for value in stream["values"].as_array().expect("values") {
            found.push(format!("{} {}", value[1].as_str().expect("a line"), stream["stream"]));
        }
    }
    found.sort();
    let common = r#""scope_name":"lib","service_name":"shop","severity_text":"ERROR","team":"red","trace_id":"abababababababababababababababab"}"#;
    assert_eq!(
        found,
        [
            format!(r#"kept {{"detected_level":"error","host_id":"h1",{common}"#),
            format!(r#"over HTTP {{"detected_level":"error","host_id":"h1",{common}"#),
            format!(r#"over gRPC {{"detected_level":"error","host_id":"h1","http_path":"/x",{common}"#),
        ]
    );
}

#[tokio::test]
async fn a_sender_that_is_too_fast_is_told_when_to_try_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = "auth_enabled: false
distributor: {max_recv_msg_size: 64KB}
limits_config: {ingestion_rate_mb: 0.001, ingestion_burst_size_mb: 0.001}
";
    let server = Server::start(dir.path(), config).await;
    let at = server.now_ns();
    let mut client = LogsServiceClient::connect(server.base()).await.expect("connects");
    let long = "x".repeat(2000);
    client.export(request(at, &[(&long, &[])])).await.expect("the burst");
    let refused = client.export(request(at, &[(&long, &[])])).await.expect_err("too fast");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    let status = wire::rpc::Status::decode(refused.details()).expect("a status");
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    // A bomb is bounded by what it expands to.
    let bomb = "y".repeat(1 << 20);
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    client.export(request(at, &[(&bomb, &[])])).await.expect_err("too large");
    assert_eq!(lines(&server, "{service_name=\"shop\"}").await, [long]);
}
