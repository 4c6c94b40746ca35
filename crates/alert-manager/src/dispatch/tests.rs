//! Scenarios on a virtual clock.

use super::*;
use crate::matchers::MatcherMode;
use crate::silences::{Silence, SilenceMatcher};

const S: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * S;

/// The state machine with receivers that answer as they are told.
struct Bench {
    dispatcher: Dispatcher,
    now: i64,
    receiver_works: bool,
}

impl Bench {
    fn new(config: &str) -> Self {
        let config = Config::parse("am.yml", config, MatcherMode::Fallback).unwrap();
        let options = DispatchOptions { retention_ns: 120 * 3600 * S, per_alertname_max: 0, not_before: 0 };
        let dispatcher =
            Dispatcher::new(Arc::new(config), options, Silences::default(), NotificationLog::default());
        Self { dispatcher, now: START, receiver_works: true }
    }

    /// Sends alerts that end at `end` seconds after the start; 0: not known.
    fn send(&mut self, alerts: &[&str], end: i64) -> Vec<String> {
        let alerts = alerts.iter().map(|labels| self.alert(labels, end)).collect();
        let actions = self.dispatcher.step(self.now, Event::Alerts(alerts));
        self.carry_out(actions)
    }

    fn alert(&self, labels: &str, end: i64) -> Alert {
        let labels = Labels::from_pairs(labels.split(',').map(|pair| pair.split_once('=').unwrap()));
        let fingerprint = Fingerprint::of(&labels);
        Alert {
            labels,
            annotations: Labels::empty(),
            starts_at: self.now.min(if end == 0 { i64::MAX } else { START + end * S }),
            ends_at: if end == 0 { self.now + 300 * S } else { START + end * S },
            updated_at: self.now,
            timeout: end == 0,
            generator_url: String::new(),
            fingerprint,
        }
    }

    /// Lets time pass second by second; gives what was told, each with its second.
    fn run_to(&mut self, second: i64) -> Vec<String> {
        let mut told = Vec::new();
        while self.now < START + second * S {
            self.now += S;
            let actions = self.dispatcher.step(self.now, Event::Tick);
            told.extend(self.carry_out(actions));
        }
        told
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> Vec<String> {
        let mut told = Vec::new();
        for action in actions {
            let Action::Notify(notification) = action else { continue };
            let names = |resolved: bool| -> Vec<&str> {
                notification
                    .alerts
                    .iter()
                    .filter(|alert| alert.is_resolved(notification.now) == resolved)
                    .map(|alert| alert.labels.value("a"))
                    .collect()
            };
            let second = (self.now - START) / S;
            if !notification.alerts.is_empty() {
                let outcome = if self.receiver_works { "" } else { " failed" };
                told.push(format!(
                    "{second}s {} +{} -{}{outcome}",
                    notification.receiver,
                    names(false).join(""),
                    names(true).join("")
                ));
            }
            let delivered = Delivered {
                group: notification.group,
                flush: notification.flush,
                position: notification.position,
                entry: self.receiver_works.then_some(notification.entry),
            };
            let more = self.dispatcher.step(self.now, Event::Delivered(delivered));
            assert!(more.is_empty());
        }
        told
    }
}

const SIMPLE: &str =
    "route: {receiver: r, group_by: [g], group_wait: 10s, group_interval: 60s, repeat_interval: 10m}
receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]";

#[test]
fn groups_wait_collect_repeat_and_resolve() {
    let mut bench = Bench::new(SIMPLE);
    bench.send(&["g=1,a=x"], 0);
    assert_eq!(bench.run_to(9), Vec::<String>::new());
    bench.send(&["g=1,a=y"], 0);
    assert_eq!(bench.run_to(10), ["10s r +xy -"]);
    // Nothing new: nothing is told until the repeat interval is over, as long as the alerts are sent again.
    for _ in 0..12 {
        bench.run_to((bench.now - START) / S + 50);
        bench.send(&["g=1,a=x", "g=1,a=y"], 0);
    }
    // A new alert is told with the group's next flush.
    let now = (bench.now - START) / S;
    assert_eq!(now, 610);
    bench.send(&["g=1,a=z"], 0);
    assert_eq!(bench.run_to(670), ["670s r +xyz -"]);
    bench.send(&["g=1,a=x", "g=1,a=z"], 0);
    bench.send(&["g=1,a=y"], 671);
    assert_eq!(bench.run_to(730), ["730s r +xz -y"]);
    bench.send(&["g=1,a=x", "g=1,a=z"], 731);
    assert_eq!(bench.run_to(790), ["790s r + -xz"]);
    assert_eq!(bench.run_to(2000), Vec::<String>::new());
    assert_eq!(bench.dispatcher.groups_len(), 0);
}

