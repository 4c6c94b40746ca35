//! A process that appends is killed with SIGKILL, again and again; what it had been told is stored is there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use metric_storage_api::MetricStore;
use model::TimeRange;
use sys::{Fs, RealFs, SystemClock};
use tsdb::{Db, DbOptions, Environment};

use crate::support::{self, samples_of};

const DIR_VARIABLE: &str = "TSDB_TEST_KILL_DIR";
const FROM_VARIABLE: &str = "TSDB_TEST_KILL_FROM";
const START: i64 = 1_700_000_000_000;
const ROUNDS: usize = 6;

fn options() -> DbOptions {
    DbOptions {
        min_block_duration_ms: 600_000,
        max_block_duration_ms: 5_400_000,
        wal_segment_bytes: 64 << 10,
        retention_ms: 0,
        ..DbOptions::default()
    }
}

fn open(dir: &std::path::Path) -> Db {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    Db::open(dir, options(), Environment::new(fs, Arc::new(SystemClock::new()))).unwrap()
}

/// Not a test but the process to be killed: says after each commit how far it is.
#[test]
fn writer_process() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    let from: i64 = std::env::var(FROM_VARIABLE).unwrap().parse().unwrap();
    let db = open(std::path::Path::new(&dir));
    let ctx = resources::RequestContext::for_tests();
    let mut out = std::io::stdout();
    for step in from.. {
        let mut appender = db.appender(&ctx).unwrap();
        for n in 0..20 {
            let name = format!("m{n}");
            let labels = support::labels(&[("__name__", &name)]);
            let series = appender.resolve(name.as_bytes(), &mut || Ok(labels.clone())).unwrap();
            appender.append(series, START + step * 1000, (step * 20 + n) as f64).unwrap();
        }
        appender.commit().unwrap();
        if step % 50 == 0 {
            db.maintain().unwrap();
        }
        writeln!(out, "stored {step}").unwrap();
    }
}

#[test]
fn acknowledged_samples_outlive_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let mut stored = -1i64;
    for round in 0..ROUNDS {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["kill::writer_process", "--exact", "--nocapture", "--test-threads=1"])
            .env(DIR_VARIABLE, dir.path())
            .env(FROM_VARIABLE, (stored + 1).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut left = 150 + 97 * round;
        for line in lines.by_ref() {
            // The first line may stand behind what the test harness prints.
            if let Some((_, step)) = line.unwrap().split_once("stored ") {
                stored = step.parse().unwrap();
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(left, 0, "the process ended by itself");
        // What was said between our look and the kill.
        for line in lines.map_while(Result::ok) {
            if let Some(step) = line.strip_prefix("stored ").and_then(|step| step.parse().ok()) {
                stored = step;
            }
        }
        let db = open(dir.path());
        for n in 0..20 {
            let found = samples_of(&db, &format!("m{n}"), TimeRange::new(0, i64::MAX));
            let expected = (0..=stored).map(|step| (START + step * 1000, (step * 20 + n) as f64));
            assert!(found.iter().copied().take(stored as usize + 1).eq(expected), "round {round} series {n}");
            // A batch more may be there whole: it was written, and not said any more.
            assert!(found.len() as i64 - 1 <= stored + 1, "round {round}: {} > {stored}", found.len());
        }
        // Where the batch is there that was not said, the next process goes on behind it.
        stored = samples_of(&db, "m0", TimeRange::new(0, i64::MAX)).len() as i64 - 1;
    }
}
