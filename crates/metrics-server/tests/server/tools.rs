//! The commands on real files and servers, beside Debian's promtool where that is installed.

mod checks;
mod data;
mod servers;
mod unit_tests;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Prometheus' own tool, where it is installed.
const PROMTOOL: &str = "/usr/bin/promtool";

/// What a command wrote and how it ended.
#[derive(Clone, Debug, PartialEq)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn run(program: &str, dir: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // A command that reads nothing may be gone already.
    child.stdin.take().expect("piped").write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("ended");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Ours.
fn ours(dir: &Path, arguments: &[&str], input: &str) -> Ended {
    run(env!("CARGO_BIN_EXE_watchbell-metrics"), dir, arguments, input)
}

/// Debian's; `None` where it is not installed.
fn promtool(dir: &Path, arguments: &[&str], input: &str) -> Option<Ended> {
    Path::new(PROMTOOL).exists().then(|| run(PROMTOOL, dir, arguments, input))
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("file");
    }
    dir
}