#[test]
fn unchanged_groups_are_repeated() {
    let mut bench = Bench::new(SIMPLE);
    let mut told = Vec::new();
    for second in (0..1400).step_by(20) {
        told.extend(bench.send(&["g=1,a=x"], 0));
        told.extend(bench.run_to(second + 20));
    }
    assert_eq!(told, ["10s r +x -", "670s r +x -", "1330s r +x -"]);
}

#[test]
fn an_alert_that_is_not_sent_again_resolves_by_itself() {
    let mut bench = Bench::new(SIMPLE);
    bench.send(&["g=1,a=x"], 0);
    assert_eq!(bench.run_to(1000), ["10s r +x -", "310s r + -x"]);
}

#[test]
fn resolved_alerts_stay_until_they_have_been_told() {
    let mut bench = Bench::new(SIMPLE);
    bench.send(&["g=1,a=x"], 0);
    bench.run_to(10);
    bench.receiver_works = false;
    bench.send(&["g=1,a=x"], 20);
    assert_eq!(bench.run_to(130), ["70s r + -x failed", "130s r + -x failed"]);
    bench.receiver_works = true;
    assert_eq!(bench.run_to(1000), ["190s r + -x"]);
}

#[test]
fn a_restart_tells_nobody_twice() {
    let mut bench = Bench::new(SIMPLE);
    bench.send(&["g=1,a=x"], 0);
    bench.run_to(11);
    let mut again = Bench::new(SIMPLE);
    std::mem::swap(&mut again.dispatcher.log, &mut bench.dispatcher.log);
    again.now = bench.now + 5 * S;
    again.send(&["g=1,a=x"], 0);
    assert_eq!(again.run_to(120), Vec::<String>::new());
    again.send(&["g=1,a=x"], 125);
    assert_eq!(again.run_to(200), ["146s r + -x"]);
}

#[test]
fn old_alerts_do_not_wait_again() {
    let mut bench = Bench::new(SIMPLE);
    let mut alert = bench.alert("g=1,a=x", 0);
    alert.starts_at = START - 60 * S;
    let actions = bench.dispatcher.step(bench.now, Event::Alerts(vec![alert]));
    assert_eq!(bench.carry_out(actions), ["0s r +x -"]);
}

#[test]
fn inhibition_silences_and_intervals_keep_alerts_back() {
    let config = "route:
  {receiver: r, group_by: [g], group_wait: 10s, group_interval: 60s, repeat_interval: 10m,
   routes: [{matchers: ['night=\"1\"'], mute_time_intervals: [always]}, {matchers: ['day=\"1\"'], active_time_intervals: [never]}]}
receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]
time_intervals: [{name: always, time_intervals: [{}]}, {name: never, time_intervals: [{years: ['1999']}]}]
inhibit_rules: [{source_matchers: ['sev=\"high\"'], target_matchers: ['sev=\"low\"'], equal: [h]}]";
    let mut bench = Bench::new(config);
    bench.send(&["g=1,a=x,sev=low,h=1", "g=1,a=y,sev=low,h=2", "g=2,a=s,sev=high,h=1"], 0);
    bench.send(&["g=3,a=m,night=1", "g=4,a=n,day=1", "g=5,a=q"], 0);
    let matcher =
        SilenceMatcher { name: "a".to_owned(), value: "q".to_owned(), is_regex: false, is_equal: true };
    let silence = Silence {
        id: "1".to_owned(),
        matchers: vec![matcher],
        starts_at: START,
        ends_at: START + 100 * S,
        updated_at: START,
        created_by: String::new(),
        comment: String::new(),
        annotations: BTreeMap::new(),
    };
    bench.dispatcher.silences.apply(vec![silence]);
    assert_eq!(bench.run_to(10), ["10s r +y -", "10s r +s -"]);
    let filter = AlertFilter {
        active: true,
        silenced: true,
        inhibited: true,
        muted: true,
        matchers: crate::matchers::MatcherSet::default(),
        receiver: None,
    };
    let mut shown: Vec<String> = bench
        .dispatcher
        .alert_views(&filter, bench.now)
        .iter()
        .map(|view| {
            let (silenced, inhibited) = (view.silenced_by.len(), view.inhibited_by.len());
            format!("{} {silenced} {inhibited} {}", view.alert.labels.value("a"), view.muted_by.join(","))
        })
        .collect();
    shown.sort();
    assert_eq!(shown, ["m 0 0 always", "n 0 0 never", "q 1 0 ", "s 0 0 ", "x 0 1 ", "y 0 0 "]);
    assert_eq!(bench.dispatcher.count_alerts(bench.now), (4, 2));
    assert_eq!(bench.dispatcher.group_views(&filter, bench.now).len(), 5);
    // The source resolves, the silence ends: both are told with their groups' next flush.
    bench.send(&["g=2,a=s,sev=high,h=1"], 50);
    assert_eq!(bench.run_to(130), ["70s r +xy -", "70s r + -s", "130s r +q -"]);
}

