//! Runs `testdata/*.test`: lines to load, queries and what they have to answer. `UPDATE_EXPECT=1` writes the answers.
//!
//! ```text
//! clear
//! load {app="x"} {trace="1"}          labels, structured metadata of the lines below
//!   10s the line                      \N is a newline, \E an escape
//! eval log [0s 60s] [forward] [limit 10] [interval 10s] [apart] QUERY
//!   {app="x"} 10s the line
//! eval instant 60s QUERY
//!   {app="x"} 1
//! eval range 0s 60s 10s QUERY
//!   {app="x"} 1 2 _
//! eval fail QUERY
//!   a part of the message
//! ```

#![expect(clippy::panic, reason = "a script that makes no sense fails its test")]

#[path = "scripts/memory_reader.rs"]
mod memory_reader;
#[path = "scripts/runner.rs"]
mod runner;

use std::path::PathBuf;

#[test]
fn scripts_answer_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("testdata").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let (mut cases, mut failures) = (0, String::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a script");
        let outcome = runner::run(&text);
        cases += outcome.cases;
        if outcome.rewritten == text {
            continue;
        }
        if update {
            std::fs::write(&path, &outcome.rewritten).expect("written");
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            failures.push_str(&runner::difference(&name, &text, &outcome.rewritten));
        }
    }
    assert!(failures.is_empty(), "answers differ:\n{failures}");
    assert!(cases >= 150, "only {cases} cases");
}
