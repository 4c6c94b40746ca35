//! `check`.

use super::{directory, ours, promtool};

const RULES: &str = "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum(up)\n  - alert: Down\n    expr: up == 0\n    labels: {severity: page}\n  - alert: Down\n    expr: up == 0\n    for: 6m\n    labels: {severity: page}\n";
const METRICS: &str = "# HELP a_total x\n# TYPE a_total counter\na_total 1\n# TYPE b gauge\nb{x=\"y\"} 3\nb{x=\"z\"} 3\ncamelCase{lE=\"1\"} 3\nfoo_milliseconds 3\n# TYPE c counter\nc 2\n# TYPE h_total gauge\nh_total 1\n# TYPE s histogram\ns_bucket{le=\"+Inf\"} 2\ns_sum 1\ns_count 2\n# TYPE x_ms_gauge gauge\nx_ms_gauge{le=\"1\",quantile=\"2\"} 1\na:b_count 1\n# TYPE y_sum counter\ny_sum 2\n";
const CLEAN: &str = "# HELP a_total x\n# TYPE a_total counter\na_total 1\n# HELP s x\n# TYPE s histogram\ns_bucket{le=\"1\"} 1\ns_bucket{le=\"+Inf\"} 2\ns_sum 1\ns_count 2\n# HELP q x\n# TYPE q summary\nq{quantile=\"0.5\"} 1\nq_sum 1\nq_count 1\n";

fn files() -> tempfile::TempDir {
    directory(&[
        (
            "good.yml",
            "global: {scrape_interval: 15s}\nrule_files: [two.rules, 'none/*.rules']\nscrape_configs:\n- job_name: a\n  static_configs: [{targets: ['localhost:9090']}]\n- job_name: f\n  file_sd_configs: [{files: [sd.json]}]\n",
        ),
        ("bad.yml", "scrape_config: []\n"),
        ("missing.yml", "rule_files: [missing.rules]\n"),
        ("slow.yml", "scrape_configs:\n- {job_name: a, scrape_interval: 10m}\n"),
        ("sd.json", "[{\"targets\":[\"a:1\"],\"labels\":{\"b\":\"c\"}}]"),
        ("badsd.yml", "scrape_configs:\n- job_name: f\n  file_sd_configs: [{files: [bad.json]}]\n"),
        ("bad.json", "[{\"targets\":[\"http://a:1\"]}]"),
        (
            "nokey.yml",
            "scrape_configs:\n- job_name: a\n  tls_config: {cert_file: none.pem, key_file: none.key}\n",
        ),
        ("two.rules", RULES),
        ("one.rules", "groups:\n- name: g\n  rules:\n  - {record: a, expr: up}\n"),
        ("syntax.rules", "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'sum('}\n"),
        ("extra.rules", "groups:\n- name: g\n  owner: x\n  rules:\n  - {record: a, expr: up}\n"),
        ("web.yml", "http_server_config: {http2: false}\n"),
        ("badweb.yml", "tls_server_config: {cert_file: none.crt, key_file: none.key}\n"),
    ])
}

