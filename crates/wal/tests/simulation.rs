//! Logs on a disk that fails by seed: what was acknowledged is there after every stop, and nothing else is.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sys::{Fs, Rng, SeededRng, SimFaults, SimFs};
use wal::{SyncPolicy, Wal, WalError, WalOptions};

/// What must be true of a log, kept beside it.
#[derive(Default)]
struct Model {
    /// Every payload ever submitted, by its number; payloads are unique.
    submitted: Vec<Vec<u8>>,
    /// Acknowledged records that no truncation has covered: sequence number to payload and whether a sync has covered it.
    acknowledged: BTreeMap<u64, (Vec<u8>, bool)>,
    /// New records have greater sequence numbers, even where the log has been emptied.
    floor: u64,
}

impl Model {
    fn check(&self, replayed: &[(u64, Vec<u8>)], power_lost: bool, seed: u64) {
        assert!(replayed.is_sorted_by(|a, b| a.0 < b.0), "seed {seed}: out of order or twice");
        let by_seq: BTreeMap<u64, &Vec<u8>> = replayed.iter().map(|(seq, payload)| (*seq, payload)).collect();
        for (seq, (payload, synced)) in &self.acknowledged {
            match by_seq.get(seq) {
                Some(found) => assert_eq!(*found, payload, "seed {seed}: record {seq} has changed"),
                None => assert!(power_lost && !synced, "seed {seed}: acknowledged record {seq} is gone"),
            }
        }
        let mut last = None;
        for (seq, payload) in replayed {
            let number = self.submitted.iter().position(|known| known == payload);
            assert!(number.is_some(), "seed {seed}: record {seq} was invented");
            assert!(last < number, "seed {seed}: record {seq} comes in the wrong order");
            last = number;
        }
    }

    fn restart(&mut self, replayed: Replayed) {
        // What came back is durable now: opening a log syncs what it finds.
        self.acknowledged = replayed.into_iter().map(|(seq, payload)| (seq, (payload, true))).collect();
    }
}

type Replayed = Vec<(u64, Vec<u8>)>;

fn open(fs: &SimFs, options: WalOptions) -> Result<(Wal, Replayed), WalError> {
    let mut replayed = Vec::new();
    let mut take = |seq, payload: &[u8]| replayed.push((seq, payload.to_vec()));
    let (wal, _) = Wal::open(Arc::new(fs.clone()), Path::new("/data/wal"), options, &mut take)?;
    Ok((wal, replayed))
}

fn faults(rng: &dyn Rng) -> SimFaults {
    let sometimes = |most: u64| if rng.below(2) == 0 { 0 } else { rng.below(most) as u16 };
    SimFaults {
        capacity: (rng.below(3) == 0).then(|| 500 + rng.below(6000)),
        write_errors_per_mille: sometimes(100),
        sync_errors_per_mille: sometimes(200),
        read_errors_per_mille: 0,
        stop_after: (rng.below(2) == 0).then(|| 1 + rng.below(80)),
    }
}

fn work(wal: &Wal, model: &mut Model, rng: &dyn Rng, policy: SyncPolicy) {
    for _ in 0..rng.below(60) {
        match rng.below(20) {
            0 => {
                let covered: Vec<u64> = model.acknowledged.keys().copied().collect();
                if wal.sync().is_ok() {
                    for seq in covered {
                        model.acknowledged.get_mut(&seq).unwrap().1 = true;
                    }
                }
            }
            1 if rng.below(2) == 0 => drop(wal.rotate()),
            1 => {
                let next_seq = wal.next_seq();
                if wal.rotate().is_ok() {
                    // A truncation that fails half-way has removed some all the same.
                    model.acknowledged.clear();
                    if wal.truncate_before(next_seq).is_ok() {
                        model.floor = next_seq - 1;
                    }
                }
            }
            2 if rng.below(3) == 0 => {
                let seq = rng.below(wal.next_seq() + 1);
                wal.truncate_before(seq).ok();
                model.acknowledged.retain(|key, _| *key >= seq);
            }
            _ => {
                let mut payload = format!("{}:", model.submitted.len()).into_bytes();
                payload.resize(payload.len() + rng.below(300) as usize, 0xA7);
                model.submitted.push(payload.clone());
                if let Ok(seq) = wal.append(&payload) {
                    assert!(seq > model.floor, "sequence numbers have started over");
                    model.acknowledged.insert(seq, (payload, policy == SyncPolicy::Always));
                }
            }
        }
    }
}

