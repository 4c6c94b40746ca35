//! What happens over time, in ours and in Debian's Alertmanager: repeats, silences, time intervals, a restart.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::receivers::webhook;
use crate::server::{PATIENCE, Server, free_port, http, original, wait_for};
use crate::{comparable, just_now};

/// A server that is driven, and what its webhook has got.
struct Driven<'s> {
    server: Server,
    hooks: std::sync::mpsc::Receiver<Value>,
    posted: RefCell<Vec<(&'s str, String)>>,
    start: String,
    got: Vec<String>,
}

impl<'s> Driven<'s> {
    fn post(&self, alerts: &[(&str, Option<&'s str>)]) {
        let alerts: Vec<Value> = alerts.iter().map(|(labels, end)| self.alert(labels, *end)).collect();
        let body = Value::from(alerts).to_string();
        let head = "POST /api/v2/alerts HTTP/1.0\r\nContent-Type: application/json";
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = http(&self.server.url, &request);
        assert!(answer.contains(" 200 OK"), "{answer}");
    }

    /// Labels as `a=b c=d`; with a name for its end, it ends now.
    fn alert(&self, labels: &str, end: Option<&'s str>) -> Value {
        let labels: BTreeMap<&str, &str> =
            labels.split(' ').filter_map(|pair| pair.split_once('=')).collect();
        let mut alert = serde_json::json!({
            "labels": labels, "annotations": { "summary": "x" }, "startsAt": self.start, "generatorURL": "http://prom/g",
        });
        if let Some(name) = end {
            // Each its own, also within a second.
            let now = just_now().replace(".678Z", &format!(".{}Z", 100 + self.posted.borrow().len()));
            alert["endsAt"] = now.clone().into();
            self.posted.borrow_mut().push((name, now));
        }
        alert
    }

    /// Waits for so many messages, and notes them in whatever order they came.
    fn take(&mut self, count: usize) {
        let mut round: Vec<String> = (0..count)
            .map(|_| comparable(self.hooks.recv_timeout(PATIENCE).expect("a webhook"), &self.posted.borrow()))
            .collect();
        round.sort();
        self.got.extend(round);
    }

    fn silence(&self, matcher: &str) -> String {
        self.server
            .cli(&["silence", "add", matcher, "-c", "planned", "-a", "me", "-d", "2h"])
            .trim()
            .to_owned()
    }
}

fn scenario(start: impl Fn(&Path, u16) -> Option<Server>) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().expect("a directory");
    let (hook_port, hooks) = webhook("200 OK");
    let text = format!(
        "route:
  receiver: page
  group_by: [alertname]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 4h
  routes:
  - {{matchers: ['alertname=\"Repeats\"'], repeat_interval: 3s}}
  - {{matchers: ['alertname=\"Muted\"'], mute_time_intervals: [always]}}
  - {{matchers: ['alertname=\"Inactive\"'], active_time_intervals: [never]}}
  - {{matchers: ['alertname=\"Active\"'], active_time_intervals: [never, always], mute_time_intervals: [never]}}
  - {{matchers: ['alertname=\"Quiet\"'], receiver: quiet}}
receivers:
- name: page
  webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/page'}}]
- name: quiet
  webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/quiet', send_resolved: false}}]
time_intervals:
- name: always
  time_intervals: [{{times: [{{start_time: '00:00', end_time: '24:00'}}]}}]
- name: never
  time_intervals: [{{years: ['2001']}}]
inhibit_rules:
- {{source_matchers: ['alertname=\"Source\"'], target_matchers: ['alertname=\"Target\"'], equal: [cluster, missing]}}
"
    );
    std::fs::write(dir.path().join("am.yml"), text).expect("a file");
    let port = free_port();
    let start_time = just_now();
    let mut driven = Driven {
        server: start(dir.path(), port)?,
        hooks,
        posted: RefCell::new(vec![("the start", start_time.clone())]),
        start: start_time,
        got: Vec::new(),
    };
    // Told, told again when the interval is over, and told that it is over.
    driven.post(&[("alertname=Repeats n=1", None)]);
    driven.take(1);
    driven.take(1);
    driven.post(&[("alertname=Repeats n=1", Some("the repeated one's end"))]);
    driven.take(1);
    // What is silenced, muted, inactive or inhibited is not told; a silenced source inhibits all the same.
    let silenced = driven.silence("alertname=Silenced");
    let source = driven.silence("alertname=Source");
    // The original's inhibition and groups learn of an alert apart from each other: first the source.
    driven.post(&[("alertname=Source cluster=a", None)]);
    wait_for(&driven.server, "/api/v2/alerts/groups", |groups| groups.to_string().contains("Source"));
    driven.post(&[
        ("alertname=Silenced n=1", None),
        ("alertname=Muted n=1", None),
        ("alertname=Inactive n=1", None),
        ("alertname=Active n=1", None),
        ("alertname=Target cluster=a n=1", None),
        ("alertname=Target cluster=b n=2", None),
        ("alertname=Quiet n=1", None),
        ("alertname=Quiet n=2", None),
    ]);
    driven.take(3);
    // Ended, the silence is no reason any more; the source's end frees its target.
    driven.server.cli(&["silence", "expire", &silenced]);
    driven.take(1);
    driven.post(&[("alertname=Source cluster=a", Some("the source's end"))]);
    driven.take(1);
    driven.server.cli(&["silence", "expire", &source]);
    // A receiver that does not want it is not told what is over, but of what begins anew.
    driven.post(&[("alertname=Quiet n=1", Some("a quiet end")), ("alertname=Quiet n=3", None)]);
    driven.take(1);
    // Over a restart it is known who was told.
    let pid = driven.server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success()));
    driven.server.child.wait().expect("it ends");
    driven.server = start(dir.path(), port)?;
    driven.post(&[
        ("alertname=Silenced n=1", None),
        ("alertname=Active n=1", None),
        ("alertname=Target cluster=b n=2", Some("a target's end")),
        ("alertname=Target cluster=a n=1", None),
        ("alertname=New n=1", None),
    ]);
    driven.take(2);
    driven.post(&[("alertname=Active n=1", Some("the last end"))]);
    driven.take(1);
    assert!(driven.hooks.try_recv().is_err(), "nobody is told more");
    Some(driven.got)
}

#[test]
fn over_time_webhooks_get_what_the_original_sends() {
    let Some(theirs) = scenario(original) else {
        return;
    };
    let ours = scenario(|dir, port| Some(Server::start(dir, port))).expect("ours runs");
    for (idx, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "message {idx}");
    }
    assert_eq!(ours.len(), theirs.len());
}
