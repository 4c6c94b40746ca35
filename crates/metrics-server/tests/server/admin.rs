//! The administrator's endpoints, federation and status over HTTP.

use prost::Message;
use wire::prometheus::{Label, Sample, TimeSeries, WriteRequest};

use crate::harness::{Server, now_ms};

fn started(yaml: &str, flags: &[&str]) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("directory");
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, yaml).expect("file");
    let server = Server::start_with(&config, &dir.path().join("data"), flags);
    (dir, server)
}

fn put(server: &Server, pairs: &[(&str, &str)], timestamp: i64, value: f64) {
    let labels =
        pairs.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() });
    let series = TimeSeries {
        labels: labels.collect(),
        samples: vec![Sample { value, timestamp }],
        ..TimeSeries::default()
    };
    let request = WriteRequest { timeseries: vec![series], metadata: Vec::new() }.encode_to_vec();
    let body = snap::raw::Encoder::new().compress_vec(&request).expect("compressed");
    let answer = server.send("POST", "/api/v1/write", &[], &body);
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[test]
fn deletes_snapshots_and_cleaning_need_their_flag() {
    let write = "--web.enable-remote-write-receiver";
    let (_dir, closed) = started("global: {}\n", &[write]);
    for path in ["delete_series?match[]=a", "clean_tombstones", "snapshot"] {
        let answer = closed.send("POST", &format!("/api/v1/admin/tsdb/{path}"), &[], &[]);
        assert_eq!(
            (answer.status, answer.json()["errorType"].as_str()),
            (500, Some("unavailable")),
            "{path}"
        );
    }

    let (dir, server) = started("global: {}\n", &[write, "--web.enable-admin-api"]);
    let now = now_ms();
    for name in ["gone", "stays"] {
        put(&server, &[("__name__", name)], now - 1000, 1.0);
        put(&server, &[("__name__", name)], now, 2.0);
    }
    let admin =
        |method: &str, path: &str| server.send(method, &format!("/api/v1/admin/tsdb/{path}"), &[], &[]);
    assert_eq!(admin("GET", "delete_series?match[]=gone").status, 405);
    assert_eq!(admin("POST", "delete_series").status, 400);
    assert_eq!(admin("POST", "delete_series?match[]=gone{").status, 400);
    assert_eq!(admin("POST", "delete_series?match[]={x=''}").status, 400);
    assert_eq!(admin("POST", "delete_series?match[]=gone&start=2&end=1").status, 400);
    assert_eq!(
        admin("PUT", &format!("delete_series?match[]=gone&end={}", (now - 500) as f64 / 1e3)).status,
        204
    );
    assert_eq!(
        server.value("count_over_time(gone[1m])", now).as_deref(),
        Some("1"),
        "only the range is masked"
    );
    assert_eq!(admin("POST", "delete_series?match[]=gone").status, 204);
    assert_eq!(server.value("gone", now), None);
    assert_eq!(server.value("stays", now).as_deref(), Some("2"));
    assert_eq!(admin("POST", "clean_tombstones").status, 204);
    assert_eq!(server.value("stays", now).as_deref(), Some("2"));

    for (query, has_head) in [("", true), ("?skip_head=true", false)] {
        let answer = admin("POST", &format!("snapshot{query}"));
        let name = answer.json()["data"]["name"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (time, random) = name.split_once('-').unwrap_or_default();
        assert!(time.len() == 16 && time.ends_with('Z') && random.len() == 16, "{name}");
        let directory = dir.path().join("data/snapshots").join(&name);
        let blocks = std::fs::read_dir(directory).map(Iterator::count).unwrap_or(0);
        assert_eq!(blocks > 0, has_head, "{name}");
    }
    assert_eq!(admin("POST", "snapshot?skip_head=perhaps").status, 400);
}

#[test]
fn federation_shows_the_newest_samples() {
    let yaml = "global: {external_labels: {site: north}}\n";
    let (_dir, server) = started(yaml, &["--web.enable-remote-write-receiver"]);
    let now = now_ms();
    put(&server, &[("__name__", "b"), ("instance", "i")], now - 2000, 1.0);
    put(&server, &[("__name__", "b"), ("instance", "i")], now - 1000, 2.5);
    put(&server, &[("__name__", "a"), ("site", "south")], now - 1000, 3.0);
    put(&server, &[("__name__", "old")], now - 600_000, 4.0);
    put(&server, &[("__name__", "stale")], now - 1000, f64::from_bits(0x7ff0_0000_0000_0002));
    let answer = server.send("GET", "/federate?match[]={__name__=~%22.%2B%22}", &[], &[]);
    let at = now - 1000;
    let expected = format!(
        "# TYPE a untyped\na{{site=\"south\",instance=\"\"}} 3 {at}\n# TYPE b untyped\nb{{instance=\"i\",site=\"north\"}} 2.5 {at}\n"
    );
    assert_eq!(answer.text(), expected);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    assert_eq!(server.get("/federate?match[]=up{").0, 400);
    assert_eq!(server.get("/federate?match[]={}").0, 400);
    assert_eq!(server.get("/federate"), (200, String::new()));
}

#[test]
fn status_answers_have_their_keys() {
    let yaml = "scrape_configs:\n- job_name: j\n  basic_auth: {username: u, password: hidden}\n  static_configs: [{targets: ['127.0.0.1:1']}]\n  relabel_configs: [{source_labels: [__address__], regex: x, action: keep}]\n";
    let (_dir, server) = started(yaml, &["--web.enable-remote-write-receiver"]);
    put(&server, &[("__name__", "a"), ("b", "c")], now_ms(), 1.0);
    for (path, keys) in [
        ("status/config", &["yaml"][..]),
        ("features", &["api", "promql", "promql_functions", "rules", "templating_functions", "tsdb"]),
        (
            "status/flags",
            &["config.file", "storage.tsdb.path", "web.enable-admin-api", "query.lookback-delta"],
        ),
        (
            "status/runtimeinfo",
            &[
                "startTime",
                "CWD",
                "hostname",
                "serverTime",
                "reloadConfigSuccess",
                "lastConfigTime",
                "corruptionCount",
                "goroutineCount",
                "GOMAXPROCS",
                "GOMEMLIMIT",
                "GOGC",
                "GODEBUG",
                "storageRetention",
            ],
        ),
        ("status/buildinfo", &["version", "revision", "branch", "buildUser", "buildDate", "goVersion"]),
        (
            "status/tsdb",
            &[
                "headStats",
                "seriesCountByMetricName",
                "labelValueCountByLabelName",
                "memoryInBytesByLabelName",
                "seriesCountByLabelValuePair",
            ],
        ),
        ("status/tsdb/blocks", &["blocks"]),
        ("status/walreplay", &["min", "max", "current"]),
        ("targets", &["activeTargets", "droppedTargets", "droppedTargetCounts"]),
        ("scrape_pools", &["scrapePools"]),
        ("alertmanagers", &["activeAlertmanagers", "droppedAlertmanagers"]),
        ("rules", &["groups"]),
        ("alerts", &["alerts"]),
    ] {
        let (status, body) = server.get(&format!("/api/v1/{path}"));
        let data = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default()["data"].take();
        let shown: Vec<&str> =
            data.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
        assert_eq!(status, 200, "{path}: {body}");
        for key in keys {
            assert!(shown.contains(key), "{path} has no {key}: {body}");
        }
        assert!(!body.contains("hidden"), "{path} shows a secret");
    }
    for (path, status) in [
        ("status/tsdb?limit=0", 400),
        ("status/tsdb?limit=x", 400),
        ("status/tsdb?limit=10001", 400),
        ("targets?state=dropped", 200),
        ("targets/metadata?limit=x", 400),
        ("metadata?limit=x", 400),
        ("series", 400),
        ("label/__name__/values", 200),
    ] {
        assert_eq!(server.get(&format!("/api/v1/{path}")).0, status, "{path}");
    }
    let dropped = server.wait_for("/api/v1/targets?state=dropped", |_, body| body.contains("127.0.0.1:1"));
    assert!(dropped.contains("\"droppedTargetCounts\":{\"j\":1}"), "{dropped}");
    let rule = "\"relabelIndex\":0,\"relabelRule\":{\"source_labels\":[\"__address__\"],\"regex\":\"x\",\"action\":\"keep\"}";
    assert!(dropped.contains(rule), "{dropped}");
    for (labels, keep) in
        [("%7B%22__address__%22:%22x%22%7D", true), ("%7B%22__address__%22:%22y%22%7D", false)]
    {
        let steps = server.get(&format!("/api/v1/targets/relabel_steps?scrapePool=j&labels={labels}")).1;
        assert!(steps.contains(&format!("\"keep\":{keep}")), "{steps}");
    }
    assert_eq!(server.get("/api/v1/targets/relabel_steps?scrapePool=none&labels=%7B%7D").0, 404);
    assert_eq!(server.get("/api/v1/targets/relabel_steps?scrapePool=j&labels=x").0, 400);
}

#[test]
fn what_a_job_inherits_is_shown_and_secrets_are_not() {
    let yaml = "global: {scrape_interval: 30s, sample_limit: 7}\nscrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: p}\n  metrics_path: /m\n";
    let (_dir, server) = started(yaml, &[]);
    let answer = server.send("GET", "/api/v1/scrape_pools/config?scrapePool=a", &[], &[]).json();
    let shown = answer["data"]["yaml"].as_str().unwrap_or_default();
    for line in ["job_name: a", "scrape_interval: 30s", "sample_limit: 7", "metrics_path: /m", "<secret>"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(!shown.contains("password: p\n"), "{shown}");
    for query in ["", "?scrapePool=b"] {
        let answer = server.send("GET", &format!("/api/v1/scrape_pools/config{query}"), &[], &[]);
        assert_eq!((answer.status, answer.json()["errorType"].as_str()), (400, Some("bad_data")));
    }
}

#[test]
fn the_server_tells_of_itself() {
    let (dir, server) = started("global: {}\n", &["--web.enable-lifecycle"]);
    let found =
        server.send("GET", "/api/v1/status/self_metrics?metric_name_pattern=prometheus_build_.*", &[], &[]);
    let found = found.json();
    assert_eq!(found["data"][0]["name"], "prometheus_build_info");
    assert_eq!(found["data"][0]["metric"][0]["gauge"]["value"], 1.0);
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));
    let answer = server.send("GET", "/api/v1/status/self_metrics?metric_name_pattern=(", &[], &[]);
    assert_eq!(answer.status, 400);
    let openapi = server.send("GET", "/api/v1/openapi.yaml?openapi_version=3.2", &[], &[]);
    assert_eq!(openapi.header("content-type"), Some("application/yaml; charset=utf-8"));
    assert!(openapi.text().starts_with("openapi: 3.2.0\n"));

    let notices = || server.send("GET", "/api/v1/notifications", &[], &[]).json()["data"].clone();
    assert_eq!(notices(), serde_json::json!([]));
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "nonsense: 1\n").expect("file");
    assert_eq!(server.send("POST", "/-/reload", &[], &[]).status, 500);
    assert_eq!(notices()[0]["active"], true);
    std::fs::write(&config, "global: {}\n").expect("file");
    assert_eq!(server.send("POST", "/-/reload", &[], &[]).status, 200);
    assert_eq!(notices(), serde_json::json!([]));
}

