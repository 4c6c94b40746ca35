//! The database on a disk that fails, by seed: whatever happens, what was acknowledged is there and nothing is invented.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metric_storage_api::{MetricStore, StorageError};
use model::{MatchOp, TimeRange};
use resources::RequestContext;
use sys::{Clock, Fs, ManualClock, Rng, SeededRng, SimFaults, SimFs};
use tsdb::{Db, DbOptions, Environment, SyncPolicy};

use crate::support;

const START: i64 = 1_700_000_040_000;
const SERIES: u64 = 5;
const ALL: TimeRange = TimeRange { start: 0, end: i64::MAX };

type Samples = BTreeMap<(u64, i64), f64>;

/// How the machine ends a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The process dies: what was written stays.
    Kill,
    /// The power fails: what was not synced may go.
    PowerLoss,
}

struct Simulation {
    rng: SeededRng,
    fs: SimFs,
    clock: Arc<ManualClock>,
    options: DbOptions,
    time: i64,
    /// Everything that was ever handed to a commit.
    submitted: Samples,
    /// What has to be there after any end, and after a kill.
    durable: Samples,
    acknowledged: Samples,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let rng = SeededRng::new(seed);
        let sync = if rng.below(2) == 0 {
            SyncPolicy::Always
        } else {
            SyncPolicy::AfterWrite { interval: Duration::from_secs(1) }
        };
        let options = DbOptions {
            min_block_duration_ms: 60_000,
            max_block_duration_ms: 540_000,
            wal_segment_bytes: 32 << 10,
            retention_ms: 0,
            out_of_order_window_ms: if rng.below(2) == 0 { 0 } else { 600_000 },
            samples_per_chunk: 8,
            sync,
            ..DbOptions::default()
        };
        Self {
            fs: SimFs::new(seed),
            clock: Arc::new(ManualClock::at_ms(START)),
            options,
            time: START,
            submitted: Samples::new(),
            durable: Samples::new(),
            acknowledged: Samples::new(),
            rng,
        }
    }

    fn open(&self) -> tsdb::Result<Db> {
        let fs: Arc<dyn Fs> = Arc::new(self.fs.clone());
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Db::open(Path::new("/data"), self.options.clone(), Environment::new(fs, clock))
    }

    fn append(&mut self, db: &Db) -> Result<(), StorageError> {
        let ctx = RequestContext::for_tests();
        let mut appender = db.appender(&ctx)?;
        let mut batch = Samples::new();
        self.time += 1000 * (1 + self.rng.below(4) as i64);
        for _ in 0..1 + self.rng.below(8) {
            let series = self.rng.below(SERIES);
            let late = self.options.out_of_order_window_ms > 0 && self.rng.below(4) == 0;
            let back = if late { 500 + 1000 * self.rng.below(300) as i64 } else { 0 };
            let time = (self.time - back).max(START + 1);
            // One value for each place, so that a repeated sample is the same sample.
            let value = (time % 1_000_000_007 * 31 + series as i64) as f64;
            let name = format!("s{series}");
            let labels = support::labels(&[("__name__", "m"), ("series", &name)]);
            let found = appender.resolve(name.as_bytes(), &mut || Ok(labels.clone())).unwrap();
            if appender.append(found, time, value).is_ok() {
                batch.insert((series, time), value);
            }
        }
        self.submitted.extend(batch.iter().map(|(at, value)| (*at, *value)));
        appender.commit()?;
        self.acknowledged.extend(batch.iter().map(|(at, value)| (*at, *value)));
        if self.options.sync == SyncPolicy::Always {
            self.durable.extend(batch);
        }
        Ok(())
    }

    fn check(&self, db: &Db, required: &Samples, what: &str) {
        let mut found = Samples::new();
        for (labels, samples) in support::select(db, &[("__name__", MatchOp::Equal, "m")], ALL) {
            let series: u64 = labels.value("series")[1..].parse().unwrap();
            assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "{what}");
            found.extend(samples.into_iter().map(|(time, value)| ((series, time), value)));
        }
        for (at, value) in required {
            assert_eq!(found.get(at), Some(value), "{what}: acknowledged sample {at:?} is lost");
        }
        for (at, value) in &found {
            assert_eq!(self.submitted.get(at), Some(value), "{what}: sample {at:?} was never submitted");
        }
    }

    /// Works until the machine stops or enough is done.
    fn work(&mut self, db: &Db) {
        for _ in 0..60 {
            match self.rng.below(12) {
                0 => {
                    db.maintain().ok();
                    if !self.fs.stopped() {
                        self.check(db, &self.acknowledged, "maintained");
                    }
                }
                1 => {
                    self.clock.advance(Duration::from_millis(1100));
                    let before = self.acknowledged.clone();
                    if db.sync().is_ok() {
                        self.durable = before;
                    }
                }
                _ => drop(self.append(db)),
            }
            if self.fs.stopped() {
                return;
            }
        }
    }

    fn round(&mut self, end: End, what: &str) {
        let operations = 1 + self.rng.below(300);
        let faults = match self.rng.below(4) {
            0 => SimFaults { stop_after: Some(operations), ..SimFaults::default() },
            1 => SimFaults {
                stop_after: Some(operations),
                sync_errors_per_mille: 100,
                write_errors_per_mille: 100,
                ..SimFaults::default()
            },
            2 => SimFaults { write_errors_per_mille: 200, ..SimFaults::default() },
            _ => SimFaults::default(),
        };
        self.fs.set_faults(faults);
        // The machine may stop while opening, too.
        if let Ok(db) = self.open() {
            self.work(&db);
            if !self.fs.stopped() {
                self.fs.set_faults(SimFaults::default());
                self.check(&db, &self.acknowledged, what);
            }
        }
        self.fs = match end {
            End::Kill => self.fs.kill(),
            End::PowerLoss => self.fs.crash(),
        };
        let db = self
            .open()
            .unwrap_or_else(|error| panic!("{what}: {error}: {:?}", std::error::Error::source(&error)));
        let required = if end == End::Kill { self.acknowledged.clone() } else { self.durable.clone() };
        self.check(&db, &required, what);
        // What has survived was read again: from here on it is what there is.
        self.acknowledged = required;
        db.sync().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_whatever_happens() {
    let (first, count) = match std::env::var("SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (0, if std::env::var_os("SLOW_TESTS").is_some() { 2000 } else { 12 }),
    };
    for seed in first..first + count {
        println!("seed {seed}");
        let mut simulation = Simulation::new(seed);
        for round in 0..6 {
            let end = if simulation.rng.below(2) == 0 { End::Kill } else { End::PowerLoss };
            simulation.round(end, &format!("seed {seed} round {round} {end:?}"));
        }
    }
}

#[test]
fn a_full_disk_refuses_samples_and_work_resumes_by_itself() {
    for seed in 0..10 {
        let mut simulation = Simulation::new(seed);
        let db = simulation.open().unwrap();
        for _ in 0..20 {
            simulation.append(&db).unwrap();
        }
        let used: u64 = simulation
            .fs
            .files_below(Path::new("/"))
            .iter()
            .map(|path| simulation.fs.file_len(path).unwrap())
            .sum();
        simulation.fs.set_faults(SimFaults {
            capacity: Some(used + simulation.rng.below(3000)),
            ..SimFaults::default()
        });
        let mut refused = 0;
        for _ in 0..100 {
            match simulation.append(&db) {
                Ok(()) => {}
                Err(StorageError::Unavailable { reason }) => {
                    assert!(reason.contains("disk is full"), "{reason}");
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
            db.maintain().ok();
        }
        assert!(refused > 50, "seed {seed}: {refused}");
        simulation.check(&db, &simulation.acknowledged, "full");
        simulation.fs.set_faults(SimFaults::default());
        for _ in 0..20 {
            simulation.append(&db).unwrap();
        }
        db.maintain().unwrap();
        simulation.check(&db, &simulation.acknowledged, "space again");
        drop(db);
        simulation.fs = simulation.fs.kill();
        let db = simulation.open().unwrap();
        simulation.check(&db, &simulation.acknowledged, "reopened");
    }
}

#[test]
fn a_flipped_bit_is_noticed_and_the_rest_is_served() {
    for seed in 0..30 {
        let mut simulation = Simulation::new(seed);
        simulation.options.out_of_order_window_ms = 0;
        let db = simulation.open().unwrap();
        for step in 0..150 {
            simulation.append(&db).unwrap();
            if step % 30 == 29 {
                db.maintain().unwrap();
            }
        }
        drop(db);
        let files = simulation.fs.files_below(Path::new("/data"));
        let files: Vec<_> = files.iter().filter(|path| simulation.fs.file_len(path).unwrap() > 0).collect();
        let victim = files[simulation.rng.below(files.len() as u64) as usize];
        simulation.fs.flip_random_bit(victim).unwrap();
        let what = format!("seed {seed}, {}", victim.display());
        let db = simulation.open().unwrap();
        // Reading may fail for what is damaged; what is read has been written.
        let matchers = [support::matcher("__name__", MatchOp::Equal, "m")];
        let hints = metric_storage_api::SelectHints { sorted: true, ..Default::default() };
        let request = metric_storage_api::SelectRequest { matchers: &matchers, range: ALL, hints };
        let set =
            metric_storage_api::MetricReader::select(&db, &RequestContext::for_tests(), &request).unwrap();
        let mut found = 0;
        for series in set.series {
            let mut columns = metric_storage_api::SampleColumns::default();
            if series.read(&RequestContext::for_tests(), ALL, &mut columns).is_err() {
                continue;
            }
            let number: u64 =
                series.labels().value("series").get(1..).and_then(|n| n.parse().ok()).unwrap_or(99);
            for (time, value) in columns.timestamps.iter().zip(&columns.values) {
                let known = simulation.submitted.get(&(number, *time));
                assert_eq!(known, Some(value), "{what}: sample of series {number} at {time}");
            }
            found += columns.len();
        }
        assert!(found > 0, "{what}: nothing is left");
    }
}