#[test]
fn a_reload_regroups_and_the_log_still_counts() {
    let mut bench = Bench::new(SIMPLE);
    bench.send(&["g=1,a=x"], 0);
    bench.run_to(15);
    let same = Arc::clone(bench.dispatcher.config());
    let actions = bench.dispatcher.step(bench.now, Event::Reload(same));
    assert!(bench.carry_out(actions).is_empty());
    assert_eq!(bench.run_to(200), Vec::<String>::new());
    let other = SIMPLE.replace("name: r,", "name: new,").replace("receiver: r,", "receiver: new,");
    let other = Config::parse("am.yml", &other, MatcherMode::Fallback).unwrap();
    let actions = bench.dispatcher.step(bench.now, Event::Reload(Arc::new(other)));
    assert_eq!(bench.carry_out(actions), ["200s new +x -"]);
}

#[test]
fn keys_and_order_are_the_originals() {
    let mut bench = Bench::new(&SIMPLE.replace("group_by: [g]", "group_by: [g, x y, missing]"));
    bench.send(&["g=1,x y=\"q\",a=2,job=b", "g=1,x y=\"q\",a=1,job=b", "g=1,x y=\"q\",a=3,job=a"], 0);
    bench.now += 10 * S;
    let actions = bench.dispatcher.step(bench.now, Event::Tick);
    let Some(Action::Notify(notification)) = actions.into_iter().next() else { panic!("a notification") };
    assert_eq!(notification.group_key, r#"{}:{g="1", x y="\"q\""}"#);
    let order: Vec<&str> = notification.alerts.iter().map(|alert| alert.labels.value("a")).collect();
    assert_eq!(order, ["3", "1", "2"]);
    assert_eq!((notification.deadline - notification.now) / S, 60);
}

#[test]
fn alerts_with_one_name_can_be_limited() {
    let mut bench = Bench::new(SIMPLE);
    bench.dispatcher.options.per_alertname_max = 1;
    bench.send(&["g=1,alertname=n,a=x", "g=1,alertname=n,a=y"], 0);
    assert_eq!(bench.run_to(10), ["10s r +x -"]);
    bench.send(&["g=1,alertname=n,a=x"], 11);
    bench.run_to(20);
    bench.dispatcher.collect_garbage(bench.now);
    bench.send(&["g=1,alertname=n,a=y"], 0);
    assert_eq!(bench.run_to(70), ["70s r +y -x"]);
}

#[test]
fn acknowledged_groups_are_not_repeated() {
    let mut bench = Bench::new(SIMPLE);
    let mut told = Vec::new();
    for second in (0..2800).step_by(20) {
        match second {
            40 => {
                let alert = bench.alert("g=1,a=x", 0);
                let ack = crate::acks::Ack {
                    is_withdrawn: false,
                    fingerprint: alert.fingerprint.0,
                    labels: BTreeMap::new(),
                    owner: "me".to_owned(),
                    comment: String::new(),
                    at: bench.now,
                    expires_at: START + 1400 * S,
                };
                bench.dispatcher.acks.apply(vec![ack]);
            }
            // What is new is told all the same, and then the group is not acknowledged as a whole.
            2000 => told.extend(bench.send(&["g=1,a=y"], 0)),
            _ => {}
        }
        told.extend(bench.send(&["g=1,a=x"], if second < 2600 { 0 } else { second }));
        told.extend(bench.run_to(second + 20));
    }
    assert_eq!(told, ["10s r +x -", "1450s r +x -", "2050s r +xy -", "2350s r +x -y", "2650s r + -x"]);
}

#[test]
fn groups_keep_what_is_resolved_while_something_waits() {
    let mut bench = Bench::new(SIMPLE);
    bench.receiver_works = false;
    bench.send(&["g=1,a=x"], 0);
    assert_eq!(bench.run_to(10), ["10s r +x - failed"]);
    let key = NotificationLog::key("{}:{g=\"1\"}", "r", "webhook", 0);
    let firing = BTreeSet::from([crate::alert::told_hash(&bench.alert("g=1,a=x", 0).labels)]);
    let entry = LogEntry {
        key: key.clone(),
        timestamp: bench.now,
        firing,
        resolved: BTreeSet::new(),
        expires_at: bench.now + 3600 * S,
        memory: BTreeMap::new(),
    };
    bench.dispatcher.await_arrival("{}:{g=\"1\"}", &entry);
    bench.receiver_works = true;
    bench.send(&["g=1,a=x"], 15);
    assert_eq!(bench.run_to(200), Vec::<String>::new());
    assert_eq!(bench.dispatcher.groups_len(), 1);
    // What waited has arrived: now it can be told that it is over.
    let entry = LogEntry { timestamp: bench.now, ..entry };
    bench.dispatcher.settle(&key);
    let delivered = Delivered { group: GroupId(0), flush: 0, position: 0, entry: Some(entry) };
    bench.dispatcher.step(bench.now, Event::Delivered(delivered));
    assert_eq!(bench.run_to(300), ["250s r + -x"]);
    assert_eq!(bench.run_to(400), Vec::<String>::new());
    assert_eq!(bench.dispatcher.groups_len(), 0);
}

#[test]
fn a_failing_receiver_is_told_of_by_its_fallback() {
    let config = "route: {receiver: r, group_by: [g], group_wait: 1s}
receivers: [{name: r, fallback: {receiver: o}, webhook_configs: [{url: 'http://x'}]}, {name: o, webhook_configs: [{url: 'http://y'}]}]";
    let mut bench = Bench::new(config);
    bench.send(&[&format!("alertname={FAILING_ALERT},receiver=r,a=x")], 0);
    assert_eq!(bench.run_to(2), ["1s o +x -"]);
    bench.send(&[&format!("alertname={FAILING_ALERT},receiver=o,g=2,a=x")], 0);
    assert_eq!(bench.run_to(4), ["3s r +x -"]);
}

#[test]
fn explanations_say_why() {
    let config = "route:
  {receiver: r, group_by: [g], routes: [
    {matchers: ['team=\"a\"'], receiver: a, mute_time_intervals: [then], continue: true},
    {matchers: ['team=\"a\"'], receiver: b, active_time_intervals: [then], routes: [{matchers: ['x=\"1\"'], receiver: none}]}]}
receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}, {name: a, webhook_configs: [{url: 'http://x'}]},
  {name: b, webhook_configs: [{url: 'http://x'}]}, {name: none}]