#[test]
fn names_are_searched() {
    let write = "--web.enable-remote-write-receiver";
    let (_dir, closed) = started("global: {}\n", &[]);
    let answer = closed.send("GET", "/api/v1/search/metric_names", &[], &[]);
    assert_eq!(answer.json()["errorType"], "unavailable");
    let (_dir, server) = started("global: {}\n", &[write, "--enable-feature=search-api"]);
    let now = now_ms();
    for name in ["node_load1", "node_load5", "down", "Upload"] {
        put(&server, &[("__name__", name), ("host", "h1")], now, 1.0);
    }
    let lines = |path: &str| {
        let answer = server.send("GET", &format!("/api/v1/search/{path}"), &[], &[]);
        let mut lines = Vec::new();
        for line in answer.text().lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            match line["results"].as_array() {
                Some(results) => {
                    let names = results.iter().map(|one| one["name"].as_str().or(one["value"].as_str()));
                    lines.push(names.map(Option::unwrap_or_default).collect::<Vec<_>>().join(" "));
                }
                None => lines.push(format!("{} {}", line["status"], line["has_more"])),
            }
        }
        lines
    };
    for (path, expected) in [
        ("metric_names", &["Upload down node_load1 node_load5", "\"success\" false"][..]),
        ("metric_names?search[]=load&sort_by=score", &["Upload node_load1 node_load5", "\"success\" false"]),
        ("metric_names?search[]=node&limit=1", &["node_load1", "\"success\" true"]),
        (
            "metric_names?sort_by=alpha&sort_dir=dsc&batch_size=3",
            &["node_load5 node_load1 down", "Upload", "\"success\" false"],
        ),
        ("metric_names?search[]=UP", &["", "\"success\" false"]),
        ("metric_names?search[]=UP&case_sensitive=false", &["Upload", "\"success\" false"]),
        ("label_names?search[]=host", &["host", "\"success\" false"]),
        ("label_values?label=host", &["h1", "\"success\" false"]),
    ] {
        assert_eq!(lines(path), expected, "{path}");
    }
    for query in [
        "sort_dir=asc",
        "sort_by=score",
        "limit=0",
        "limit=10001",
        "fuzz_threshold=101",
        "fuzz_alg=x",
        "case_sensitive=x",
    ] {
        let answer = server.send("GET", &format!("/api/v1/search/metric_names?{query}"), &[], &[]);
        assert_eq!((answer.status, answer.json()["errorType"].as_str()), (400, Some("bad_data")), "{query}");
    }
    assert_eq!(server.send("GET", "/api/v1/search/label_values", &[], &[]).status, 400);
}

