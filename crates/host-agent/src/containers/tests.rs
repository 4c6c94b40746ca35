//! Recorded machines with one container each, of both cgroup versions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::ManualClock;
use telemetry::Format;
use tokio::sync::watch;

use super::inventory::Health;
use super::*;
use crate::files::Roots;
use crate::page::Page;
use crate::status::StatusBoard;

fn base(machine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(machine)
}

fn container(state: &str) -> ContainerInfo {
    let labels = [
        ("com.docker.compose.project", "demo"),
        ("com.docker.compose.service", "web"),
        ("org.example/a-b", "x"),
    ];
    ContainerInfo {
        id: "0123456789abcdef".repeat(4),
        name: "web-1".to_owned(),
        image: "nginx:1.25".to_owned(),
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        env: vec!["APP_MODE=test".to_owned(), "SECRET=s".to_owned()],
        created_ns: 1_795_000_000_000_000_000,
        created_at: String::new(),
        started_ns: Some(1_795_000_001_500_000_000),
        finished_ns: (state != "running").then_some(1_795_000_100_000_000_000),
        state: state.to_owned(),
        pid: (state == "running").then_some(4242),
        exit_code: (state != "running").then_some(137),
        restart_count: Some(2),
        oom_killed: state != "running",
        health: Health::Healthy,
        tty: false,
        shares_network: false,
        oom_events: 0,
        writable_bytes: Some(512.0),
    }
}

async fn page_of(machine: &str, state: &str, connected: bool, options: ContainerOptions) -> String {
    let base = base(machine);
    let roots = Roots { procfs: base.join("proc"), sysfs: base.join("sys"), rootfs: base };
    let info = Arc::new(container(state));
    let mut inventory = Inventory { connected, docker_version: "29.0".to_owned(), ..Inventory::default() };
    inventory.containers.insert(info.id.clone(), info);
    let (_sender, receiver) = watch::channel(Arc::new(inventory));
    let collectors = Arc::new(ContainerCollectors::new(
        roots,
        options,
        "host1".into(),
        Arc::new(ManualClock::at_ms(1_795_370_000_500)),
        Arc::new(StatusBoard::default()),
        DockerLink::new(Some("unix:///nowhere".to_owned())),
        receiver,
    ));
    collectors.collect(Page::new()).await.render(Format::Prometheus, "")
}

#[tokio::test]
async fn both_versions_give_the_expected_pages() {
    for machine in ["v1", "v2"] {
        let page = page_of(machine, "running", true, ContainerOptions::default()).await;
        let got: String = page
            .lines()
            .filter(|line| !line.contains("cadvisor_version_info{"))
            .flat_map(|l| [l, "\n"])
            .collect();
        let path = base(&format!("{machine}.expected"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        for (got, expected) in got.lines().zip(expected.lines()) {
            assert_eq!(got, expected, "{machine}");
        }
        assert_eq!(got.lines().count(), expected.lines().count(), "{machine}");
    }
}

#[tokio::test]
async fn a_stopped_container_keeps_its_state_and_loses_its_numbers() {
    let mut options = ContainerOptions { disable_root: true, ..ContainerOptions::default() };
    options.sets.remove("network");
    let machine = tempfile::tempdir().unwrap();
    let page = page_of(machine.path().to_str().unwrap(), "exited", true, options).await;
    for present in [
        "container_exit_code{",
        "container_finished_time_seconds{",
        "container_restarts_total{",
        "state=\"exited\"} 1\n",
        "container_oom_kills_total{",
    ] {
        assert!(page.contains(present), "{present}: {page}");
    }
    for absent in ["container_last_seen{", "container_memory_usage_bytes{", "container_start_time_seconds{"] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
}

#[tokio::test]
async fn without_docker_names_stay_and_states_are_not_made_up() {
    let page = page_of("v2", "running", false, ContainerOptions::default()).await;
    assert!(page.contains("container_memory_usage_bytes{") && page.contains("name=\"web-1\""), "{page}");
    assert!(!page.contains("container_state{") && !page.contains("container_exit_code{"), "{page}");
}

#[tokio::test]
async fn labels_and_times_follow_their_flags() {
    let options = ContainerOptions {
        all_labels: true,
        timestamps: true,
        env_whitelist: vec!["APP".to_owned()],
        ..ContainerOptions::default()
    };
    let page = page_of("v2", "running", true, options).await;
    let line =
        page.lines().find(|line| line.starts_with("container_memory_rss{") && line.contains("web")).unwrap();
    for part in ["container_label_org_example_a_b=\"x\"", "container_env_app_mode=\"test\"", " 1795370000500"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("SECRET") && !line.contains("secret"), "{line}");
    let start = page.lines().find(|line| line.starts_with("container_start_time_seconds{")).unwrap();
    assert!(start.ends_with("} 1795000001"), "{start}");
}
