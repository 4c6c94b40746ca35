//! Two members of a cluster: they tell once; when one is killed, the other tells.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::just_now;
use crate::receivers::webhook;
use crate::server::{PATIENCE, Server, free_port, http, http_get, wait_for};

const PAYLOAD: &str =
    "{name: '{{ .GroupLabels.alertname }}', status: '{{ .Status }}', link: '{{ .AckURL }}'}";

/// A member with its directories below `dir`; the first one by its name goes first.
fn member(dir: &Path, name: &str, hook_port: u16, port: u16, gossip_port: u16, peers: &[u16]) -> Server {
    member_with(dir, name, [hook_port, port, gossip_port], peers, &[])
}

fn member_with(
    dir: &Path,
    name: &str,
    [hook_port, port, gossip_port]: [u16; 3],
    peers: &[u16],
    more: &[String],
) -> Server {
    let dir = dir.join(name);
    std::fs::create_dir_all(&dir).expect("a directory");
    let text = format!(
        "route: {{receiver: page, group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 4h}}
receivers: [{{name: page, webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/', payload: {PAYLOAD}}}]}}]
"
    );
    std::fs::write(dir.join("am.yml"), text).expect("a file");
    let mut flags = vec![
        format!("--cluster.listen-address=127.0.0.1:{gossip_port}"),
        format!("--cluster.peer-name={name}"),
    ];
    flags.extend(peers.iter().map(|port| format!("--cluster.peer=127.0.0.1:{port}")));
    let times = ["peer-timeout=2s", "gossip-interval=50ms", "probe-interval=400ms", "probe-timeout=150ms"];
    flags.extend(times.map(|time| format!("--cluster.{time}")));
    let times = ["reconnect-interval=500ms", "pushpull-interval=2s", "settle-timeout=20s", "label=test"];
    flags.extend(times.map(|time| format!("--cluster.{time}")));
    flags.extend(more.iter().cloned());
    Server::start_with(&dir, port, &flags)
}

/// An authority, a certificate for 127.0.0.1 that it has signed, and one that signs itself; none without openssl.
fn certificates(dir: &Path) -> Option<()> {
    let run = |words: &str| {
        let words = words.split(' ').collect::<Vec<&str>>();
        let output = Command::new("openssl").args(&words).current_dir(dir).output().ok()?;
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3";
    std::fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("a file");
    run(&format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem"))?;
    run(&format!("req {key} -subj /CN=member -keyout member.key -out member.csr"))?;
    run(
        "x509 -req -in member.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3 -extfile names -out member.pem",
    )?;
    run(&format!(
        "req -x509 {key} -subj /CN=stranger -addext subjectAltName=IP:127.0.0.1 -keyout stranger.key -out stranger.pem"
    ))
}

#[test]
fn members_encrypt_and_keep_strangers_out() {
    let dir = tempfile::tempdir().expect("a directory");
    if certificates(dir.path()).is_none() {
        return;
    }
    let tls = |name: &str| {
        let text = format!(
            "tls_server_config: {{cert_file: {name}.pem, key_file: {name}.key, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}}
tls_client_config: {{cert_file: {name}.pem, key_file: {name}.key, ca_file: ca.pem}}
"
        );
        let file = dir.path().join(format!("{name}.yml"));
        std::fs::write(&file, text).expect("a file");
        [format!("--cluster.tls-config={}", file.display())]
    };
    let (hook_port, hooks) = webhook("200 OK");
    let gossip = [free_port(), free_port(), free_port(), free_port()];
    let start = |name: &str, own: u16, more: &[String]| {
        member_with(dir.path(), name, [hook_port, free_port(), own], &gossip[..2], more)
    };
    let a = start("a", gossip[0], &tls("member"));
    let b = start("b", gossip[1], &tls("member"));
    // One with a certificate of its own making, and one without any: they stay alone.
    let stranger = start("c", gossip[2], &tls("stranger"));
    let plain = start("d", gossip[3], &[]);
    wait_for_members(&a, 2);
    wait_for_members(&b, 2);
    let begun = just_now();
    for server in [&a, &b] {
        server.cli(&["alert", "add", "Down", "instance=a", "--start", &begun]);
    }
    assert_eq!(told(&hooks), ("Down".to_owned(), "firing".to_owned()));
    wait_until_known(&b, "Down", "a");
    let id = a.cli(&["silence", "add", "alertname=Quiet", "-c", "why", "-a", "me"]).trim().to_owned();
    wait_for(&b, "/api/v2/silences", |silences| silences.to_string().contains(&id));
    wait_for_members(&stranger, 1);
    wait_for_members(&plain, 1);
    wait_for_members(&a, 2);
    for line in ["cluster_pings_seconds_count{peer=\"b\"}", "cluster_alive_messages_total{peer=\"b\"}"] {
        assert!(http_get(&a.url, "/metrics").contains(line), "{line}");
    }
    assert_eq!(hooks.try_recv().ok().map(|body| name_of(&body)), None);
    // One that is gone is missed here, too.
    b.kill();
    wait_for_members(&a, 1);
}

fn wait_for_members(server: &Server, count: usize) {
    wait_for(server, "/api/v2/status", |status| {
        status["cluster"]["status"] == "ready"
            && status["cluster"]["peers"].as_array().is_some_and(|peers| peers.len() == count)
    });
}

fn name_of(body: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&body["name"]), text(&body["status"]))
}

fn told(hooks: &Receiver<Value>) -> (String, String) {
    name_of(&hooks.recv_timeout(PATIENCE).expect("a webhook"))
}

#[test]
fn two_members_tell_once_and_one_alone_tells_all_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let (ports, gossip) = ([free_port(), free_port()], [free_port(), free_port()]);
    let a = member(dir.path(), "a", hook_port, ports[0], gossip[0], &[gossip[1]]);
    let b = member(dir.path(), "b", hook_port, ports[1], gossip[1], &[gossip[0]]);
    wait_for_members(&a, 2);
    wait_for_members(&b, 2);
    let shown = b.cli(&["cluster", "show"]);
    assert!(shown.contains("ready") && shown.contains(&format!("127.0.0.1:{}", gossip[0])), "{shown}");
    if let Ok(output) = Command::new("amtool")
        .args([
            &format!("--alertmanager.url={}", b.url),
            "--no-version-check",
            "--output=extended",
            "cluster",
            "show",
        ])
        .output()
    {
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains(&format!("127.0.0.1:{}", gossip[0])), "{shown}");
    }
    let metrics = http_get(&b.url, "/metrics");
    for line in
        ["alertmanager_cluster_members 2", "alertmanager_peer_position 1", "alertmanager_cluster_enabled 1"]
    {
        assert!(metrics.contains(line), "{line}");
    }

    // Both get it, one tells.
    let begun = just_now();
    for server in [&a, &b] {
        server.cli(&["alert", "add", "Down", "instance=a", "--start", &begun]);
    }
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!(name_of(&body), ("Down".to_owned(), "firing".to_owned()));
    wait_until_known(&b, "Down", "a");
    check_link(&body, &a);
    check_link(&body, &b);
    // A silence of one is the other's; so is an acknowledgement, and its end.
    let id = a.cli(&["silence", "add", "alertname=Quiet", "-c", "why", "-a", "me"]).trim().to_owned();
    wait_for(&b, "/api/v2/silences", |silences| silences.to_string().contains(&id));
    b.cli(&["silence", "expire", &id]);
    wait_for(&a, "/api/v2/silences", |silences| silences[0]["status"]["state"] == "expired");

    // One that is killed is missed, and the other goes on alone. What was told is not told again.
    a.kill();
    b.cli(&["alert", "add", "Alone", "instance=b"]);
    assert_eq!(told(&hooks), ("Alone".to_owned(), "firing".to_owned()));
    wait_for_members(&b, 1);
    // Started again, it learns what was told meanwhile, and tells what is new.
    let a = member(dir.path(), "a", hook_port, ports[0], gossip[0], &[gossip[1]]);
    wait_for_members(&a, 2);
    wait_for_members(&b, 2);
    for server in [&a, &b] {
        server.cli(&["alert", "add", "Down", "instance=a"]);
        server.cli(&["alert", "add", "Alone", "instance=b"]);
        server.cli(&["alert", "add", "New", "instance=c", "--start", &begun]);
    }
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!(name_of(&body), ("New".to_owned(), "firing".to_owned()));
    wait_until_known(&b, "New", "c");
    // Its key is the one of before it was killed; whoever of the two has told.
    check_link(&body, &a);
    check_link(&body, &b);
    assert_eq!(hooks.try_recv().ok().map(|body| name_of(&body)), None);
    b.kill();
    // Sent twice over, as it cannot be heard any more.
    a.cli(&["alert", "add", "Last", "instance=d"]);
    assert_eq!(told(&hooks), ("Last".to_owned(), "firing".to_owned()));
}

/// The link in a message leads to a form at any member that has the alert.
fn check_link(body: &Value, server: &Server) {
    let link =
        body["link"].as_str().and_then(|link| link.strip_prefix("http://am.example")).expect("our URL");
    let page = http_get(&server.url, link);
    assert!(page.contains("200 OK") && page.contains("<form"), "{page}");
}

/// Waits until a member knows that somebody was told of an alert.
fn wait_until_known(server: &Server, name: &str, instance: &str) {
    let body = serde_json::json!({ "labels": { "alertname": name, "instance": instance } }).to_string();
    let head = "POST /api/watchbell/v1/explain HTTP/1.0\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let begun = Instant::now();
    loop {
        let answer = http(&server.url, &request);
        if answer.contains("\"lastTold\":\"") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer}");
        thread::sleep(Duration::from_millis(50));
    }
}
