//! `--enable-feature`

use crate::receivers::webhook;
use crate::server::{PATIENCE, Server, free_port, http_get, wait_for};

/// What dashboards and rules for the original ask for, beside what a cluster has.
const NAMES: &str = "alerts alerts_received_total alerts_limited_total alerts_per_alert_limit \
    alerts_subscriber_channel_writes_total notifications_total notification_requests_total notification_latency_seconds \
    notifications_suppressed_total config_hash config_last_reload_successful config_last_reload_success_timestamp_seconds \
    receivers integrations inhibition_rules dispatcher_aggregation_groups dispatcher_alert_processing_duration_seconds \
    dispatcher_aggregation_group_limit_reached_total silences silences_gc_duration_seconds silences_gc_errors_total \
    silences_maintenance_total silences_maintenance_errors_total silences_queries_total silences_query_errors_total \
    silences_query_duration_seconds silences_query_silences_scanned_total silences_query_silences_skipped_total \
    silences_snapshot_duration_seconds silences_snapshot_size_bytes silences_state_size silences_version_index_size \
    silences_matcher_index_size nflog_gc_duration_seconds nflog_maintenance_total nflog_maintenance_errors_total \
    nflog_snapshot_duration_seconds nflog_snapshot_size_bytes cluster_enabled http_request_duration_seconds \
    http_response_size_bytes http_requests_in_flight http_concurrency_limit_exceeded_total build_info";

#[test]
fn metrics_have_the_labels_that_features_add() {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let text = format!(
        "route: {{receiver: page, group_by: [alertname], group_wait: 50ms, group_interval: 200ms, repeat_interval: 4h}}
receivers: [{{name: page, webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/'}}]}}]
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let features = "alert-names-in-metrics,receiver-name-in-metrics,group-key-in-metrics";
    let flags = ["--cluster.listen-address=".to_owned(), format!("--enable-feature={features}")];
    let server = Server::start_with(dir.path(), free_port(), &flags);
    server.cli(&["alert", "add", "Down", "instance=a"]);
    hooks.recv_timeout(PATIENCE).expect("a webhook");
    server.cli(&["silence", "add", "Quiet", "-c", "x"]);
    server.cli(&["alert", "add", "Quiet"]);
    wait_for(&server, "/api/watchbell/v1/history", |history| {
        history.to_string().contains("\"notification\"")
    });
    let begun = std::time::Instant::now();
    let whose = "receiver_name=\"page\",group_key=\"{}:{alertname=\\\"Down\\\"}\"";
    loop {
        let metrics = http_get(&server.url, "/metrics");
        let missing: Vec<String> = [
            "alerts_received_total{status=\"firing\",version=\"v2\",alertname=\"Down\"} 1".to_owned(),
            format!("notifications_total{{integration=\"webhook\",{whose}}} 1"),
            format!("notification_requests_total{{integration=\"webhook\",{whose}}} 1"),
            format!("notification_latency_seconds_count{{integration=\"webhook\",{whose}}} 1"),
            "notifications_suppressed_total{reason=\"silence\",group_key=\"{}:{alertname=\\\"Quiet\\\"}\"} 1"
                .to_owned(),
        ]
        .into_iter()
        .filter(|line| !metrics.contains(&format!("alertmanager_{line}")))
        .collect();
        // The suppression is counted with each flush.
        if missing.iter().all(|line| line.contains("suppressed"))
            && metrics.contains("reason=\"silence\",group_key")
        {
            for name in NAMES.split_whitespace() {
                assert!(metrics.contains(&format!("# TYPE alertmanager_{name} ")), "{name}");
            }
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{missing:?} in {metrics}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn receivers_are_chosen_by_their_labels() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "route: {receiver: page, group_by: [alertname], group_wait: 1h, routes: [{matchers: [a=b], receiver: 'b.2'}]}
receivers:
- {name: page, labels: {tier: one}}
- {name: 'b.2', labels: {tier: 'two (2)'}}
- {name: 'bx2'}
";
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let server = Server::start(dir.path(), free_port());
    server.cli(&["alert", "add", "Down", "instance=a"]);
    server.cli(&["alert", "add", "Other", "a=b"]);
    for (path, expected) in [
        (
            "receivers?receiver_matchers=tier%3D~two.*",
            "[{\"name\":\"b.2\",\"labels\":{\"tier\":\"two (2)\"}}]",
        ),
        ("receivers?receiver_matchers=name%3Dbx2", "[{\"name\":\"bx2\",\"labels\":{}}]"),
        ("alerts?receiver_matchers=tier%3D~two.*", "\"receivers\":[{\"name\":\"b.2\"}]"),
        ("alerts?receiver_matchers=tier%3D~two.*&receiver=page", "\r\n\r\n[]"),
        ("alerts?receiver_matchers=tier%3Dnone", "\r\n\r\n[]"),
        (
            "alerts/groups?receiver_matchers=tier%3D~one&receiver_matchers=name!%3Dx",
            "\"receiver\":{\"name\":\"page\"}",
        ),
        ("alerts/groups?receiver_matchers=a%3D~(", "400 Bad Request"),
    ] {
        let answer = http_get(&server.url, &format!("/api/v2/{path}"));
        assert!(answer.contains(expected), "{path}: {answer}");
    }
}
