//! Groups on a virtual clock: states, samples, sending, restore, templates.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Labels, TimestampMs, is_stale_nan};
use rules::{
    AlertState, Engine, ForState, Group, GroupOptions, GroupSpec, Health, Metrics, Rule, RuleFile,
    RuleSample, RuleSpec, RuleValue, SampleSink, TemplateContext, table_link, validate,
};
use sys::{Clock, ManualClock};
use telemetry::Registry;

const START_MS: i64 = 1_700_000_000_000;

type QueryResult = Result<Vec<(Labels, RuleValue)>, String>;

#[derive(Default)]
struct FakeEngine {
    results: Mutex<HashMap<String, QueryResult>>,
    for_states: Mutex<Vec<ForState>>,
}

impl FakeEngine {
    fn set(&self, expr: &str, results: &[(&str, f64)]) {
        let vector = results.iter().map(|(text, v)| (labels(text), RuleValue::Float(*v))).collect();
        self.results.lock().expect("no test panics with it").insert(expr.to_owned(), Ok(vector));
    }
}

impl Engine for FakeEngine {
    fn query(&self, expr: &str, _at: TimestampMs) -> QueryResult {
        self.results.lock().expect("no test panics with it").get(expr).cloned().unwrap_or(Ok(Vec::new()))
    }

    fn for_states(&self, name: &str, from: TimestampMs, _to: TimestampMs) -> Result<Vec<ForState>, String> {
        let states = self.for_states.lock().expect("no test panics with it");
        let fits = |state: &&ForState| state.labels.value("alertname") == name && state.timestamp >= from;
        Ok(states.iter().filter(fits).cloned().collect())
    }
}

/// `a=1,b=2`
fn labels(text: &str) -> Labels {
    Labels::from_pairs(
        text.split(',').filter(|part| !part.is_empty()).map(|part| part.split_once('=').expect(part)),
    )
}

#[derive(Default)]
struct Stored(Vec<RuleSample>);

impl SampleSink for Stored {
    fn append(&mut self, samples: Vec<RuleSample>) -> Result<(), String> {
        self.0.extend(samples);
        Ok(())
    }
}

impl Stored {
    /// What was stored since the last call, one sample per line; `x` is a stale marker.
    fn take(&mut self) -> Vec<String> {
        self.0
            .drain(..)
            .map(|sample| match sample.value.as_float() {
                value if is_stale_nan(value) => format!("{} x", sample.labels),
                value => format!("{} {value}", sample.labels),
            })
            .collect()
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    fake: Arc<FakeEngine>,
    engine: Arc<dyn Engine>,
    stored: Stored,
    group: Group,
    options: GroupOptions,
}

impl Bench {
    fn new(spec: &GroupSpec, options: GroupOptions) -> Self {
        let clock = Arc::new(ManualClock::at_ms(START_MS));
        let fake = Arc::new(FakeEngine::default());
        let engine: Arc<dyn Engine> = Arc::<FakeEngine>::clone(&fake);
        let group = Self::group(spec, &options, &clock);
        Self { clock, fake, engine, stored: Stored::default(), group, options }
    }

    fn group(spec: &GroupSpec, options: &GroupOptions, clock: &Arc<ManualClock>) -> Group {
        let metrics = Metrics::register(&Registry::new(), "prometheus");
        Group::new("/rules.yml", spec, options, Arc::<ManualClock>::clone(clock), &metrics)
    }

    /// Goes to the group's next slot and evaluates it.
    fn step(&mut self) -> rules::Evaluation {
        let slot = self.group.next_slot();
        self.clock.advance(Duration::from_millis((slot - self.clock.now_ms()).max(0) as u64));
        self.group.evaluate(slot, &self.engine, &mut self.stored)
    }

    fn alert_state(&self) -> String {
        match &self.group.rules()[0] {
            Rule::Alerting(rule) => rule.state().map_or("unknown", AlertState::as_str).to_owned(),
            Rule::Recording(_) => "recording".to_owned(),
        }
    }