/// Same exit code, and same words where both find the same; in our own words where that is better.
#[test]
fn checks_end_as_promtools_do() {
    let dir = files();
    let path = dir.path();
    for (arguments, input, has_same_words) in [
        (&["check", "config", "good.yml"][..], "", true),
        (&["check", "config", "--lint=none", "good.yml"], "", true),
        (&["check", "config", "--lint=all", "--lint-fatal", "good.yml"], "", true),
        (&["check", "config", "--syntax-only", "good.yml", "missing.yml"], "", true),
        (&["check", "config", "bad.yml"], "", false),
        (&["check", "config", "missing.yml"], "", true),
        (&["check", "config", "none.yml"], "", false),
        (&["check", "config", "badsd.yml"], "", false),
        (&["check", "config", "nokey.yml"], "", false),
        (&["check", "rules", "two.rules", "one.rules"], "", true),
        (&["check", "rules", "--lint=none", "two.rules"], "", true),
        (&["check", "rules", "--lint-fatal", "two.rules"], "", true),
        (&["check", "rules", "syntax.rules"], "", false),
        (&["check", "rules", "extra.rules"], "", false),
        (&["check", "web-config", "web.yml"], "", true),
        (&["check", "web-config", "badweb.yml"], "", false),
        (&["check", "metrics"], METRICS, true),
        (&["check", "metrics"], CLEAN, true),
        (&["check", "metrics", "--extended"], CLEAN, true),
        (&["check", "metrics"], "foo{\n", false),
        (&["check", "service-discovery", "good.yml", "none"], "", true),
    ] {
        let ours = ours(path, arguments, input);
        let Some(original) = promtool(path, arguments, input) else { continue };
        assert_eq!(ours.code, original.code, "{arguments:?}: {ours:?} {original:?}");
        if !has_same_words {
            continue;
        }
        // The original of that version indents one word more in a check of a configuration.
        let err = original.err.replace("     lint error", "lint error");
        assert_eq!((ours.out, ours.err), (original.out, err), "{arguments:?}");
    }
}

#[test]
fn errors_name_their_place() {
    let dir = files();
    for (arguments, code, message) in [
        (&["check", "config", "bad.yml"][..], 1, "bad.yml:1:1: unknown key \"scrape_config\", did you mean"),
        (
            &["check", "rules", "syntax.rules"],
            1,
            "syntax.rules:4:5: group \"g\", rule 1, \"a\": could not parse",
        ),
        (&["check", "rules", "extra.rules"], 1, "extra.rules:3:3: groups[0]: unknown key \"owner\""),
        (&["check", "rules", "--ignore-unknown-fields", "extra.rules"], 0, ""),
        (
            &["check", "config", "--lint=too-long-scrape-interval", "--lint-fatal", "slow.yml"],
            3,
            "too long scrape interval found",
        ),
        (&["check", "config", "slow.yml"], 0, ""),
        (&["check", "config", "--agent", "good.yml"], 1, "field rule_files is not allowed in agent mode"),
        (&["check", "config", "badsd.yml"], 1, "\"http://a:1\" is not a valid hostname"),
        (&["check", "metrics", "--lint=none"], 1, "at least one of --extended or linting"),
    ] {
        let ended = ours(dir.path(), arguments, "");
        assert!(ended.code == code && ended.err.contains(message), "{arguments:?}: {ended:?}");
    }
    let ended = ours(dir.path(), &["check", "rules"], RULES);
    assert!(ended.code == 0 && ended.out.starts_with("Checking standard input\n"), "{ended:?}");
}

#[test]
fn targets_are_shown_with_their_labels() {
    let dir = files();
    let ended = ours(dir.path(), &["check", "service-discovery", "good.yml", "f"], "");
    let shown: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(shown[0]["discoveredLabels"]["__meta_filepath"], "sd.json");
    assert_eq!(shown[0]["labels"]["instance"], "a:1");
    assert_eq!(shown[0]["labels"].get("__meta_filepath"), None);
    let Some(original) = promtool(dir.path(), &["check", "service-discovery", "good.yml", "f"], "") else {
        return;
    };
    let original: serde_json::Value = serde_json::from_str(&original.out).expect("JSON");
    for side in ["discoveredLabels", "labels"] {
        for (name, value) in original[0][side].as_object().expect("labels") {
            assert_eq!(&shown[0][side][name], value, "{name}");
        }
    }
}

#[test]
fn help_says_first_what_the_program_is() {
    let dir = directory(&[]);
    for (arguments, expected) in [
        (&["--help"][..], "Scrapes and stores metrics, answers PromQL, evaluates alerting rules."),
        (&["healthcheck", "--help"], "Ask the running service whether it is healthy"),
        (&["query", "instant", "--help"], "Evaluate an expression at one time"),
    ] {
        let help = ours(dir.path(), arguments, "");
        assert_eq!((help.code, help.out.lines().next()), (0, Some(expected)), "{arguments:?}");
    }
}
