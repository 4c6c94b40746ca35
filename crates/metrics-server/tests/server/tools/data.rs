//! `tsdb`: directories of Prometheus' and ours, read by both tools.

use std::path::{Path, PathBuf};

use super::{directory, ours, promtool};
use crate::harness::{PROMETHEUS, Server, prometheus};

const SAMPLES: &str = "# HELP hits Hits.\n# TYPE hits counter\nhits_total{path=\"/a\",job=\"x\"} 1 1700000000\nhits_total{path=\"/a\",job=\"x\"} 2.5 1700000015\nhits_total{path=\"/b \\\"q\\\"\",job=\"x\"} 3 1700000015.5\nhits_total{path=\"/b \\\"q\\\"\",job=\"x\"} 4 1700009000\n# TYPE temp gauge\ntemp NaN 1700000000\ntemp 1e30 1700000015\ntemp -1234567.5 1700000030\n# EOF\n";

fn blocks(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("listed").filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(|path| path.join("meta.json").exists()).collect();
    found.sort();
    found
}

/// A table without the names of blocks and their sizes, which are not the same twice.
fn rows(table: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    let mut rows: Vec<Vec<String>> = table.lines().map(cells).collect();
    for row in &mut rows {
        assert_eq!(row.len(), 8, "{table}");
        row[0].clear();
        row[7].clear();
    }
    rows
}

#[test]
fn imported_blocks_are_the_same_to_both_tools() {
    let dir = directory(&[("s.om", SAMPLES), ("untimed.om", "a 1\n# EOF\n"), ("cut.om", "a 1 1\n")]);
    let path = dir.path();
    let import = |to| ["tsdb", "create-blocks-from", "openmetrics", "s.om", to];
    let made = ours(path, &import("ours"), "");
    assert_eq!((made.code, made.err.as_str()), (0, ""), "{made:?}");
    assert_eq!(blocks(&path.join("ours")).len(), 2, "one for each two hours that hold anything");
    for (file, message) in [
        ("untimed.om", "expected timestamp for series a, got none"),
        ("cut.om", "# EOF"),
        ("none.om", "open none.om"),
    ] {
        let ended = ours(path, &["tsdb", "create-blocks-from", "openmetrics", file, "no"], "");
        assert!(ended.code == 1 && ended.err.contains(message), "{file}: {ended:?}");
    }
    let labelled = ["tsdb", "create-blocks-from", "openmetrics", "-q", "--label=site=y", "s.om", "labelled"];
    assert_eq!(ours(path, &labelled, "").out, "");
    let dumped = ours(path, &["tsdb", "dump-openmetrics", "--match=temp", "labelled"], "");
    assert_eq!(
        dumped.out,
        "temp{site=\"y\"} NaN 1700000000.000\ntemp{site=\"y\"} 1e+30 1700000015.000\ntemp{site=\"y\"} -1.2345675e+06 1700000030.000\n# EOF\n"
    );

    let Some(theirs) = promtool(path, &import("theirs"), "") else { return };
    assert_eq!(rows(&made.out), rows(&theirs.out));
    for data in ["ours", "theirs"] {
        for arguments in [&["tsdb", "list", data][..], &["tsdb", "list", "-r", data]] {
            let (ours, theirs) =
                (ours(path, arguments, ""), promtool(path, arguments, "").expect("installed"));
            assert_eq!(ours, theirs, "{arguments:?}");
        }
        let analyze = ["tsdb", "analyze", data];
        let (ours, theirs) = (ours(path, &analyze, ""), promtool(path, &analyze, "").expect("installed"));
        let sorted = |text: &str| {
            let mut lines: Vec<_> =
                text.replace("Total Series", "Series").lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ours.out), sorted(&theirs.out), "{data}");
    }
    let dump = |data: &str| ours(path, &["tsdb", "dump", data], "").out;
    assert_eq!(dump("ours"), dump("theirs"));
    assert_eq!(dump("ours").lines().count(), 7);
    let openmetrics = ours(path, &["tsdb", "dump-openmetrics", "ours"], "").out;
    std::fs::write(path.join("again.om"), openmetrics).expect("file");
    assert_eq!(
        ours(path, &["tsdb", "create-blocks-from", "openmetrics", "-q", "again.om", "again"], "").code,
        0
    );
    assert_eq!(dump("again"), dump("ours"), "what is dumped can be read back");
}

