//! Configurations as data, and the three kinds at work.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use ::config::Document;
use telemetry::Registry;

use super::*;

fn configs(yaml: &str) -> Result<Vec<DiscoveryConfig>, String> {
    let document = Document::parse_yaml("p.yml", yaml).map_err(|error| error.to_string())?;
    let read = document.read(|root| {
        let map = root.map()?;
        let configs = DiscoveryConfig::read_inline(&map)?;
        map.finish()?;
        Ok(configs)
    });
    read.map(|loaded| loaded.value).map_err(|errors| errors.to_string())
}

fn start(yaml: &str) -> Discovery {
    let env = DiscoveryEnv {
        metrics: Metrics::register(&Registry::new()),
        user_agent: "test".to_owned(),
        aliases: http_client::HostAliases::default(),
    };
    Discovery::start("job", "scrape", &configs(yaml).expect("valid"), &env).expect("started")
}

fn shown(discovery: &Discovery) -> Vec<String> {
    let groups = discovery.groups();
    groups
        .iter()
        .flat_map(|group| group.targets.iter().map(|target| format!("{target}{}", group.labels)))
        .collect()
}

async fn wait_for(discovery: &Discovery, expected: &[&str]) {
    let mut version = discovery.subscribe();
    while shown(discovery) != expected {
        version.changed().await.expect("discovery lives");
    }
}

#[test]
fn wrong_and_unbuilt_configurations_name_their_key() {
    for (yaml, message) in [
        (
            "nomad_sd_configs: [{server: a}]",
            "p.yml:1:19: nomad_sd_configs: this setting is known but not built yet",
        ),
        ("file_sd_configs: [{files: [a.txt]}]", "must end in .json, .yml or .yaml"),
        ("file_sd_configs: [{files: []}]", "at least one file is needed"),
        ("file_sd_configs: [{files: ['*/a.yml']}]", "one * in its last element"),
        ("http_sd_configs: [{url: 'ftp://a'}]", "must be a http or https URL"),
        ("http_sd_configs: [{}]", "required key \"url\" is missing"),
        ("static_configs: [{target: [a]}]", "unknown key \"target\", did you mean \"targets\""),
        ("static_configs: [null]", "empty or null section"),
        ("dns_sd_configs: [{names: []}]", "at least one"),
        ("dns_sd_configs: [{names: [a], type: A}]", "a port is required"),
        ("dns_sd_configs: [{names: [a], type: TXT}]", "invalid DNS-SD record type"),
        ("docker_sd_configs: [{}]", "required key \"host\" is missing"),
        ("docker_sd_configs: [{host: 'ftp://a'}]", "must be a unix, tcp, http or https URL"),
        (
            "dockerswarm_sd_configs: [{host: 'unix:///x', role: pods}]",
            "expected one of services, tasks, nodes",
        ),
        (
            "consul_sd_configs: [{server: a, token: x, authorization: {credentials: y}}]",
            "at most one of token",
        ),
        ("kubernetes_sd_configs: [{role: pods}]", "expected one of"),
        ("kubernetes_sd_configs: [{role: pod, basic_auth: {username: a}}]", "need api_server"),
        (
            "kubernetes_sd_configs: [{role: pod, api_server: 'http://a', kubeconfig_file: b}]",
            "kubeconfig_file cannot be set beside",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, api_server: 'http://a', namespaces: {own_namespace: true}}]",
            "own_namespace cannot be set beside",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, api_server: 'http://a', selectors: [{role: service}]}]",
            "a selector of this role",
        ),
        (
            "kubernetes_sd_configs: [{role: pod, api_server: 'http://a', selectors: [{role: pod}, {role: pod}]}]",
            "duplicated selector role",
        ),
        ("ec2_sd_configs: [{region: a, access_key: x}]", "belong together"),
    ] {
        let error = configs(yaml).expect_err(yaml);
        assert!(error.contains(message), "{yaml}: {error}");
    }
}

mod kinds;

#[tokio::test]
async fn static_targets_are_there_at_once() {
    let discovery = start("static_configs: [{targets: ['a:1', 'b:2'], labels: {x: y}}, {targets: [c]}]");
    assert_eq!(
        shown(&discovery),
        ["{__address__=\"a:1\"}{x=\"y\"}", "{__address__=\"b:2\"}{x=\"y\"}", "{__address__=\"c\"}{}"]
    );
    assert!(discovery.is_complete());
    discovery.stop().await;
}

#[tokio::test]
async fn a_changed_file_is_read_and_a_broken_one_keeps_its_targets() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("t.json");
    std::fs::write(&path, r#"[{"targets":["a:1"],"labels":{"x":"y"}}]"#).expect("file");
    let metrics = Metrics::register(&Registry::new());
    let patterns = [dir.path().join("*.json")];
    let targets = |files: &crate::file::Files| files.values().map(|file| file.groups.len()).sum::<usize>();
    let files = crate::file::look(&patterns, crate::file::Files::new(), false, &metrics);
    assert_eq!(targets(&files), 1);
    std::fs::write(&path, "[{").expect("file");
    let files = crate::file::look(&patterns, files, true, &metrics);
    assert_eq!((targets(&files), metrics.file_read_errors.get()), (1, 1));
    std::fs::write(&path, "[]").expect("file");
    let files = crate::file::look(&patterns, files, false, &metrics);
    assert_eq!(targets(&files), 0);

    std::fs::write(&path, r#"[{"targets":["b:1"]}]"#).expect("file");
    let discovery = start(&format!("file_sd_configs: [{{files: ['{}']}}]", Path::new(&path).display()));
    let meta = format!("{{__address__=\"b:1\"}}{{__meta_filepath=\"{}\"}}", path.display());
    wait_for(&discovery, &[&meta]).await;
    discovery.stop().await;
}

#[tokio::test]
async fn groups_come_from_an_http_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("connection");
        let mut buf = [0; 4096];
        let len = stream.read(&mut buf).expect("request");
        let body = r#"[{"targets":["c:1"],"labels":{}}]"#;
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("answer");
        String::from_utf8_lossy(&buf[..len]).to_lowercase()
    });
    let discovery = start(&format!("http_sd_configs: [{{url: 'http://{address}/t'}}]"));
    let target = format!("{{__address__=\"c:1\"}}{{__meta_url=\"http://{address}/t\"}}");
    wait_for(&discovery, &[&target]).await;
    discovery.stop().await;
    let request = serving.join().expect("server");
    assert!(request.contains("x-prometheus-refresh-interval-seconds: 60"), "{request}");
}