fn simulate(seed: u64) {
    let rng = SeededRng::new(seed);
    let policy = if rng.below(2) == 0 { SyncPolicy::Always } else { SyncPolicy::Deferred };
    let options = WalOptions { sync: policy, segment_bytes: 300 + rng.below(3000), ..WalOptions::default() };
    let mut fs = SimFs::new(seed ^ 0x5EED);
    let mut model = Model::default();
    let mut power_lost = false;
    for _ in 0..6 {
        let (wal, replayed) = open(&fs, options).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        model.check(&replayed, power_lost, seed);
        model.restart(replayed);
        fs.set_faults(faults(&rng));
        work(&wal, &mut model, &rng, policy);
        power_lost = rng.below(2) == 0;
        fs = if power_lost { fs.crash() } else { fs.kill() };
        // A stop while the log is being opened must harm nothing either.
        if rng.below(3) == 0 {
            fs.set_faults(SimFaults { stop_after: Some(1 + rng.below(8)), ..SimFaults::default() });
            open(&fs, options).ok();
            fs = fs.crash();
        }
    }
}

#[test]
fn acknowledged_records_survive_every_stop_and_nothing_is_invented() {
    let seeds = if std::env::var_os("SLOW_TESTS").is_some() { 0..20_000 } else { 0..400 };
    for seed in seeds {
        simulate(seed);
    }
}

fn append_200(wal: &Wal, thread: u64) {
    for number in 0..200u64 {
        wal.append(format!("{thread} {number} {}", "x".repeat(100)).as_bytes()).unwrap();
        if number % 50 == 0 {
            wal.sync().unwrap();
        }
    }
}

#[test]
fn threads_that_append_together_share_writes_and_lose_nothing() {
    let fs = SimFs::new(1);
    let options = WalOptions { segment_bytes: 20_000, queue_bytes_max: 2000, ..WalOptions::default() };
    let (wal, _) = open(&fs, options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let wal = &wal;
            scope.spawn(move || append_200(wal, thread));
        }
    });
    let stats = wal.stats();
    assert!(stats.appended_records == 1600 && stats.writes <= 1600 && stats.segments > 3, "{stats:?}");
    let mut reader = wal.reader(1);
    let read: Vec<_> = std::iter::from_fn(|| reader.read_next().unwrap()).collect();
    let (_wal, replayed) = open(&fs.kill(), options).unwrap();
    assert!(
        read.iter().map(|record| (record.seq, &record.payload)).eq(replayed.iter().map(|(s, p)| (*s, p)))
    );
    for thread in 0..8u64 {
        let prefix = format!("{thread} ").into_bytes();
        let numbers = replayed.iter().filter(|(_, payload)| payload.starts_with(&prefix));
        assert_eq!(numbers.count(), 200);
    }
}

#[test]
fn a_full_disk_refuses_and_resumes_by_itself() {
    let fs = SimFs::new(2);
    let (wal, _) = open(&fs, WalOptions::default()).unwrap();
    wal.append(&[1; 100]).unwrap();
    fs.set_faults(SimFaults { capacity: Some(300), ..SimFaults::default() });
    let refused = wal.append(&[2; 500]).unwrap_err();
    assert!(matches!(refused, WalError::Unavailable { .. }) && refused.retryable(), "{refused}");
    let mut reader = wal.reader(1);
    assert_eq!(reader.read_next().unwrap().map(|record| record.payload), Some(vec![1; 100]));
    assert_eq!(reader.read_next().unwrap(), None);
    fs.set_faults(SimFaults::default());
    assert_eq!(wal.append(&[3; 500]).unwrap(), 2);
    assert_eq!(reader.read_next().unwrap().map(|record| record.payload), Some(vec![3; 500]));
}

#[test]
fn damage_is_set_aside_once_and_counted_and_the_rest_is_served() {
    let fs = SimFs::new(3);
    let (wal, _) = open(&fs, WalOptions::default()).unwrap();
    for number in 0..10u8 {
        wal.append(&[number; 50]).unwrap();
    }
    drop(wal);
    let segment =
        fs.files_below(Path::new("/data")).into_iter().find(|path| path.ends_with("0000000001.wal"));
    // In the payload of the fourth record: 28 bytes of header, 70 a record.
    fs.flip_bit(&segment.unwrap(), (28 + 3 * 70 + 30) * 8).unwrap();
    for _ in 0..2 {
        let mut replayed = Vec::new();
        let mut take = |_, payload: &[u8]| replayed.push(payload[0]);
        let (_, report) =
            Wal::open(Arc::new(fs.clone()), Path::new("/data/wal"), WalOptions::default(), &mut take)
                .unwrap();
        assert_eq!(replayed, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!((report.damaged_places, report.damaged_bytes, report.missing_records), (1, 70, 1));
        assert_eq!(fs.file_len(Path::new("/data/wal/0000000001.damaged")).unwrap(), 70);
    }
}

#[test]
fn a_log_is_opened_once_and_bounds_its_records() {
    let fs = SimFs::new(4);
    let options = WalOptions { record_bytes_max: 10, ..WalOptions::default() };
    let (wal, _) = open(&fs, options).unwrap();
    assert!(matches!(open(&fs, options).map(drop), Err(WalError::Locked { .. })));
    for bad in [0usize, 11] {
        assert!(matches!(wal.append(&vec![0; bad]), Err(WalError::RecordSize { limit: 10, .. })));
    }
    wal.append(&[0; 10]).unwrap();
}
