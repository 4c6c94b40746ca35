//! The real binary with a real webhook receiver and a real SMTP dialogue; killed and started again.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use receivers::{mail_server, unsteady_webhook, webhook};
use server::{BINARY, PATIENCE, Server, free_port, get_json, http, http_get, original, wait_for};

mod amtool;
mod cluster;
mod differential;
mod features;
mod mail;
mod receivers;
mod server;

fn write_config(dir: &Path, webhook: u16, mail: u16) {
    let text = format!(
        "global: {{smtp_smarthost: 'localhost:{mail}', smtp_from: 'am@example.com', smtp_require_tls: false}}
route: {{receiver: team, group_by: [alertname], group_wait: 200ms, group_interval: 500ms, repeat_interval: 1h}}
receivers:
- name: team
  webhook_configs: [{{url: 'http://127.0.0.1:{webhook}/hook'}}]
  email_configs: [{{to: 'you@example.com', text: 'plain {{{{ .Status }}}}'}}]
- name: broken
  webhook_configs: [{{url: 'http://127.0.0.1:1/'}}]
"
    );
    std::fs::write(dir.join("am.yml"), text).expect("a file");
}

#[test]
fn alerts_are_told_once_over_a_kill_and_silences_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let (mail_port, mails) = mail_server();
    write_config(dir.path(), hook_port, mail_port);
    let port = free_port();
    let server = Server::start(dir.path(), port);

    server.cli(&["alert", "add", "Down", "instance=a", "--annotation=summary=It is <down>"]);
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!(
        (&body["version"], &body["status"], &body["receiver"]),
        (&"4".into(), &"firing".into(), &"team".into())
    );
    assert_eq!(body["groupKey"], "{}:{alertname=\"Down\"}");
    assert_eq!(body["groupLabels"], serde_json::json!({ "alertname": "Down" }));
    assert_eq!(body["commonAnnotations"]["summary"], "It is <down>");
    assert_eq!((&body["truncatedAlerts"], &body["externalURL"]), (&0.into(), &"http://am.example".into()));
    assert_eq!(body["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(body["alerts"][0]["fingerprint"].as_str().map(str::len), Some(16));
    let mail = mails.recv_timeout(PATIENCE).expect("a mail");
    for part in [
        "Subject: [FIRING:1] Down (a)",
        "From: am@example.com",
        "To: you@example.com",
        "plain firing",
        "text/html",
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }

    let id =
        server.cli(&["silence", "add", "Quiet", "-c", "planned", "-d", "2h", "-a", "me"]).trim().to_owned();
    assert_eq!(id.len(), 36);
    // A notification is counted once it is logged; before that a kill may send it again.
    let begun = Instant::now();
    loop {
        let metrics = http_get(&server.url, "/metrics");
        let sent = |kind: &str| {
            metrics.contains(&format!("alertmanager_notifications_total{{integration=\"{kind}\"}} 1"))
        };
        if sent("webhook") && sent("email") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{metrics}");
        thread::sleep(Duration::from_millis(50));
    }
    check_silences(&server, dir.path());
    drop(server);

    // Killed. Started again, it knows the silence and tells nobody twice.
    let server = Server::start(dir.path(), port);
    let silences = server.cli(&["silence", "query", "--output", "json"]);
    assert!(silences.contains(&id) && silences.contains("planned"), "{silences}");
    server.cli(&["alert", "add", "Down", "instance=a", "--annotation=summary=It is <down>"]);
    server.cli(&["alert", "add", "Quiet", "instance=q"]);
    server.cli(&["alert", "add", "Other", "instance=b"]);
    let body = hooks.recv_timeout(PATIENCE).expect("the other alert's webhook");
    assert_eq!(body["groupLabels"]["alertname"], "Other");
    assert!(mails.recv_timeout(PATIENCE).expect("the other alert's mail").contains("Other"));

    // Expired, the silenced alert is told.
    server.cli(&["silence", "expire", &id]);
    assert!(server.cli(&["silence", "query", "--expired", "-q"]).contains(&id));
    let body = hooks.recv_timeout(PATIENCE).expect("the silenced alert's webhook");
    assert_eq!(body["groupLabels"]["alertname"], "Quiet");
    assert!(server.cli(&["alert", "query", "Down"]).contains("It is <down>"));

    assert!(server.cli(&["config", "show"]).contains("receiver: team"));
    let file = dir.path().join("am.yml");
    let flag = format!("--config.file={}", file.display());
    assert_eq!(server.cli(&["config", "routes", "test", &flag, "alertname=x"]), "team\n");
    assert_eq!(server.cli(&["test-receiver", "team", &flag]).lines().count(), 2);
    let explained = server.cli(&["explain", "Down", "instance=a", "--render"]);
    for part in ["told: team\n", "webhook[0]: last told: 20", "email[0] would send", "FIRING:1] Down (a)"] {
        assert!(explained.contains(part), "{part} in {explained}");
    }
    let glob = format!("--template.glob={}", dir.path().join("*.tmpl").display());
    let text = "--template.text={{ .Status }} {{ template \"slack.default.title\" . }}";
    assert_eq!(server.cli(&["template", "render", &glob, text]), "firing [FIRING:1] WatchbellTest (info)\n");
    let tested = http(&server.url, "POST /api/watchbell/v1/receivers/broken/test HTTP/1.0\r\n\r\n");
    assert!(tested.contains("200 OK") && tested.contains("\"ok\":false"), "{tested}");
    let failed = server.try_cli(&["test-receiver", "broken", &flag]);
    assert!(
        !failed.status.success() && String::from_utf8_lossy(&failed.stdout).contains("webhook[0] failed")
    );
    assert!(server.try_cli(&["healthcheck", "--url", &format!("{}/-/healthy", server.url)]).status.success());
    check_http(&server);
    check_reload(&server, &file);
    real_amtool(&server);
}

/// Previews, silences that end with their alerts, changes and imports.
fn check_silences(server: &Server, dir: &Path) {
    let preview = |matcher: &str| {
        let body = format!("{{\"matchers\":[\"{matcher}\"]}}");
        let head =
            format!("POST /api/watchbell/v1/silences/preview HTTP/1.0\r\nContent-Length: {}", body.len());
        http(&server.url, &format!("{head}\r\n\r\n{body}"))
    };
    let shown = preview("instance=~a|b");
    assert!(shown.contains("\"firing\":[{") && shown.contains("\"times\":1"), "{shown}");
    assert!(preview("instance=~.*").contains("400 Bad Request"));
    // It ends with the alert that it mutes.
    let own = server.cli(&["silence", "add", "Brief", "-c", "x", "--until-resolved", "--warn-before", "5m"]);
    server.cli(&[
        "alert",
        "add",
        "Brief",
        "--end",
        "2020-01-01T00:00:01Z",
        "--start",
        "2020-01-01T00:00:00Z",
    ]);
    let path = format!("/api/v2/silence/{}", own.trim());
    wait_for(server, &path, |silence| silence["status"]["state"] == "expired");
    let bad = server.try_cli(&["silence", "add", "Brief", "-c", "x", "--recurrence", "never"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("watchbell_recurrence"));
    let weekly = server.cli(&[
        "silence",
        "add",
        "Weekly",
        "-c",
        "x",
        "--recurrence",
        "sunday 01:00-02:00 Europe/Berlin",
    ]);
    let updated = server.cli(&["silence", "update", "-d", "9h", "-c", "longer", weekly.trim()]);
    assert_eq!(updated, weekly);
    let list = dir.join("silences.json");
    std::fs::write(&list, server.cli(&["silence", "query", "Weekly", "-o", "json"])).expect("a file");
    let imported = server.cli(&["silence", "import", "-f", &list.display().to_string()]);
    assert!(imported != weekly && imported.len() == weekly.len(), "{imported}");
}

/// A bad file is told by the status answer until a good one is loaded; a receiver's error until it works.
fn check_reload(server: &Server, file: &Path) {
    let good = std::fs::read_to_string(file).expect("the file");
    let reload = || http(&server.url, "POST /-/reload HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    let status = || {
        let answer = http_get(&server.url, "/api/v1/status/watchbell");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str::<serde_json::Value>(body).expect("JSON")
    };
    assert_eq!(status()["config_error"], serde_json::Value::Null);
    std::fs::write(file, good.replace("receiver: team,", "receiver: nobody,")).expect("a file");
    assert!(reload().contains("500 Internal Server Error"));
    let error = status()["config_error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("am.yml:2:") && error.contains("undefined receiver \"nobody\""), "{error}");
    std::fs::write(file, &good).expect("a file");
    assert!(reload().contains("200 OK"));
    let status = status();
    assert_eq!(status["config_error"], serde_json::Value::Null);
    assert_eq!(status["receivers"][0]["last_error"], serde_json::Value::Null);
}

fn check_http(server: &Server) {
    let post = |path: &str, body: &str| {
        http(
            &server.url,
            &format!(
                "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    };
    for (answer, parts) in [
        (http_get(&server.url, "/-/healthy"), &["200 OK", "OK"][..]),
        (http_get(&server.url, "/-/ready"), &["200 OK", "OK"]),
        (http_get(&server.url, "/api/v1/alerts"), &["410 Gone", "deprecated"]),
        (http_get(&server.url, "/nope"), &["404 Not Found"]),
        (
            http_get(&server.url, "/api/v2/status"),
            &["200 OK", "no-store", "\"status\":\"disabled\"", "versionInfo"],
        ),
        (http_get(&server.url, "/api/v2/receivers"), &["200 OK", "\"name\":\"broken\""]),
        (http_get(&server.url, "/api/v2/silence/none"), &["422 Unprocessable", "\"code\":601"]),
        (http_get(&server.url, "/api/v2/silence/e6d985ca-c3c0-414d-8e25-7d962261d57d"), &["404 Not Found"]),
        (http_get(&server.url, "/api/v2/alerts?filter=a%3D~("), &["400 Bad Request"]),
        (http_get(&server.url, "/api/v2/alerts?active=maybe"), &["200 OK", "[]"]),
        (http_get(&server.url, "/api/v2/alerts/groups"), &["200 OK", "\"receiver\":{\"name\":\"team\"}"]),
        (http_get(&server.url, "/api/watchbell/v1/history"), &["200 OK", "\"type\":\"notification\""]),
        (http_get(&server.url, "/api/watchbell/v1/route?alertname=x"), &["200 OK", "\"receiver\":\"team\""]),
        (
            post("/api/v2/alerts", "[{\"labels\":{}}]"),
            &["400 Bad Request", "at least one label pair required"],
        ),
        (post("/api/v2/alerts", "nope"), &["400 Bad Request"]),
        (post("/api/v2/silences", "{}"), &["422 Unprocessable", "\"code\":602", "is required"]),
        (post("/-/reload", ""), &["200 OK"]),
        (post("/-/quit", ""), &["404 Not Found"]),
    ] {
        for part in parts {
            assert!(answer.contains(part), "{part} in {answer}");
        }
    }
    assert!(
        http_get(&server.url, "/metrics").contains("alertmanager_alerts_invalid_total{version=\"v2\"} 1")
    );
}

/// Debian's amtool, where it is installed.
fn real_amtool(server: &Server) {
    let amtool = |words: &[&str]| {
        Command::new("amtool")
            .arg(format!("--alertmanager.url={}", server.url))
            .arg("--no-version-check")
            .args(words)
            .output()
    };
    if amtool(&["--version"]).is_err() {
        return;
    }
    let run = |words: &[&str]| {
        let output = amtool(words).expect("amtool runs");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {text}");
        text
    };
    run(&["alert", "add", "FromAmtool", "job=x", "--annotation=summary=hello"]);
    assert!(run(&["alert", "query", "FromAmtool"]).contains("hello"));
    let id = run(&["silence", "add", "alertname=FromAmtool", "-c", "why", "-a", "me"]).trim().to_owned();
    assert!(run(&["silence", "query"]).contains(&id));
    assert!(!run(&["alert", "query", "FromAmtool"]).contains("hello"));
    assert!(run(&["alert", "query", "-s", "FromAmtool"]).contains("hello"));
    run(&["silence", "update", "-d", "3h", &id]);
    run(&["silence", "expire", &id]);
    assert!(run(&["silence", "query", "--expired"]).contains("FromAmtool"));
    assert!(run(&["config", "show"]).contains("receiver: team"));
    assert!(run(&["config", "routes"]).contains("default-route  receiver: team"));
    assert_eq!(run(&["config", "routes", "test", "--verify.receivers=team", "alertname=A"]), "team\n");
    assert!(run(&["cluster", "show"]).contains("disabled"));
}

#[test]
fn what_does_not_arrive_is_kept_over_a_kill_and_a_fallback_takes_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let works = Arc::new(AtomicBool::new(false));
    let (down, hooks) = unsteady_webhook(&works);
    let (other_port, others) = webhook("200 OK");
    let text = format!(
        "route: {{receiver: page, group_by: [alertname], group_wait: 100ms, group_interval: 1h, repeat_interval: 4h}}
receivers:
- name: page
  fallback: {{receiver: other, after: 1s}}
  webhook_configs: [{{url: 'http://127.0.0.1:{down}/'}}]
- name: other
  webhook_configs: [{{url: 'http://127.0.0.1:{other_port}/'}}]
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let port = free_port();
    let server = Server::start(dir.path(), port);
    server.cli(&["alert", "add", "Down", "instance=a"]);
    // It is on disk as soon as it is shown; the other receiver is told after a second.
    wait_for(&server, "/api/watchbell/v1/outbox", |outbox| outbox[0]["receiver"] == "page");
    let body = others.recv_timeout(PATIENCE).expect("the fallback is told");
    assert_eq!((&body["receiver"], &body["status"]), (&"other".into(), &"firing".into()));
    wait_for(&server, "/api/watchbell/v1/outbox", |outbox| {
        outbox.as_array().is_some_and(|all| all.len() == 1) && outbox[0]["fallbackTold"] == true
    });
    let receivers = get_json(&server, "/api/watchbell/v1/receivers");
    let page = &receivers[0]["integrations"][0];
    assert_eq!((&page["state"], &page["waiting"]), (&"failing".into(), &1.into()), "{receivers}");
    let status = get_json(&server, "/api/v1/status/watchbell");
    assert!(
        status["receivers"][0]["last_error"].as_str().is_some_and(|error| error.starts_with("webhook[0]: "))
    );
    let metrics = http_get(&server.url, "/metrics");
    assert!(
        metrics.contains(
            "alertmanager_receiver_failing{receiver=\"page\",integration=\"webhook\",index=\"0\"} 1"
        )
    );
    drop(server);

    // Killed; nobody sends the alert again, and yet it arrives once the receiver is there.
    assert!(hooks.try_iter().count() > 0);
    works.store(true, Ordering::SeqCst);
    let server = Server::start(dir.path(), port);
    let body = hooks.recv_timeout(PATIENCE).expect("what waited arrives");
    assert_eq!((&body["receiver"], &body["groupLabels"]["alertname"]), (&"page".into(), &"Down".into()));
    wait_for(&server, "/api/watchbell/v1/outbox", |outbox| outbox.as_array().is_some_and(Vec::is_empty));
    assert!(others.try_recv().is_err() && hooks.try_recv().is_err(), "nobody is told twice");
}

#[test]
fn acknowledgements_by_api_and_link_survive_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let text = format!(
        "route: {{receiver: page, group_by: [alertname], group_wait: 100ms, group_interval: 1h, repeat_interval: 4h}}
receivers: [{{name: page, webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/', payload: {{link: '{{{{ .AckURL }}}}'}}}}]}}]
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let port = free_port();
    let server = Server::start(dir.path(), port);
    server.cli(&["alert", "add", "Down", "instance=a"]);
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    let link =
        body["link"].as_str().expect("a link").strip_prefix("http://am.example").expect("our URL").to_owned();
    let page = http_get(&server.url, &link);
    assert!(
        page.contains("200 OK") && page.contains("instance=&quot;a&quot;") && page.contains("<form"),
        "{page}"
    );
    assert_eq!(get_json(&server, "/api/watchbell/v1/acks"), serde_json::json!([]));
    let post = |server: &Server, path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        http(&server.url, &head)
    };
    assert!(http_get(&server.url, &link.replace("token=", "token=x")).contains("403 Forbidden"));
    assert!(post(&server, &link, "owner=+").contains("400 Bad Request"));
    assert!(post(&server, &link, "owner=ada&comment=on+it").contains("1 acknowledged"));
    let acks = get_json(&server, "/api/watchbell/v1/acks");
    assert_eq!((&acks[0]["owner"], &acks[0]["comment"]), (&"ada".into(), &"on it".into()));
    drop(server);

    let server = Server::start(dir.path(), port);
    let acks = get_json(&server, "/api/watchbell/v1/acks");
    assert_eq!(acks[0]["labels"]["instance"], "a");
    // The link is good after a restart, too.
    assert!(http_get(&server.url, &link).contains("200 OK"));
    server.cli(&["alert", "add", "Down", "instance=b"]);
    let path = "/api/watchbell/v1/acks";
    let made = post(&server, path, "{\"owner\":\"bob\",\"matchers\":[\"instance=b\"],\"duration\":\"1h\"}");
    assert!(made.contains("200 OK") && made.contains("\"owner\":\"bob\""), "{made}");
    for bad in [
        "{}",
        "{\"owner\":\"x\"}",
        "{\"owner\":\"\",\"groupKey\":\"x\"}",
        "{\"owner\":\"x\",\"fingerprints\":[\"zz\"]}",
        "{\"owner\":\"x\",\"groupKey\":\"x\",\"duration\":\"-1h\"}",
        "{\"owner\":\"x\",\"groupKey\":\"x\",\"more\":1}",
    ] {
        assert!(post(&server, path, bad).contains("400 Bad Request"), "{bad}");
    }
    let fingerprint = acks[0]["fingerprint"].as_str().expect("a text");
    let delete = || http(&server.url, &format!("DELETE {path}/{fingerprint} HTTP/1.0\r\n\r\n"));
    assert!(delete().contains("200 OK") && delete().contains("404 Not Found"));
    let history = get_json(&server, "/api/watchbell/v1/history").to_string();
    assert!(history.contains("\"acknowledged\"") && history.contains("\"acknowledgement_removed\""));
}

#[test]
fn the_originals_data_is_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let text = format!(
        "route: {{receiver: page, group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 4h}}
receivers: [{{name: page, webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/'}}]}}]
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let port = free_port();
    let Some(mut old) = original(dir.path(), port) else {
        return;
    };
    old.cli(&["alert", "add", "Down", "instance=a"]);
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!(body["groupLabels"]["alertname"], "Down");
    let id = old.cli(&["silence", "add", "Quiet", "x=~a|b", "-c", "planned", "-a", "me"]).trim().to_owned();
    // It writes its files when it is asked to end.
    let pid = old.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success()));
    old.child.wait().expect("it ends");
    assert!(dir.path().join("data/silences").is_file() && dir.path().join("data/nflog").is_file());

    let server = Server::start(dir.path(), port);
    let silence = get_json(&server, &format!("/api/v2/silence/{id}"));
    assert_eq!((&silence["comment"], &silence["status"]["state"]), (&"planned".into(), &"active".into()));
    assert_eq!(silence["matchers"].as_array().map(Vec::len), Some(2));
    // What the original has told is not told again; what is new is.
    server.cli(&["alert", "add", "Down", "instance=a"]);
    server.cli(&["alert", "add", "Quiet", "x=a"]);
    server.cli(&["alert", "add", "New", "instance=b"]);
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!(body["groupLabels"]["alertname"], "New");
    server.cli(&[
        "alert",
        "add",
        "Down",
        "instance=a",
        "--start",
        "2020-01-01T00:00:00Z",
        "--end",
        "2020-01-02T00:00:00Z",
    ]);
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!((&body["status"], &body["groupLabels"]["alertname"]), (&"resolved".into(), &"Down".into()));
    server.cli(&["silence", "expire", &id]);
    let body = hooks.recv_timeout(PATIENCE).expect("a webhook");
    assert_eq!(body["groupLabels"]["alertname"], "Quiet");
    drop(server);
    // Only the first start looks at the files: the silence stays expired.
    let server = Server::start(dir.path(), port);
    let silence = get_json(&server, &format!("/api/v2/silence/{id}"));
    assert_eq!(silence["status"]["state"], "expired");
}

/// What a webhook got, without what differs from run to run and what the original of Debian's version does not have yet.
/// Times that were posted are compared by their names; any other stays as it came.
fn comparable(mut body: serde_json::Value, posted: &[(&str, String)]) -> String {
    for newer in ["routeLabels", "notification_reason"] {
        body.as_object_mut().map(|fields| fields.remove(newer));
    }
    for alert in body["alerts"].as_array_mut().into_iter().flatten() {
        if alert["status"] == "firing" {
            assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
        }
        for field in ["startsAt", "endsAt"] {
            if let Some((name, _)) = posted.iter().find(|(_, time)| alert[field] == time.as_str()) {
                alert[field] = (*name).into();
            }
        }
    }
    let sorted: std::collections::BTreeMap<&String, &serde_json::Value> =
        body.as_object().into_iter().flatten().collect();
    serde_json::to_string(&sorted).expect("JSON")
}

/// A moment at most two seconds ago: alerts that began before their group's wait are told at once, each as it comes.
fn just_now() -> String {
    let second = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - 1).expect("in range");
    second.to_string().replace('Z', ".678Z")
}

/// One scenario, driven the same way into either; gives all that the webhook got, in order of group and message.
fn scenario(start: impl Fn(&Path, u16) -> Option<Server>) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let text = format!(
        "route:
  receiver: page
  group_by: [alertname, cluster]
  group_wait: 3s
  group_interval: 1s
  repeat_interval: 4h
  routes:
  - matchers: ['team=\"all\"']
    group_by: ['...']
    continue: true
  - matchers: ['severity=~\"warn.*\"', 'team!=\"x\"']
    receiver: few
receivers:
- name: page
  webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/page'}}]
- name: few
  webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/few', max_alerts: 1, send_resolved: false}}]
inhibit_rules:
- {{source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=\"minor\"'], equal: [cluster]}}
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let server = start(dir.path(), free_port())?;
    let post = |alerts: &serde_json::Value| {
        let body = alerts.to_string();
        let head = "POST /api/v2/alerts HTTP/1.0\r\nContent-Type: application/json";
        let answer = http(&server.url, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        assert!(answer.contains(" 200 OK"), "{answer}");
    };
    let start = just_now();
    let posted = std::cell::RefCell::new(vec![("the start", start.clone())]);
    let ends_now = |name: &'static str| {
        // Each has a fraction of its own: two ends may fall into one second.
        let end = just_now().replace(".678Z", &format!(".{}Z", 700 + posted.borrow().len()));
        posted.borrow_mut().push((name, end.clone()));
        Some(end)
    };
    let alert = |labels: &[(&str, &str)], end: Option<String>| {
        let labels: std::collections::BTreeMap<&str, &str> = labels.iter().copied().collect();
        let mut alert = serde_json::json!({
            "labels": labels, "annotations": { "summary": "It \"is\" <so>", "note": "ü" },
            "startsAt": start, "generatorURL": "http://prom/graph?a=1&b=2",
        });
        if let Some(end) = end {
            alert["endsAt"] = end.into();
        }
        alert
    };
    let mut got = Vec::new();
    let mut take = |count: usize| {
        let mut round: Vec<String> = (0..count)
            .map(|_| comparable(hooks.recv_timeout(PATIENCE).expect("a webhook"), &posted.borrow()))
            .collect();
        round.sort();
        got.extend(round);
    };
    let a1 =
        [("alertname", "A"), ("cluster", "1"), ("instance", "i1"), ("job", "b"), ("severity", "critical")];
    let a2 =
        [("alertname", "A"), ("cluster", "1"), ("instance", "i2"), ("job", "a"), ("severity", "critical")];
    let minor = [("alertname", "M"), ("cluster", "1"), ("severity", "minor")];
    let other = [("alertname", "M"), ("cluster", "2"), ("severity", "minor")];
    let few1 = [("alertname", "W"), ("cluster", "1"), ("severity", "warning"), ("n", "1")];
    let few2 = [("alertname", "W"), ("cluster", "1"), ("severity", "warning"), ("n", "2"), ("empty", "")];
    let both = [("alertname", "B"), ("severity", "warn"), ("team", "all"), ("x", "quo\"te\\n")];
    let all: [&[(&str, &str)]; 7] = [&a1, &a2, &minor, &other, &few1, &few2, &both];
    post(&all.iter().map(|labels| alert(labels, None)).collect());
    // A(2), M in cluster 2, W(2, cut to one), B by both routes.
    take(5);
    // One of two is resolved, with the group's next flush.
    post(&serde_json::json!([alert(&a2, ends_now("the first end")), alert(&a1, None)]));
    take(1);
    let end = ends_now("the second end");
    post(&serde_json::json!([alert(&a1, end.clone()), alert(&few1, end)]));
    // All of A is over, and with it what kept M back in cluster 1.
    take(2);
    Some(got)
}

#[test]
fn webhooks_get_what_the_original_sends() {
    let Some(theirs) = scenario(original) else {
        return;
    };
    let ours = scenario(|dir, port| Some(Server::start(dir, port))).expect("ours runs");
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn a_heartbeat_that_stops_is_an_alert_until_it_comes_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let text = format!(
        "route: {{receiver: page, group_by: [alertname], group_wait: 50ms, group_interval: 200ms, repeat_interval: 4h}}
receivers: [{{name: page, webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/'}}]}}]
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let server = Server::start(dir.path(), free_port());
    let beat = |body: &str| {
        let head = "POST /api/watchbell/v1/heartbeats/backup HTTP/1.0";
        http(&server.url, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    };
    for bad in ["", "{}", "{\"every\":\"soon\"}", "{\"every\":\"1ms\"}"] {
        assert!(beat(bad).contains("400 Bad Request"), "{bad}");
    }
    assert!(beat("{\"every\":\"1s\",\"labels\":{\"team\":\"ops\"}}").contains("200 OK"));
    let body = hooks.recv_timeout(PATIENCE).expect("it is missed");
    let labels = &body["alerts"][0]["labels"];
    assert_eq!((&labels["heartbeat"], &labels["team"]), (&"backup".into(), &"ops".into()));
    assert_eq!(get_json(&server, "/api/watchbell/v1/heartbeats")[0]["missed"], true);
    assert!(beat("{\"every\":\"1h\",\"labels\":{\"team\":\"ops\"}}").contains("200 OK"));
    assert!(beat("").contains("200 OK"));
    let body = hooks.recv_timeout(PATIENCE).expect("it has come again");
    assert_eq!(body["status"], "resolved");
    let delete = || http(&server.url, "DELETE /api/watchbell/v1/heartbeats/backup HTTP/1.0\r\n\r\n");
    assert!(delete().contains("200 OK") && delete().contains("404 Not Found"));
}

#[test]
fn a_bad_configuration_ends_the_start_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("am.yml");
    std::fs::write(
        &file,
        "route: {receiver: team-IT-Support-mails}\nreceivers: [{name: 'team--IT-Support--mails'}]\n",
    )
    .expect("a file");
    let flag = format!("--config.file={}", file.display());
    let data = format!("--storage.path={}", dir.path().join("data").display());
    for words in [
        &[flag.as_str(), &data, "--web.listen-address=127.0.0.1:0", "--cluster.listen-address="][..],
        &["check-config", &file.display().to_string()],
    ] {
        let output = Command::new(BINARY).args(words).output().expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains("undefined receiver \"team-IT-Support-mails\"") && text.contains("am.yml:1:"),
            "{text}"
        );
    }
}

#[test]
fn every_kind_of_receiver_sends_what_its_provider_wants() {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, bodies) = webhook("200 OK");
    let url = format!("http://127.0.0.1:{port}");
    let file = dir.path().join("am.yml");
    let text = format!(
        "route: {{receiver: all}}
receivers:
- name: all
  slack_configs: [{{api_url: '{url}/s', channel: '#ops', fields: [{{title: a, value: '{{{{ .Status }}}}'}}]}}]
  pagerduty_configs: [{{url: '{url}/p', routing_key: k, details: {{team: x}}}}]
  telegram_configs: [{{api_url: '{url}', bot_token: t, chat_id: -5}}]
  discord_configs: [{{webhook_url: '{url}/d'}}]
  msteamsv2_configs: [{{webhook_url: '{url}/m'}}]
"
    );
    std::fs::write(&file, text).expect("a file");
    let flag = format!("--config.file={}", file.display());
    let output =
        Command::new(BINARY).args(["test-receiver", "all", &flag]).output().expect("the binary runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.lines().all(|line| line.contains("] sent: 200 OK: ok")),
        "{shown}"
    );
    let sent: Vec<serde_json::Value> = bodies.try_iter().collect();
    assert_eq!(sent.len(), 5, "{sent:?}");
    let find = |key: &str| sent.iter().find(|body| body.get(key).is_some()).expect(key);
    let title = "[FIRING:1] WatchbellTest (info)";
    let slack = find("channel");
    let attachment = &slack["attachments"][0];
    assert_eq!((&slack["channel"], &slack["username"]), (&"#ops".into(), &"Alertmanager".into()));
    assert_eq!((&attachment["title"], &attachment["color"]), (&title.into(), &"danger".into()));
    assert_eq!(
        attachment["fields"][0],
        serde_json::json!({ "title": "a", "value": "firing", "short": false })
    );
    let pagerduty = find("routing_key");
    assert_eq!(
        (&pagerduty["event_action"], &pagerduty["payload"]["summary"]),
        (&"trigger".into(), &title.into())
    );
    assert_eq!(pagerduty["dedup_key"].as_str().map(str::len), Some(64));
    let details = &pagerduty["payload"]["custom_details"];
    assert_eq!((&details["team"], &details["num_firing"]), (&"x".into(), &"1".into()));
    let telegram = find("chat_id");
    assert_eq!((&telegram["chat_id"], &telegram["parse_mode"]), (&(-5).into(), &"HTML".into()));
    assert!(telegram["text"].as_str().is_some_and(|text| text.contains("alertname = WatchbellTest")));
    let discord = &find("embeds")["embeds"][0];
    assert_eq!((&discord["title"], &discord["color"]), (&title.into(), &0x99_2D_22.into()));
    let teams = &find("type")["attachments"][0]["content"];
    assert_eq!((&teams["body"][0]["text"], &teams["body"][0]["color"]), (&title.into(), &"Attention".into()));
}
