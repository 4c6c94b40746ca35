//! The runner itself, and all scripts there are.

use std::path::{Path, PathBuf};

use resources::RequestContext;

use super::{run, script_options};
use crate::Engine;

fn check(script: &str) -> Result<usize, String> {
    let report = run(script, &Engine::new(script_options()), &RequestContext::for_tests());
    match report.failures.first() {
        None => Ok(report.passed),
        Some(failure) => Err(format!("{}: {}", failure.line, failure.message)),
    }
}

#[test]
fn wrong_expectations_are_found() {
    let load = "load 1m\n  m{a=\"1\"} 1+1x5\n  m{a=\"2\"} 2\n\n";
    for (eval, error) in [
        ("eval instant at 1m sum(m)\n  {} 4\n", ""),
        ("eval instant at 1m sum(m)\n  {} 5\n", "5: expected Float(5.0) for {}, got 4"),
        ("eval instant at 1m sum(m)\n", "5: unexpected series {} with 4"),
        ("eval instant at 1m sum(n)\n  {} 5\n", "5: expected series {} not found"),
        ("eval instant at 1m 1+\n", "5: unexpected error: 1:3: parse error: unexpected end of input"),
        ("eval instant at 1m sum(m)\n  expect fail\n", "5: expected an error, but got none"),
        ("eval range from 0 to 2m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2 3\n", ""),
        ("eval instant at 1m rate(m[2m])\n  expect no_info\n  {a=\"1\"} 1\n", "unexpected info"),
        ("evel instant at 1m m\n", "5: no such command: write load, clear or eval"),
    ] {
        let result = check(&format!("{load}{eval}"));
        match result {
            Ok(_) => assert_eq!("", error, "{eval}"),
            Err(found) => assert!(!error.is_empty() && found.contains(error), "{eval}: {found}"),
        }
    }
}

/// Where the conformance scripts of Prometheus lie, if they are there.
fn conformance_directory() -> Option<PathBuf> {
    let directory = match std::env::var_os("PROMQLTEST_DIR") {
        Some(directory) => {
            assert!(
                Path::new(&directory).is_dir(),
                "PROMQLTEST_DIR is no directory: {}",
                directory.display()
            );
            PathBuf::from(directory)
        }
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest"),
    };
    directory.is_dir().then_some(directory)
}

fn run_directory(directory: &Path) -> (usize, Vec<String>) {
    let engine = Engine::new(script_options());
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the directory of scripts can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let (mut passed, mut failures) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a script can be read");
        let report = run(&text, &engine, &RequestContext::for_tests());
        passed += report.passed;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        failures.extend(
            report.failures.iter().map(|f| format!("{name}:{}: {}\n    {}", f.line, f.command, f.message)),
        );
    }
    (passed, failures)
}

#[test]
fn our_own_scripts_pass() {
    let (passed, failures) = run_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"));
    assert!(failures.is_empty(), "{passed} passed, {} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(passed > 0);
}

#[test]
fn the_conformance_scripts_of_prometheus_pass() {
    let Some(directory) = conformance_directory() else { return };
    let (passed, failures) = run_directory(&directory);
    assert!(failures.is_empty(), "{passed} passed, {} failed:\n{}", failures.len(), failures.join("\n"));
}
