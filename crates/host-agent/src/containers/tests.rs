//! Machines with one container each, of both cgroup versions, and one that was recorded with several.

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

/// `testdata/README.md` says of what.
const RECORDED: &str = "v2-recorded";

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
    page_with(machine, vec![container(state)], connected, options).await
}

async fn page_with(
    machine: &str,
    containers: Vec<ContainerInfo>,
    connected: bool,
    options: ContainerOptions,
) -> String {
    let base = base(machine);
    let roots = Roots { procfs: base.join("proc"), sysfs: base.join("sys"), rootfs: base };
    let mut inventory = Inventory { connected, docker_version: "29.0".to_owned(), ..Inventory::default() };
    inventory.containers = containers.into_iter().map(|info| (info.id.clone(), Arc::new(info))).collect();
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

/// What Docker said of the containers on the recorded machine.
fn recorded_containers() -> Vec<ContainerInfo> {
    let text = std::fs::read(base(RECORDED).join("inspect.json")).unwrap();
    let inspections: Vec<bollard::models::ContainerInspectResponse> = serde_json::from_slice(&text).unwrap();
    inspections.into_iter().filter_map(ContainerInfo::from_inspection).collect()
}

/// Compares a page with `testdata/MACHINE.expected`, or writes that where `UPDATE_EXPECT` is set.
fn expect_page(machine: &str, page: &str) {
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

#[tokio::test]
async fn both_versions_give_the_expected_pages() {
    for machine in ["v1", "v2"] {
        expect_page(machine, &page_of(machine, "running", true, ContainerOptions::default()).await);
    }
}

#[tokio::test]
async fn a_recorded_machine_gives_the_expected_page() {
    let page = page_with(RECORDED, recorded_containers(), true, ContainerOptions::default()).await;
    expect_page(RECORDED, &page);
}

/// Independent of the page as a whole: what stands in a container's own group, also where its processes are in one below.
#[tokio::test]
async fn the_numbers_of_recorded_containers_are_those_of_their_files() {
    let containers = recorded_containers();
    let page = page_with(RECORDED, containers.clone(), true, ContainerOptions::default()).await;
    let sample = |metric: &str, name: &str| -> f64 {
        let is_it = |line: &&str| {
            line.starts_with(&format!("{metric}{{")) && line.contains(&format!(",name=\"{name}\""))
        };
        let line = page.lines().find(is_it).unwrap_or_else(|| panic!("{metric} of {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    for name in ["burner", "disk", "oomchild", "web"] {
        let id = &containers.iter().find(|container| container.name == name).unwrap().id;
        let group = base(RECORDED).join(format!("sys/fs/cgroup/system.slice/docker-{id}.scope"));
        let file = |file: &str, key: &str| -> f64 {
            let text = std::fs::read_to_string(group.join(file)).unwrap();
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_else(|| panic!("{file} {key}"));
            value.trim().parse().unwrap()
        };
        for (metric, name_of_file, key, unit) in [
            ("container_cpu_usage_seconds_total", "cpu.stat", "usage_usec ", 1e-6),
            ("container_cpu_user_seconds_total", "cpu.stat", "user_usec ", 1e-6),
            ("container_cpu_system_seconds_total", "cpu.stat", "system_usec ", 1e-6),
            ("container_memory_usage_bytes", "memory.current", "", 1.0),
            ("container_memory_max_usage_bytes", "memory.peak", "", 1.0),
            ("container_memory_rss", "memory.stat", "anon ", 1.0),
            ("container_memory_cache", "memory.stat", "file ", 1.0),
            ("container_oom_kills_total", "memory.events", "oom_kill ", 1.0),
        ] {
            let (got, expected) = (sample(metric, name), file(name_of_file, key) * unit);
            assert!(
                (got - expected).abs() <= expected * 1e-9,
                "{metric} of {name}: {got}, the file {expected}"
            );
        }
    }
    // A group below the container's has its only process, and less memory.
    assert!((sample("container_processes", "web") - 1.0).abs() < f64::EPSILON);
    assert!((sample("container_exit_code", "oom") - 137.0).abs() < f64::EPSILON);
}

/// As an agent sees it that is a container itself: its own group is `/` there, and those of others lie outside.
#[tokio::test]
async fn another_cgroup_namespace_makes_no_container_the_machine() {
    let machine = tempfile::tempdir().unwrap();
    let run =
        std::process::Command::new("cp").arg("-r").arg(base(RECORDED).join(".")).arg(machine.path()).status();
    assert!(run.unwrap().success());
    let containers = recorded_containers();
    for (place, container) in containers.iter().enumerate() {
        let Some(pid) = container.pid else { continue };
        let seen =
            if place == 0 { "0::/\n".to_owned() } else { format!("0::/../docker-{}.scope\n", container.id) };
        std::fs::write(machine.path().join(format!("proc/{pid}/cgroup")), seen).unwrap();
    }
    let seen =
        page_with(machine.path().to_str().unwrap(), containers.clone(), true, ContainerOptions::default())
            .await;
    assert_eq!(seen, page_with(RECORDED, containers, true, ContainerOptions::default()).await);
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