#[test]
fn damage_is_found_and_taken_out() {
    let dir = directory(&[("s.om", SAMPLES)]);
    let path = dir.path();
    assert_eq!(ours(path, &["tsdb", "create-blocks-from", "openmetrics", "-q", "s.om", "d"], "").code, 0);
    let verified = ours(path, &["tsdb", "verify", "d"], "");
    assert!(
        verified.code == 0 && verified.out.contains(": ok, 3 series, 3 chunks, 6 samples"),
        "{verified:?}"
    );
    let first = blocks(&path.join("d"))[0].clone();
    let chunks = first.join("chunks/000001");
    let mut bytes = std::fs::read(&chunks).expect("read");
    // In the data of the first chunk.
    bytes[8 + 4] ^= 0xff;
    std::fs::write(&chunks, bytes).expect("written");
    let verified = ours(path, &["tsdb", "verify", "d"], "");
    assert!(verified.code == 1 && verified.out.contains("DAMAGED in 1 places"), "{verified:?}");
    let repaired = ours(path, &["tsdb", "repair", "d"], "");
    assert!(repaired.code == 0 && repaired.out.contains("without 0 series and 1 chunks"), "{repaired:?}");
    assert!(!first.exists() && path.join("d/x-damaged").exists());
    assert_eq!(ours(path, &["tsdb", "verify", "d"], "").code, 0);
    let left = ours(path, &["tsdb", "dump", "d"], "").out;
    assert_eq!(left.lines().count(), 5, "{left}");
    if let Some(listed) = promtool(path, &["tsdb", "list", "d"], "") {
        assert_eq!((listed.code, listed.out.lines().count()), (0, 3), "{listed:?}");
    }
    // An index that is gone leaves nothing to tell apart.
    std::fs::write(blocks(&path.join("d"))[0].join("index"), "x").expect("written");
    let repaired = ours(path, &["tsdb", "repair", "d"], "");
    assert!(repaired.out.contains("nothing could be read"), "{repaired:?}");
    assert_eq!(blocks(&path.join("d")).len(), 1);
    assert_eq!(ours(path, &["tsdb", "repair", "none"], "").code, 2);
}

/// Samples that are in the log alone, of a server that runs.
#[test]
fn a_running_servers_log_is_dumped() {
    let dir =
        directory(&[("p.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: []\n")]);
    let path = dir.path();
    let server = Server::start(&path.join("p.yml"), &path.join("data"));
    let url = format!("http://{}", server.address);
    assert_eq!(ours(path, &["push", "metrics", &url], "pushed{a=\"b\"} 3.5 1700000000000\n").code, 0);
    let dumped = ours(path, &["tsdb", "dump", "data"], "");
    assert_eq!(
        dumped.out, "{__name__=\"pushed\", a=\"b\", job=\"promtool\"} 3.5 1700000000000\n",
        "{dumped:?}"
    );
    let series = ours(path, &["tsdb", "dump", "--format=seriesjson", "data"], "");
    assert_eq!(series.out, "{\"__name__\":\"pushed\",\"a\":\"b\",\"job\":\"promtool\"}\n");
    let verified = ours(path, &["tsdb", "verify", "data"], "");
    assert!(verified.code == 0 && verified.out.contains("log: ok"), "{verified:?}");
    let refused = ours(path, &["tsdb", "repair", "data"], "");
    assert!(refused.code == 1 && refused.err.contains("locked by another process"), "{refused:?}");
    let left: Vec<_> = std::fs::read_dir(path.join("data"))
        .expect("listed")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "the copy is removed");
    assert_eq!(ours(path, &["tsdb", "dump", "--match=none", "data"], "").out, "");
    assert_eq!(ours(path, &["tsdb", "dump", "none"], "").code, 1);
    drop(server);
    if let Some(original) = promtool(path, &["tsdb", "dump", "data"], "") {
        assert_eq!(original.out, dumped.out, "what promtool reads from our log");
    }
    if !Path::new(PROMETHEUS).exists() {
        return;
    }
    let receiver = &["--web.enable-remote-write-receiver"];
    let original = prometheus(&path.join("p.yml"), &path.join("theirs"), receiver);
    let url = format!("http://{}", original.address);
    assert_eq!(
        ours(path, &["push", "metrics", &url, "--label=job=j"], "pushed{a=\"b\"} 3.5 1700000000000\n").code,
        0
    );
    let theirs = ours(path, &["tsdb", "dump", "theirs"], "");
    assert_eq!(theirs.out, "{__name__=\"pushed\", a=\"b\", job=\"j\"} 3.5 1700000000000\n", "{theirs:?}");
}