#[test]
fn groups_of_rules_come_page_by_page_and_rules_are_logged() {
    let rules = "groups:\n- name: a\n  rules: [{alert: A, expr: vector(1), labels: {team: x}}]\n- name: b\n  rules: [{record: r, expr: vector(2)}]\n- name: c\n  rules: [{alert: C, expr: vector(0) == 1, labels: {team: y}}]\n";
    let dir = tempfile::tempdir().expect("directory");
    let config = dir.path().join("prometheus.yml");
    let yaml = "global: {evaluation_interval: 1s, query_log_file: query.log}\nrule_files: [rules.yml]\n";
    std::fs::write(&config, yaml).expect("file");
    std::fs::write(dir.path().join("rules.yml"), rules).expect("file");
    let server = Server::start_with(&config, &dir.path().join("data"), &[]);
    let page = |query: &str| {
        let answer = server.send("GET", &format!("/api/v1/rules?{query}"), &[], &[]).json();
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> =
            groups.iter().map(|group| group["name"].as_str().unwrap_or_default().to_owned()).collect();
        (names.join(" "), answer["data"]["groupNextToken"].as_str().map(str::to_owned))
    };
    let (names, token) = page("group_limit=2");
    assert_eq!(names, "a b");
    let token = token.expect("more");
    assert_eq!(page(&format!("group_limit=2&group_next_token={token}")), ("c".to_owned(), None));
    assert_eq!(page("match[]=%7Bteam%3D%22y%22%7D"), ("c".to_owned(), None));
    for query in ["group_limit=0", "group_next_token=x", "group_limit=1&group_next_token=x"] {
        assert_eq!(server.send("GET", &format!("/api/v1/rules?{query}"), &[], &[]).status, 400, "{query}");
    }

    let history =
        server.wait_for("/api/watchbell/v1/rules/history?rule=A", |_, body| body.contains("firing"));
    let history: serde_json::Value = serde_json::from_str(&history).expect("JSON");
    let change = &history["data"]["rules"][0]["transitions"][0];
    assert_eq!((change["from"].as_str(), change["to"].as_str()), (Some("inactive"), Some("firing")));
    assert_eq!(change["labels"]["team"], "x");

    let log = std::fs::read_to_string(dir.path().join("query.log")).expect("the log");
    let line: serde_json::Value = serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
    assert!(["a", "b", "c"].contains(&line["ruleGroup"]["name"].as_str().unwrap_or_default()), "{line}");
    let explained = server.get("/api/v1/query?query=sum(vector(1))&explain=true").1;
    let explained: serde_json::Value = serde_json::from_str(&explained).expect("JSON");
    assert_eq!(explained["data"]["explain"]["children"][0]["name"], "vector");
}