    /// What became of the first rule's alerts: time in seconds since the start, states.
    fn transitions(&self) -> Vec<String> {
        let Rule::Alerting(rule) = &self.group.rules()[0] else { return Vec::new() };
        let seconds = |at: TimestampMs| (at - START_MS) / 1000;
        rule.transitions()
            .map(|change| format!("{} {}-{}", seconds(change.at), change.from.as_str(), change.to.as_str()))
            .collect()
    }
}

fn options() -> GroupOptions {
    GroupOptions { interval_ms: 10_000, restores: false, ..GroupOptions::default() }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn alerting(for_ms: i64, keep_ms: i64) -> GroupSpec {
    let rule = RuleSpec {
        alert: Some("Down".to_owned()),
        expr: "up == 0".to_owned(),
        for_ms: Some(for_ms),
        keep_firing_for_ms: Some(keep_ms),
        labels: map(&[("severity", "page"), ("by", "{{ $labels.job }}")]),
        annotations: map(&[("summary", "{{ $labels.instance }} is at {{ $value }}")]),
        ..RuleSpec::default()
    };
    GroupSpec { name: "g".to_owned(), rules: vec![rule], ..GroupSpec::default() }
}

#[test]
fn alerts_go_through_their_states() {
    // for, keep_firing_for, presence of a result per step => states after each step
    for (for_ms, keep_ms, presence, states) in [
        (0, 0, "11.", "firing firing inactive"),
        (20_000, 0, "1111.1", "pending pending firing firing inactive pending"),
        (20_000, 0, "11.111", "pending pending inactive pending pending firing"),
        (0, 15_000, "1...", "firing firing firing inactive"),
        (0, 15_000, "1..1...", "firing firing firing firing firing firing inactive"),
        (0, 0, "...", "inactive inactive inactive"),
    ] {
        let mut bench = Bench::new(&alerting(for_ms, keep_ms), options());
        assert_eq!(bench.alert_state(), "unknown");
        let mut seen = Vec::new();
        for present in presence.chars() {
            let results: &[(&str, f64)] =
                if present == '1' { &[("__name__=up,job=node,instance=a", 0.0)] } else { &[] };
            bench.fake.set("up == 0", results);
            bench.step();
            seen.push(bench.alert_state());
        }
        assert_eq!(seen.join(" "), states, "for {for_ms} keep {keep_ms} {presence}");
    }
}

#[test]
fn alerts_are_sent_when_they_fire_again_after_the_delay_and_resolved() {
    let mut bench = Bench::new(&alerting(10_000, 0), GroupOptions { resend_delay_ms: 25_000, ..options() });
    bench.fake.set("up == 0", &[("__name__=up,job=node,instance=a", 0.0)]);
    assert!(bench.step().alerts.is_empty(), "pending alerts are not sent");
    let sent = bench.step().alerts;
    let fired_at = bench.clock.now_ms();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].labels.to_string(),
        r#"{alertname="Down", by="node", instance="a", job="node", severity="page"}"#
    );
    assert_eq!(sent[0].annotations.to_string(), r#"{summary="a is at 0"}"#);
    assert_eq!(
        (sent[0].starts_at, sent[0].ends_at, sent[0].is_resolved),
        (fired_at, fired_at + 100_000, false)
    );
    assert_eq!(table_link(&sent[0].expr), "/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    assert_eq!([bench.step().alerts.len(), bench.step().alerts.len(), bench.step().alerts.len()], [0, 0, 1]);
    bench.fake.set("up == 0", &[]);
    let resolved = bench.step().alerts;
    let resolved_at = bench.clock.now_ms();
    assert_eq!((resolved[0].ends_at, resolved[0].is_resolved), (resolved_at, true));
    // The resolution is repeated for 15 minutes and then forgotten.
    let mut repeats = 0;
    for _ in 0..120 {
        repeats += bench.step().alerts.iter().filter(|alert| alert.ends_at == resolved_at).count();
    }
    assert_eq!(repeats, 30);
}

#[test]
fn alerts_are_recorded_and_marked_stale() {
    let mut bench = Bench::new(&alerting(10_000, 0), options());
    bench.fake.set("up == 0", &[("job=n", 0.0)]);
    bench.step();
    let active_at = bench.clock.now_ms() / 1000;
    let rest = r#"by="n", job="n", severity="page"}"#;
    let state = |state: &str, value: &str| {
        format!(r#"ALERTS{{alertname="Down", alertstate="{state}", {rest} {value}"#)
    };
    let for_state = |value: &str| format!(r#"ALERTS_FOR_STATE{{alertname="Down", {rest} {value}"#);
    let since = active_at.to_string();
    assert_eq!(bench.stored.take(), [state("pending", "1"), for_state(&since)]);
    bench.step();
    assert_eq!(bench.stored.take(), [state("firing", "1"), for_state(&since), state("pending", "x")]);
    bench.fake.set("up == 0", &[]);
    bench.step();
    assert_eq!(bench.stored.take(), [state("firing", "x"), for_state("x")]);
    bench.step();
    assert!(bench.stored.take().is_empty());
}

fn recording(labels: &[(&str, &str)]) -> GroupSpec {
    let rule = RuleSpec {
        record: Some("job:up:sum".to_owned()),
        expr: "sum(up)".to_owned(),
        labels: map(labels),
        ..RuleSpec::default()
    };
    GroupSpec {
        name: "g".to_owned(),
        limit: 2,
        labels: map(&[("team", "ops"), ("env", "prod")]),
        rules: vec![rule],
        ..GroupSpec::default()
    }
}

#[test]
fn recording_rules_label_limit_and_forget() {
    let mut bench = Bench::new(&recording(&[("env", "test"), ("gone", "")]), options());
    bench.fake.set("sum(up)", &[("__name__=x,job=a,gone=1,env=q", 3.0), ("job=b", 4.0)]);
    bench.step();
    assert_eq!(
        bench.stored.take(),
        [
            r#"job:up:sum{env="test", job="a", team="ops"} 3"#,
            r#"job:up:sum{env="test", job="b", team="ops"} 4"#
        ]
    );
    bench.fake.set("sum(up)", &[("job=b", 5.0)]);
    bench.step();
    assert_eq!(
        bench.stored.take(),
        [
            r#"job:up:sum{env="test", job="b", team="ops"} 5"#,
            r#"job:up:sum{env="test", job="a", team="ops"} x"#
        ]
    );
    for (results, error) in [
        (vec![("job=a", 1.0), ("job=b", 1.0), ("job=c", 1.0)], "exceeded limit of 2 with 3 series"),
        (
            vec![("job=a,env=1", 1.0), ("job=a,env=2", 1.0)],
            "vector contains metrics with the same labelset after applying rule labels",
        ),
    ] {
        bench.fake.set("sum(up)", &results);
        assert_eq!(bench.step().failures, 1);
        let status = bench.group.rules()[0].status().clone();
        assert_eq!(
            (status.health, status.last_error.map(|e| e.to_string())),
            (Health::Err, Some(error.to_owned()))
        );
        assert!(bench.stored.take().is_empty());
    }
    bench.fake.results.lock().unwrap().insert("sum(up)".to_owned(), Err("too slow".to_owned()));
    bench.step();
    assert_eq!(bench.group.rules()[0].status().last_error.as_ref().unwrap().to_string(), "too slow");
    let key = bench.group.key();
    assert_eq!(key, "/rules.yml;g");
    let retired = bench.group.retire();
    assert_eq!(retired.due, bench.clock.now_ms() + 20_000);
    assert_eq!(retired.stale_markers(5).len(), 1);
}

#[test]
fn too_many_alerts_drop_all() {
    let mut spec = alerting(0, 0);
    spec.limit = 1;
    let mut bench = Bench::new(&spec, options());
    bench.fake.set("up == 0", &[("job=a", 0.0)]);
    bench.step();
    assert_eq!(bench.alert_state(), "firing");
    bench.fake.set("up == 0", &[("job=a", 0.0), ("job=b", 0.0)]);
    assert_eq!(bench.step().failures, 1);
    assert_eq!(bench.alert_state(), "inactive");
}

#[test]
fn a_restart_gives_pending_time_back() {
    // for, when the alert became active, when the server was last up (before now), expected age of active_at
    let minute = 60_000;
    for (for_min, active_min, down_min, expected_min) in [
        // Fired already: the old time is kept.
        (20, 40, 10, 40),
        // 15 of 30 minutes were served, the 5 minutes down do not count.
        (30, 20, 5, 15),
        // 3 minutes were left, the grace period gives 10.
        (30, 32, 5, 20),
        // Too long ago to be looked at.
        (30, 200, 100, 0),
        // A short `for` is not restored.
        (5, 4, 1, 0),
    ] {
        let mut bench =
            Bench::new(&alerting(for_min * minute, 0), GroupOptions { restores: true, ..options() });
        bench.fake.set("up == 0", &[("job=n", 0.0)]);
        bench.step();
        assert!(bench.stored.take().is_empty(), "nothing is recorded before the restore");
        let now = bench.group.next_slot();
        bench.fake.for_states.lock().unwrap().push(ForState {
            labels: labels("__name__=ALERTS_FOR_STATE,alertname=Down,job=n,by=n,severity=page"),
            timestamp: now - down_min * minute,
            active_at_seconds: ((now - active_min * minute) / 1000) as f64,
        });
        bench.step();
        let Rule::Alerting(rule) = &bench.group.rules()[0] else { panic!("an alerting rule") };
        let age_min = (now - rule.active_alerts()[0].active_at + 30_000) / minute;
        assert_eq!(age_min, expected_min, "for {for_min} active {active_min} down {down_min}");
        bench.step();
        assert!(!bench.stored.take().is_empty());
    }
}

#[test]
fn a_reload_keeps_state_and_marks_removed_rules_stale() {
    let mut spec = alerting(20_000, 0);
    spec.rules.push(recording(&[]).rules.remove(0));
    let mut bench = Bench::new(&spec, options());
    bench.fake.set("up == 0", &[("job=n", 0.0)]);
    bench.fake.set("sum(up)", &[("job=n", 7.0)]);
    for _ in 0..3 {
        bench.step();
    }
    assert_eq!(bench.alert_state(), "firing");
    bench.stored.take();
    // The recording rule goes, and `for` is raised: the alert has to wait again.
    spec.rules.pop();
    spec.rules[0].for_ms = Some(3_600_000);
    let new = Bench::group(&spec, &bench.options, &bench.clock);
    let old = std::mem::replace(&mut bench.group, new);
    bench.group.adopt(old);
    bench.step();
    assert_eq!(bench.alert_state(), "pending");
    assert!(bench.stored.take().contains(&r#"job:up:sum{job="n"} x"#.to_owned()));
}

#[test]
fn slots_are_even_and_late_ones_are_counted() {
    let mut bench = Bench::new(&alerting(0, 0), options());
    let first = bench.group.next_slot();
    assert!(first > START_MS && first <= START_MS + 10_000);
    bench.step();
    assert_eq!(bench.group.next_slot(), first + 10_000);
    bench.clock.advance(Duration::from_secs(45));
    let late = bench.group.next_slot();
    assert_eq!(late, first + 40_000);
    assert_eq!(bench.step().missed, 3);
    bench.clock.jump_to_ms(START_MS - 86_400_000);
    assert!(bench.group.next_slot() <= START_MS - 86_400_000 + 10_000, "a clock set back is followed");
}

#[test]
fn templates_have_prometheus_functions() {
    let context = TemplateContext {
        external_labels: labels("region=eu"),
        external_url: "http://mon:9090/prom".to_owned(),
    };
    for (text, expected) in [
        ("{{ $labels.instance }} {{ .Labels.job }} {{ $labels.nope }}", "web1.example.com:9100 node "),
        ("{{ $value }} {{ .Value | humanize }}", "1.2345678e+06 1.235M"),
        (
            "{{ $externalLabels.region }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
            "eu http://mon:9090/prom http://mon:9090/prom /prom",
        ),
        (
            "{{ humanize 0.0012 }} {{ humanize 0.0 }} {{ humanize 999.0 }} {{ humanize -1234.0 }}",
            "1.2m 0 999 -1.234k",
        ),
        ("{{ humanize1024 2048.0 }} {{ humanize1024 1.0 }} {{ humanize1024 1073741824.0 }}", "2ki 1 1Gi"),
        (
            "{{ humanizeDuration 93784.0 }} {{ humanizeDuration 3700.0 }} {{ humanizeDuration 61.0 }}",
            "1d 2h 3m 4s 1h 1m 40s 1m 1s",
        ),
        (
            "{{ humanizeDuration 1.5 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration 0.0 }} {{ humanizeDuration -61.0 }}",
            "1.5s 12.3ms 0s -1m 1s",
        ),
        ("{{ humanizePercentage 0.12345 }} {{ \"0.5\" | humanizePercentage }}", "12.35% 50%"),
        ("{{ humanizeTimestamp 1700000000.5 }}", "2023-11-14 22:13:20.5 +0000 UTC"),
        (
            "{{ (toTime 1700000000.0).Year }} {{ toDuration 90.0 }} {{ parseDuration \"1h30m\" }}",
            "2023 1m30s 5400",
        ),
        ("{{ title \"hello big world\" }} {{ toUpper \"a\" }} {{ toLower \"B\" }}", "Hello Big World A b"),
        (
            "{{ match \"a.c\" \"xabcx\" }} {{ reReplaceAll \"(.*):.*\" \"${1}\" $labels.instance }}",
            "true web1.example.com",
        ),
        (
            "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ stripDomain \"10.0.0.1:80\" }}",
            "web1.example.com web1:9100 10.0.0.1:80",
        ),
        (
            "{{ graphLink \"up == 0\" }} {{ tableLink \"up\" }} {{ urlQueryEscape \"a b\" }}",
            "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1 a+b",
        ),
        ("{{ with query \"load\" }}{{ . | first | value }} {{ first . | label \"job\" }}{{ end }}", "7 b"),
        (
            "{{ range query \"load\" | sortByLabel \"job\" }}{{ .Labels.job }}={{ .Value }};{{ end }}",
            "a=5;b=7;",
        ),
        (
            "{{ query \"none\" | first }}",
            "<error expanding template: template: __alert_A:1:130: executing \"__alert_A\" at <first>: error calling first: first() called on vector with no elements>",
        ),
        (
            "{{ define \"x\" }}[{{ .arg0 }}{{ .arg1 }}]{{ end }}{{ template \"x\" (args 1 \"b\") }}{{ tmpl \"x\" (args 2 \"c\") }}",
            "[1b][2c]",
        ),
        ("{{ safeHtml \"<b>\" }}{{ now | printf \"%.0f\" | len }}", "<b>10"),
    ] {
        let mut spec = alerting(0, 0);
        spec.rules[0].alert = Some("A".to_owned());
        spec.rules[0].annotations = map(&[("text", text)]);
        let mut bench = Bench::new(&spec, GroupOptions { templates: context.clone(), ..options() });
        bench.fake.set("up == 0", &[("job=node,instance=web1.example.com:9100", 1_234_567.8)]);
        bench.fake.set("load", &[("job=b", 7.0), ("job=a", 5.0)]);
        let sent = bench.step().alerts;
        assert_eq!(sent[0].annotations.value("text"), expected, "{text}");
    }
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let check = |spec: GroupSpec| -> String {
        let file = RuleFile { path: "r.yml".to_owned(), groups: vec![spec] };
        let parse = |expr: &str| if expr.contains("bad") { Err("unexpected end".to_owned()) } else { Ok(()) };
        let errors = validate(&file, &parse).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(check(alerting(5, 5)), "");
    assert_eq!(check(recording(&[])), "");
    let with = |change: &dyn Fn(&mut RuleSpec)| {
        let mut spec = alerting(0, 0);
        change(&mut spec.rules[0]);
        check(spec)
    };
    let place = r#"r.yml: group "g", rule 1, "Down": "#;
    for (got, expected) in [
        (
            with(&|rule| rule.record = Some("x".to_owned())),
            format!(
                "{place}only one of 'record' and 'alert' must be set; {place}invalid field 'annotations' in recording rule"
            ),
        ),
        (with(&|rule| rule.expr = " ".to_owned()), format!("{place}field 'expr' must be set in rule")),
        (
            with(&|rule| rule.expr = "bad".to_owned()),
            format!("{place}could not parse expression: unexpected end"),
        ),
        (
            with(&|rule| rule.labels = map(&[("__name__", "x")])),
            format!("{place}invalid label name: __name__"),
        ),
        (
            with(&|rule| rule.labels = map(&[("a", "{{ nope }}")])),
            format!("{place}label \"a\": template: __alert_Down:1: function \"nope\" not defined"),
        ),
        (
            with(&|rule| rule.annotations = map(&[("a", "{{ $labels.x")])),
            format!("{place}annotation \"a\": template: __alert_Down:1: unclosed action"),
        ),
        (
            with(&|rule| rule.alert = None),
            r#"r.yml: group "g", rule 1, "": one of 'record' or 'alert' must be set"#.to_owned(),
        ),
        (check(GroupSpec::default()), "r.yml: groupname must not be empty".to_owned()),
    ] {
        assert_eq!(got, expected);
    }
    let mut spec = recording(&[]);
    spec.rules[0].record = Some("a{b}".to_owned());
    spec.rules[0].for_ms = Some(1);
    spec.rules[0].keep_firing_for_ms = Some(1);
    let shown = check(spec);
    for part in ["'for'", "'keep_firing_for'", "braces present"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let twice = RuleFile { path: "r.yml".to_owned(), groups: vec![alerting(0, 0), alerting(0, 0)] };
    assert!(
        validate(&twice, &|_| Ok(())).unwrap_err()[0].to_string().contains("is repeated in the same file")
    );
}

#[test]
fn changes_of_alerts_are_remembered() {
    let mut bench = Bench::new(&alerting(20_000, 0), options());
    let start = (bench.group.next_slot() - START_MS) / 1000;
    for present in "1111.1..".chars() {
        let results: &[(&str, f64)] = if present == '1' { &[("job=n", 0.0)] } else { &[] };
        bench.fake.set("up == 0", results);
        bench.step();
    }
    let at = |step: i64, change: &str| format!("{} {change}", start + step * 10);
    assert_eq!(
        bench.transitions(),
        [
            at(0, "inactive-pending"),
            at(2, "pending-firing"),
            at(4, "firing-inactive"),
            at(5, "inactive-pending"),
            at(6, "pending-inactive"),
        ]
    );
}
