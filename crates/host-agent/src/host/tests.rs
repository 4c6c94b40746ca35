//! All collectors over a recorded machine, and over this one beside the real node_exporter.

use std::collections::BTreeSet;
use std::path::Path;

use sys::{ManualClock, SystemClock};
use telemetry::Format;

use super::*;

fn recorded() -> HostCollectors {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/host");
    let roots = Roots { procfs: base.join("proc"), sysfs: base.join("sys"), rootfs: base.clone() };
    let mut options = HostOptions::defaults().unwrap();
    options.textfile_directories = vec![base.join("textfile").display().to_string()];
    let clock = Arc::new(ManualClock::at_ms(1_795_370_000_500));
    let collectors = HostCollectors::new(roots, options, clock, Arc::default());
    collectors.set_nodename("recorded".to_owned());
    collectors
}

fn page_of(collectors: &HostCollectors, selection: &CollectorSelection) -> String {
    let mut page = Page::new();
    collectors.collect(selection, &mut page);
    page.render(Format::Prometheus, "")
}

#[test]
fn a_recorded_machine_gives_the_expected_page() {
    let page = page_of(&recorded(), &CollectorSelection::default());
    // What differs from run to run and from machine to machine is left out.
    let varying = [
        "collector_duration",
        "filesystem_size",
        "filesystem_free",
        "filesystem_avail",
        "filesystem_files",
        "mtime_seconds",
        "uname_info",
    ];
    let stable =
        |line: &&str| !varying.iter().any(|part| line.contains(part)) && !line.contains("/testdata/");
    let got: String = page.lines().filter(stable).flat_map(|line| [line, "\n"]).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/host.expected");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &got).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (got, expected) in got.lines().zip(expected.lines()) {
        assert_eq!(got, expected);
    }
    assert_eq!(got.lines().count(), expected.lines().count());
    assert!(page.contains("nodename=\"recorded\""), "{page}");
}

#[test]
fn what_is_missing_fails_its_collector_only() {
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(base.path().join("proc")).unwrap();
    std::fs::write(base.path().join("proc/loadavg"), "0.5 0.4 0.3 1/2 3\n").unwrap();
    std::fs::write(base.path().join("proc/meminfo"), "garbage").unwrap();
    let roots = Roots {
        rootfs: base.path().to_path_buf(),
        procfs: base.path().join("proc"),
        sysfs: base.path().join("sys"),
    };
    let status = Arc::new(StatusBoard::default());
    let options = HostOptions::defaults().unwrap();
    let collectors = HostCollectors::new(roots, options, Arc::new(SystemClock::new()), Arc::clone(&status));
    let page = page_of(&collectors, &CollectorSelection::default());
    for (collector, success) in
        [("loadavg", 1), ("meminfo", 0), ("cpu", 0), ("pressure", 0), ("filesystem", 0)]
    {
        let line = format!("node_scrape_collector_success{{collector=\"{collector}\"}} {success}\n");
        assert!(page.contains(&line), "{line}{page}");
    }
    assert!(
        page.contains("node_load1 0.5\n")
            && !page.contains("node_memory_")
            && !page.contains("node_filesystem")
    );
    let missing = status.missing();
    // A kernel without pressure files lacks nothing that could be granted.
    assert!(
        missing.iter().any(|entry| entry.what == "host metrics: cpu")
            && !missing.iter().any(|e| e.what.ends_with("pressure"))
    );
}

#[test]
fn a_scrape_can_ask_for_some_collectors() {
    let names = |selection: &CollectorSelection| -> BTreeSet<String> {
        let page = page_of(&recorded(), selection);
        let prefix = "node_scrape_collector_success{collector=\"";
        page.lines()
            .filter_map(|line| Some(line.strip_prefix(prefix)?.split_once('"')?.0.to_owned()))
            .collect()
    };
    let only = CollectorSelection { only: vec!["cpu".to_owned(), "loadavg".to_owned()], except: Vec::new() };
    assert_eq!(names(&only).into_iter().collect::<Vec<_>>(), ["cpu", "loadavg"]);
    let except = CollectorSelection { only: Vec::new(), except: vec!["cpu".to_owned()] };
    assert!(!names(&except).contains("cpu") && names(&except).contains("loadavg"));
}

/// Metric names with their label names.
fn shapes(page: &str) -> BTreeSet<String> {
    let mut shapes = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("node_")) {
        let Some((series, _)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut names: Vec<&str> = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|pair| pair.split_once('=').map(|(name, _)| name))
            // Newer versions of node_exporter have these, the one at hand may not.
            .filter(|name| !["device_error", "rotational", "adminstate"].contains(name))
            .collect();
        names.sort_unstable();
        shapes.insert(format!("{name}{{{}}}", names.join(",")));
    }
    shapes
}

/// Runs where Debian's node_exporter is installed: every series that it shows for our collectors is there, with its labels.
#[test]
fn names_and_labels_are_node_exporters() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    let program = Path::new("/usr/bin/prometheus-node-exporter");
    if !program.exists() {
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut arguments =
        vec![format!("--web.listen-address=127.0.0.1:{port}"), "--collector.disable-defaults".to_owned()];
    arguments.extend(collector_names().map(|name| format!("--collector.{name}")));
    let spawned = Command::new(program).args(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = spawned else { return };
    let mut theirs = String::new();
    let connected = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(25));
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    if let Some(mut connection) = connected {
        connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        connection.read_to_string(&mut theirs).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let roots = Roots::detect(Some(Path::new("/")), None, None);
    let options = HostOptions::defaults().unwrap();
    let collectors = HostCollectors::new(roots, options, Arc::new(SystemClock::new()), Arc::default());
    let ours = shapes(&page_of(&collectors, &CollectorSelection::default()));
    let theirs = shapes(&theirs);
    assert!(theirs.len() > 100, "node_exporter did not answer");
    // A speed of -1 means "unknown": the version at hand shows it as -125000, later ones and we leave it out.
    let known_apart = ["node_exporter_build_info{", "node_network_speed_bytes{"];
    let differs = |shape: &&String| !known_apart.iter().any(|apart| shape.starts_with(apart));
    let missing: Vec<&String> = theirs.difference(&ours).filter(differs).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
}
