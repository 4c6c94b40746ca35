//! `tsdb verify` and `tsdb repair`.

use std::path::Path;
use std::sync::Arc;

use ::tsdb::{Db, DbOptions, Environment, StoredBlock, block_dirs, repair_block, verify_logs};
use service::Failure;

use super::{failed, real_fs};
use crate::cli::console::{FAILED, now_ms, print};

pub(super) fn verify(dir: &Path) -> Result<(), Failure> {
    let damaged = damaged_blocks(dir)?;
    let logs = check_logs(dir)?;
    if damaged.is_empty() && logs { Ok(()) } else { Err(Failure::told(FAILED)) }
}

/// Reads all blocks, says how each of them is, and returns the directories of those that are damaged.
fn damaged_blocks(dir: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let fs = real_fs();
    let mut damaged = Vec::new();
    for path in block_dirs(&*fs, dir).map_err(failed)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let report = match StoredBlock::open(&*fs, &path) {
            Ok(block) => block.verify(),
            Err(error) => {
                print(&format!("block {name}: DAMAGED: {}\n", service::error_chain(&error)))?;
                damaged.push(path);
                continue;
            }
        };
        if report.faults_count == 0 {
            let (series, chunks, samples) = (report.series, report.chunks, report.samples);
            print(&format!("block {name}: ok, {series} series, {chunks} chunks, {samples} samples\n"))?;
            continue;
        }
        print(&format!("block {name}: DAMAGED in {} places\n", report.faults_count))?;
        for fault in &report.faults {
            print(&format!("  {fault}\n"))?;
        }
        let more = report.faults_count - report.faults.len() as u64;
        if more > 0 {
            print(&format!("  and in {more} more\n"))?;
        }
        damaged.push(path);
    }
    Ok(damaged)
}

/// Reads the logs and says how they are; whether they are whole.
fn check_logs(dir: &Path) -> Result<bool, Failure> {
    let logs = verify_logs(&*real_fs(), dir).map_err(failed)?;
    let is_whole = logs.faults.is_empty();
    let word = if is_whole { "ok" } else { "DAMAGED" };
    print(&format!("log: {word}, {} segments, {} records\n", logs.segments, logs.records))?;
    for fault in &logs.faults {
        print(&format!("  {fault}\n"))?;
    }
    for torn in &logs.torn {
        print(&format!("  {torn}: ends within a record, as after a kill\n"))?;
    }
    Ok(is_whole)
}

pub(super) fn repair(dir: &Path) -> Result<(), Failure> {
    let fs = real_fs();
    // Opening takes the lock, and so fails while a server runs; it sets damaged head files aside as a server would.
    let environment = Environment::new(Arc::clone(&fs), Arc::new(sys::SystemClock::new()));
    let options = DbOptions { retention_ms: 0, ..DbOptions::default() };
    if !fs.exists(dir) {
        return Err(Failure::usage(format!("{}: there is no such directory", dir.display())));
    }
    let db = Db::open(dir, options, environment).map_err(failed)?;
    for path in damaged_blocks(dir)? {
        let repaired = repair_block(&fs, dir, &path, now_ms()).map_err(failed)?;
        let kept = repaired.aside.display();
        match &repaired.block {
            Some(block) => print(&format!(
                "  written anew as {} without {} series and {} chunks; what was there is in {kept}\n",
                block.file_name().unwrap_or_default().to_string_lossy(),
                repaired.lost_series,
                repaired.lost_chunks
            ))?,
            None => print(&format!("  nothing could be read; what was there is in {kept}\n"))?,
        }
    }
    if !check_logs(dir)? {
        print("  servers read around the damage; it goes with the next checkpoint\n")?;
    }
    db.close().map_err(failed)
}
