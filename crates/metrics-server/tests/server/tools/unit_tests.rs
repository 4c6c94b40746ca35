//! `test rules`.

use super::{directory, ours, promtool};

const RULES: &str = "groups:\n- name: late\n  rules:\n  - alert: Sum\n    expr: job:up:sum < 2\n    annotations: {summary: 'only {{ $value }} of {{ $externalLabels.site }} at {{ $externalURL }}'}\n- name: early\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    labels: {severity: page}\n    annotations: {summary: '{{ $labels.instance }} is down'}\n";
const GOOD: &str = "rule_files: ['*.rules']\nevaluation_interval: 1m\ngroup_eval_order: [early, late]\ntests:\n- name: down\n  interval: 1m\n  external_labels: {site: x}\n  external_url: http://e/\n  input_series:\n  - {series: 'up{job=\"j\",instance=\"a\"}', values: '1x2 0x10'}\n  - {series: 'up{job=\"j\",instance=\"b\"}', values: '1 1 1+0x10'}\n  alert_rule_test:\n  - {eval_time: 4m, alertname: Down}\n  - eval_time: 5m\n    alertname: Down\n    exp_alerts:\n    - exp_labels: {job: j, instance: a, severity: page}\n      exp_annotations: {summary: a is down}\n  - eval_time: 5m\n    alertname: Sum\n    exp_alerts:\n    - exp_labels: {job: j}\n      exp_annotations: {summary: 'only 1 of x at http://e/'}\n  promql_expr_test:\n  - {expr: 'job:up:sum', eval_time: 2m, exp_samples: [{labels: 'job:up:sum{job=\"j\"}', value: 2}]}\n  - {expr: 'sum(up) * 1.5', eval_time: 5m, exp_samples: [{labels: '{}', value: 1.5}]}\n  - {expr: 'ALERTS', eval_time: 4m, exp_samples: [{labels: 'ALERTS{alertname=\"Down\",alertstate=\"pending\",instance=\"a\",job=\"j\",severity=\"page\"}', value: 1}, {labels: 'ALERTS{alertname=\"Sum\",alertstate=\"firing\",job=\"j\"}', value: 1}]}\n";
const WRONG: &str = "rule_files: ['a.rules']\ntests:\n- name: first\n  input_series:\n  - {series: 'up{job=\"j\",instance=\"a\"}', values: '0x10'}\n  alert_rule_test:\n  - eval_time: 5m\n    alertname: Down\n    exp_alerts:\n    - exp_labels: {job: j, instance: b}\n  - {eval_time: 5m, alertname: Sum}\n  promql_expr_test:\n  - {expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 0.1}]}\n  - {expr: none, eval_time: 1m, exp_samples: [{labels: none, value: 1}]}\n- name: second\n  promql_expr_test:\n  - {expr: vector(1), eval_time: 0, exp_samples: [{labels: '{}', value: 1}]}\n";
const HISTOGRAMS: &str = "tests:\n- input_series:\n  - {series: h, values: '{{schema:1 count:3 sum:5 buckets:[1 2]}}+{{schema:1 count:3 sum:5 buckets:[1 2]}}x3'}\n  start_timestamp: 2024-01-01T00:00:00Z\n  promql_expr_test:\n  - {expr: h, eval_time: 2m, exp_samples: [{labels: h, histogram: '{{schema:1 count:9 sum:15 counter_reset_hint:not_reset buckets:[3 6]}}'}]}\n  - {expr: time(), eval_time: 1m, exp_samples: [{value: 1704067260}]}\n";

#[test]
fn tests_pass_and_fail_as_with_promtool() {
    let dir = directory(&[
        ("a.rules", RULES),
        ("good.yml", GOOD),
        ("wrong.yml", WRONG),
        ("broken.yml", "tests: [{name: a, alert_rule_test: [{eval_time: 1m}]}]\n"),
    ]);
    for (file, code, has_same_words) in
        [("good.yml", 0, true), ("wrong.yml", 1, true), ("broken.yml", 1, false), ("none.yml", 1, false)]
    {
        let arguments = ["test", "rules", file];
        let ours = ours(dir.path(), &arguments, "");
        assert_eq!(ours.code, code, "{file}: {ours:?}");
        if let Some(original) = promtool(dir.path(), &arguments, "") {
            assert_eq!(ours.code, original.code, "{file}: {original:?}");
            if has_same_words {
                assert_eq!((ours.out, ours.err), (original.out, original.err), "{file}");
            }
        }
    }
}

#[test]
fn options_choose_show_and_report() {
    let dir = directory(&[("a.rules", RULES), ("wrong.yml", WRONG), ("h.yml", HISTOGRAMS)]);
    let ended = ours(dir.path(), &["test", "rules", "h.yml"], "");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    let ended = ours(dir.path(), &["test", "rules", "--run", "^sec", "wrong.yml"], "");
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = ours(dir.path(), &["test", "--junit=out.xml", "rules", "--diff", "wrong.yml"], "");
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("diff: ") && ended.err.contains("- {__name__=\"up\"} 1E-01"), "{}", ended.err);
    let xml = std::fs::read_to_string(dir.path().join("out.xml")).expect("written");
    assert!(xml.contains("<testsuite name=\"wrong.yml\" tests=\"2\" failures=\"4\" errors=\"0\""), "{xml}");
    assert!(xml.contains("<testcase name=\"second\"></testcase>"), "{xml}");
    let ended = ours(dir.path(), &["test", "rules", "--debug", "h.yml"], "");
    assert!(
        ended.err.contains("DEBUG: Starting test unnamed#0") && ended.err.contains("h =>\n"),
        "{}",
        ended.err
    );
}
