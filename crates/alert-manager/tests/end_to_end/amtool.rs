//! Debian's amtool against ours and against Debian's Alertmanager: what it prints is the same.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{PATIENCE, Server, free_port, http_get, original};

/// Runs one command; what it prints, with its exit code; none where amtool is not installed.
fn amtool(server: &Server, words: &[&str]) -> Option<String> {
    let output = Command::new("amtool")
        .arg(format!("--alertmanager.url={}", server.url))
        .arg("--no-version-check")
        .args(words)
        .output()
        .ok()?;
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Some(format!("{}{}exit {:?}\n", printed[0], printed[1], output.status.code()))
}

/// Without what differs from run to run: ids, times, ports, and the width of columns, which follows them.
fn comparable(printed: &str, ids: &[(&str, String)]) -> String {
    let mut text = printed.to_owned();
    for (name, id) in ids {
        text = text.replace(id, name);
    }
    let is_time = |word: &str| word.len() >= 10 && word.starts_with("20") && word.as_bytes()[4] == b'-';
    let words = |line: &str| -> String {
        let kept = line.split_whitespace().filter(|word| !is_time(word) && *word != "UTC");
        // Clocks and ports that stand alone.
        let kept = kept.filter(|word| word.split(':').filter(|part| part.parse::<f64>().is_ok()).count() < 2);
        kept.collect::<Vec<&str>>().join(" ")
    };
    text.lines().map(words).filter(|line| !line.is_empty()).collect::<Vec<String>>().join("\n")
}

fn session(server: &Server) -> Option<Vec<(String, String)>> {
    let mut shown = Vec::new();
    amtool(server, &["alert", "add", "A", "job=x", "instance=i1", "--annotation=summary=hello world"])?;
    amtool(server, &["alert", "add", "alertname=B", "job=x y", "--generator-url=http://g"])?;
    let begun = Instant::now();
    while !http_get(&server.url, "/api/v2/alerts/groups").contains("i1") {
        assert!(begun.elapsed() < PATIENCE, "the alerts are not grouped");
        thread::sleep(Duration::from_millis(50));
    }
    let id = |words: &[&str]| Some(amtool(server, words)?.lines().next().unwrap_or_default().to_owned());
    let ids = [
        (
            "FIRST",
            id(&["silence", "add", "alertname=A", "job=~x|y", "-c", "why not", "-a", "me", "-d", "2h"])?,
        ),
        (
            "SECOND",
            id(&[
                "silence",
                "add",
                "B",
                "-c",
                "second",
                "-a",
                "you",
                "--start=2090-01-01T00:00:00Z",
                "--end=2090-02-01T00:00:00Z",
            ])?,
        ),
    ];
    let (first, second) = (ids[0].1.as_str(), ids[1].1.as_str());
    assert!(first.len() == 36 && second.len() == 36, "{ids:?}");
    for words in [
        &["alert", "query"][..],
        &["alert", "query", "-o", "extended"],
        &["alert", "query", "alertname=~A|B", "job!=y"],
        &["alert", "query", "-a"],
        &["alert", "query", "-s"],
        &["alert", "query", "-s", "-o", "extended"],
        &["alert", "query", "-i"],
        &["alert", "query", "-u"],
        &["alert", "query", "-r", "team"],
        &["alert", "query", "-r", "nobody"],
        &["alert", "query", "job=x y", "instance="],
        &["alert", "add"],
        &["silence", "query"],
        &["silence", "query", "-o", "extended"],
        &["silence", "query", "-q"],
        &["silence", "query", "--created-by=me"],
        &["silence", "query", "--id", first],
        &["silence", "query", "alertname=A"],
        &["silence", "query", "alertname=~A"],
        &["silence", "query", "--within=1h"],
        &["silence", "query", "--within=3h"],
        &["silence", "add", "A"],
        &["silence", "add", "A", "-c", "x", "-d", "0"],
        &["silence", "add", "-c", "x"],
        &["silence", "update", "-d", "5h", "-c", "changed", first],
        &["silence", "update", "--end=2091-01-01T00:00:00Z", second],
        &["silence", "update", "nope"],
        &["silence", "update"],
        &["silence", "query"],
        &["silence", "expire", "nope"],
        &["silence", "expire", second],
        &["silence", "expire", second],
        &["silence", "expire"],
        &["silence", "query", "--expired"],
        &["silence", "query", "--expired", "-q"],
        &["config", "routes"],
        &["config", "routes", "show"],
        &["config", "routes", "test", "alertname=A"],
        &["config", "routes", "test", "alertname=B", "severity=page"],
        &["config", "routes", "test", "--tree", "severity=page"],
        &["config", "routes", "test", "--verify.receivers=team", "alertname=A"],
        &["config", "routes", "test", "--verify.receivers=nope", "alertname=A"],
        &["cluster", "show"],
        &["cluster", "show", "-o", "extended"],
    ] {
        let printed = amtool(server, words)?;
        shown.push((
            words.join(" ").replace(first, "FIRST").replace(second, "SECOND"),
            comparable(&printed, &ids),
        ));
    }
    Some(shown)
}

#[test]
fn amtool_prints_the_same_as_against_the_original() {
    let run = |start: &dyn Fn(&std::path::Path, u16) -> Option<Server>| {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "route:
  {receiver: team, group_by: [alertname], group_wait: 50ms, routes: [{matchers: ['severity=\"page\"'], receiver: pager, continue: true}, {matchers: [severity=~\"p.*\"], receiver: team}]}
receivers:
- {name: team, webhook_configs: [{url: 'http://127.0.0.1:1/secret'}]}
- {name: pager, webhook_configs: [{url: 'http://127.0.0.1:1/secret', send_resolved: false}]}
";
        std::fs::write(dir.path().join("am.yml"), text).expect("a file");
        let server = start(dir.path(), free_port())?;
        session(&server)
    };
    let Some(theirs) = run(&original) else {
        return;
    };
    let ours = run(&|dir, port| Some(Server::start(dir, port))).expect("amtool runs");
    for ((words, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "amtool {words}");
    }
}