time_intervals: [{name: then, time_intervals: [{years: ['2023']}]}]
inhibit_rules: [{source_matchers: ['sev=\"high\"'], target_matchers: ['sev=\"low\"']}]";
    let mut bench = Bench::new(config);
    bench.send(&["g=1,sev=high"], 0);
    let year = 365 * 24 * 3600 * S;
    for (labels, at, verdict) in [
        ("g=2", START, "told: r"),
        ("g=2,sev=low", START, "kept back: inhibition"),
        // The source is over by then.
        ("g=2,sev=low", START + year, "told: r"),
        ("team=a", START, "told: b"),
        ("team=a", START + year, "told: a"),
        ("team=a,x=1", START, "nobody is told: no receiver on its routes has an integration"),
    ] {
        let labels = Labels::from_pairs(labels.split(',').map(|pair| pair.split_once('=').unwrap()));
        let explanation = bench.dispatcher.explain(&labels, at);
        assert_eq!(explanation.verdict(), verdict, "{labels}: {explanation:?}");
    }
    let labels = Labels::from_pairs([("team", "a"), ("x", "1")]);
    let explanation = bench.dispatcher.explain(&labels, START);
    let paths: Vec<String> = explanation.routes.iter().map(|route| route.path.join(" ")).collect();
    assert_eq!(paths, ["{} {team=\"a\"}", "{} {team=\"a\"} {x=\"1\"}"]);
    assert_eq!(explanation.routes[0].muted_by, ["then"]);
    let known = bench.dispatcher.explain(&Labels::from_pairs([("g", "1"), ("sev", "high")]), START);
    assert!(known.is_firing && known.routes[0].group.is_some());
}
