//! Alerts to Alertmanagers on loopback.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use ::config::Document;
use model::Labels;
use relabel::NameScheme;
use telemetry::Registry;

use super::*;

/// An Alertmanager that answers `status` and hands on the bodies that it gets.
fn alertmanager(status: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("connection");
            let mut request = Vec::new();
            let mut buf = [0; 65536];
            let body = loop {
                let len = stream.read(&mut buf).expect("request");
                request.extend_from_slice(&buf[..len]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .to_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.lines().next()?.parse().ok());
                if body.len() >= length.unwrap_or(0usize) {
                    break format!("{} {body}", head.lines().next().unwrap_or_default());
                }
            };
            // Handed on before it is answered: whoever has the answer finds the body here.
            if sender.send(body).is_err() {
                return;
            }
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .expect("answer");
        }
    });
    (address, receiver)
}

fn config(yaml: &str) -> AlertingConfig {
    let external = Labels::from_pairs([("site", "a"), ("env", "prod")]);
    let document = Document::parse_yaml("p.yml", yaml).expect("yaml");
    document.read(|root| AlertingConfig::read(root, external, NameScheme::Utf8)).expect("valid").value
}

fn sender(options: SenderOptions) -> (AlertSender, Registry) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry);
    let env = DiscoveryEnv {
        metrics: discovery::Metrics::register(&registry),
        user_agent: "test".to_owned(),
        aliases: http_client::HostAliases::default(),
    };
    (AlertSender::new(options, env, metrics), registry)
}

fn alert(pairs: &[(&str, &str)]) -> Alert {
    Alert {
        labels: Labels::from_pairs(pairs.iter().copied()),
        annotations: Labels::from_pairs([("summary", "down")]),
        starts_at: 1_795_348_800_500,
        ends_at: 1_795_349_040_000,
        generator_url: "http://p/graph".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_relabelled_and_posted_to_every_alertmanager() {
    let ((one, one_got), (two, two_got)) = (alertmanager("200 OK"), alertmanager("200 OK"));
    let (sender, registry) = sender(SenderOptions::default());
    let yaml = format!(
        "alert_relabel_configs: [{{regex: secret, action: labeldrop}}]\nalertmanagers:\n\
         - static_configs: [{{targets: ['{one}', 'gone:1']}}]\n  relabel_configs: [{{source_labels: [__address__], regex: 'gone.*', action: drop}}]\n\
         - path_prefix: /am/\n  static_configs: [{{targets: ['{two}']}}]\n  alert_relabel_configs: [{{source_labels: [env], regex: dev, action: drop}}]\n"
    );
    sender.apply(config(&yaml)).await.expect("applied");
    assert_eq!(sender.dropped(), ["http://gone:1/api/v2/alerts"]);
    assert_eq!(sender.active().len(), 2);
    sender.send(&[alert(&[("alertname", "A"), ("secret", "x"), ("env", "dev")])]);
    let got = one_got.recv().expect("posted");
    assert_eq!(
        got,
        "POST /api/v2/alerts HTTP/1.1 [{\"labels\":{\"alertname\":\"A\",\"env\":\"dev\",\"site\":\"a\"},\
         \"annotations\":{\"summary\":\"down\"},\"startsAt\":\"2026-11-22T12:00:00.5Z\",\
         \"endsAt\":\"2026-11-22T12:04:00Z\",\"generatorURL\":\"http://p/graph\"}]"
    );
    sender.send(&[alert(&[("alertname", "B")])]);
    let got = two_got.recv().expect("posted");
    assert!(got.starts_with("POST /am/api/v2/alerts HTTP/1.1 [{\"labels\":{\"alertname\":\"B\""), "{got}");
    sender.stop().await;
    let text = registry.render(telemetry::Format::Prometheus);
    assert!(text.contains(&format!("sent_total{{alertmanager=\"http://{one}/api/v2/alerts\"}} 2")), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_sent_at_a_stop_in_batches() {
    let (address, got) = alertmanager("500 Oops");
    let (sender, registry) =
        sender(SenderOptions { batch_max: 2, queue_capacity: 3, ..SenderOptions::default() });
    sender
        .apply(config(&format!("alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]")))
        .await
        .expect("applied");
    let alerts: Vec<Alert> = ["1", "2", "3", "4", "5"].iter().map(|n| alert(&[("n", n)])).collect();
    sender.send(&alerts);
    sender.stop().await;
    let posted: Vec<String> = got.try_iter().collect();
    assert_eq!(posted.iter().map(|body| body.matches("\"n\"").count()).collect::<Vec<_>>(), [2, 1]);
    assert!(posted[0].contains("\"n\":\"3\""), "the oldest are dropped: {posted:?}");
    let text = registry.render(telemetry::Format::Prometheus);
    let label = format!("{{alertmanager=\"http://{address}/api/v2/alerts\"}}");
    assert!(text.contains(&format!("notifications_dropped_total{label} 5")), "{text}");
    assert!(text.contains(&format!("notifications_errors_total{label} 3")), "{text}");
    assert!(sender.active().is_empty());
}
