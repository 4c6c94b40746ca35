//! Configurations as files: what loads, what warns, what is refused.

use super::*;
use crate::config::PathAliases;

const BLOG: &str = "rule_files:\n  - \"alert.rules\"\nscrape_configs:\n  - job_name: monitor_server\n    scrape_interval: 5s\n    static_configs:\n      - targets: ['cadvisor:8080']\nalerting:\n  alertmanagers:\n  - scheme: http\n    static_configs:\n    - targets:\n      - 'alertmanager:9093'\n";
const RULES: &str = "groups:\n- name: targets\n  rules:\n  - alert: down\n    expr: up == 0\n    for: 30s\n    labels: {severity: critical}\n    annotations: {description: \"{{ $labels.instance }} is down.\"}\n";

fn load_text(yaml: &str, rules: Option<&str>) -> Result<LoadedConfig, String> {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::write(dir.path().join("prometheus.yaml"), yaml).expect("file");
    if let Some(rules) = rules {
        std::fs::write(dir.path().join("alert.rules"), rules).expect("file");
    }
    // The other ending stands in for this one.
    load(&dir.path().join("prometheus.yml"), &PathAliases::default()).map_err(|failure| failure.to_string())
}

#[test]
fn a_deployment_loads_with_its_rules() {
    let loaded = load_text(BLOG, Some(RULES)).expect("valid");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let job = &loaded.config.scrape_configs[0];
    assert_eq!(
        (job.interval.as_secs(), job.timeout.as_secs(), job.metrics_path.as_str()),
        (5, 5, "/metrics")
    );
    assert_eq!(loaded.rule_files[0].groups[0].rules[0].for_ms, Some(30_000));
    let missing = load_text(BLOG, None).expect("valid");
    assert!(missing.warnings[0].contains("alert.rules matches no file"), "{:?}", missing.warnings);
}

#[test]
fn wrong_configurations_name_their_place() {
    for (yaml, message) in [
        ("scrape_config: []", "unknown key \"scrape_config\", did you mean \"scrape_configs\""),
        (
            "global: {scrape_interval: 5s, scrape_timeout: 10s}",
            "global scrape timeout greater than scrape interval",
        ),
        (
            "scrape_configs: [{job_name: a}, {job_name: a}]",
            "found multiple scrape configs with job name \"a\"",
        ),
        ("scrape_configs: [{}]", "required key \"job_name\" is missing"),
        ("scrape_configs: [null]", "empty or null scrape config section"),
        (
            "scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]",
            "scrape timeout greater than scrape interval",
        ),
        (
            "scrape_configs: [{job_name: a, static_configs: [{targets: ['http://b']}]}]",
            "is not a valid hostname",
        ),
        ("scrape_configs: [{job_name: a, scrape_protocols: []}]", "scrape_protocols cannot be empty"),
        ("scrape_configs: [{job_name: a, scrape_protocols: [X]}]", "unknown scrape protocol"),
        (
            "scrape_configs: [{job_name: a, metric_relabel_configs: [{action: nope}]}]",
            "unknown relabel action",
        ),
        ("rule_files: ['*/a/*.rules']", "a pattern may have one *"),
        ("remote_read: [{url: 'http://a'}]", "known but not built yet"),
        ("global: {external_labels: {__name__: a}}", "is not a valid external label name"),
        ("alerting: {alertmanagers: [{api_version: v1}]}", "expected one of v2"),
        ("storage: {tsdb: {retention: {time: x}}}", "is not a duration"),
    ] {
        let error = load_text(yaml, None).map(drop).expect_err(yaml);
        assert!(error.contains(message), "{yaml}: {error}");
    }
    let error = load_text(BLOG, Some("groups: [{name: a, rules: [{alert: x, expr: 'up ==='}]}]"))
        .map(drop)
        .expect_err("rule");
    assert!(error.contains("could not parse expression"), "{error}");
}

#[test]
fn jobs_come_from_further_files() {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::create_dir(dir.path().join("jobs")).expect("directory");
    let load_with = |jobs: &str| {
        std::fs::write(dir.path().join("jobs/a.yml"), jobs).expect("file");
        let yaml = "global: {scrape_interval: 7s}\nscrape_config_files: ['jobs/*.yml']\nscrape_configs: [{job_name: own}]";
        std::fs::write(dir.path().join("prometheus.yml"), yaml).expect("file");
        load(&dir.path().join("prometheus.yml"), &PathAliases::default())
            .map_err(|failure| failure.to_string())
    };
    let loaded =
        load_with("scrape_configs: [{job_name: more, file_sd_configs: [{files: [t.json]}]}]").expect("valid");
    let jobs = &loaded.config.scrape_configs;
    let names: Vec<&str> = jobs.iter().map(|job| job.job_name.as_str()).collect();
    assert_eq!((names, jobs[1].interval.as_secs()), (vec!["own", "more"], 7));
    let discovery::DiscoveryConfig::File(files) = &jobs[1].discovery[0] else { panic!("a file") };
    assert_eq!(files.files, [dir.path().join("jobs/t.json")], "paths start at the file that names them");
    for (jobs, message) in [
        ("scrape_configs: [{job_name: own}]", "found multiple scrape configs with job name \"own\""),
        ("scrape_configs: [{}]", "a.yml"),
        ("global: {}", "unknown key \"global\""),
    ] {
        let error = load_with(jobs).map(drop).expect_err(jobs);
        assert!(error.contains(message), "{jobs}: {error}");
    }
}

#[test]
fn storage_settings_are_read() {
    let loaded = load_text(
        "storage: {tsdb: {out_of_order_time_window: 24h, retention: {time: 30d, size: 1GB}}}",
        None,
    )
    .expect("valid");
    let storage = loaded.config.storage;
    assert_eq!(
        (storage.out_of_order_window_ms, storage.retention_time_ms),
        (86_400_000, Some(2_592_000_000))
    );
    assert_eq!(storage.retention_size, Some(ByteSize(1 << 30)));
}
