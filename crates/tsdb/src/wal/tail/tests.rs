//! A log that grows under its reader, a torn end, and damage.

use sys::RealFs;

use super::*;
use crate::wal::record::RefSample;
use crate::wal::writer::{RecordBatch, WalWriter};

const SEGMENT_BYTES: u64 = 2 * PAGE_BYTES as u64;

fn batch(number: u64, samples: u64) -> RecordBatch {
    let mut batch = RecordBatch::default();
    let mut bytes = vec![record::SERIES];
    record::put_series(&mut bytes, number, [("__name__", "a"), ("n", "x")].into_iter());
    batch.push(&bytes, number.is_multiple_of(2));
    bytes.clear();
    let one =
        |idx| RefSample { series: number, timestamp: idx as i64 * 7919 % 1000, value: idx as f64 * 0.3 };
    record::put_samples(&mut bytes, (0..samples).map(one));
    batch.push(&bytes, number.is_multiple_of(2));
    batch
}

/// All that is there now: series, and how many samples of each.
fn read(tail: &mut WalTail) -> Vec<(u64, usize)> {
    let mut found = Vec::new();
    while let Some(event) = tail.next_event().expect("readable") {
        match event {
            WalEvent::Series(series) => found.extend(series.iter().map(|(series, _)| (*series, 0))),
            WalEvent::Samples(samples) => found.push((samples[0].0, samples.len())),
            other => panic!("{other:?}"),
        }
    }
    found
}

#[test]
fn a_tail_sees_every_record_once_as_the_log_grows() {
    let dir = tempfile::tempdir().expect("directory");
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut writer =
        WalWriter::open(Arc::clone(&fs), &dir.path().join("wal"), SEGMENT_BYTES).expect("opened");
    let mut tail = WalTail::new(Arc::clone(&fs), dir.path(), WalPosition::default());
    assert_eq!(read(&mut tail), []);
    let mut positions = Vec::new();
    // Records from a few bytes to more than a page, over several segments.
    for (number, samples) in (1..).zip([1, 5000, 3, 4000, 1, 6000, 2, 2000, 5000, 7]) {
        positions.push((number, tail.position()));
        writer.write(&[&batch(number, samples)]).expect("written");
        assert_eq!(read(&mut tail), [(number, 0), (number, samples as usize)], "batch {number}");
    }
    assert!(tail.position().segment > 1, "the log has several segments");
    assert_eq!(tail.damaged(), 0);

    // From any position the rest comes again, and what it refers to is known.
    for (number, position) in positions {
        let mut tail = WalTail::new(Arc::clone(&fs), dir.path(), position);
        let mut known = Vec::new();
        tail.read_series_before(|event| {
            if let WalEvent::Series(series) = event {
                known.extend(series.into_iter().map(|(series, _)| series));
            }
        })
        .expect("readable");
        assert!((1..number).all(|before| known.contains(&before)), "{number}: {known:?}");
        assert_eq!(read(&mut tail).first(), Some(&(number, 0)));
    }

    // What was folded before it was read is told.
    let mut tail = WalTail::new(Arc::clone(&fs), dir.path(), WalPosition::default());
    fs.remove_file(&segment_path(&dir.path().join("wal"), 0)).expect("removed");
    assert_eq!(tail.next_event().expect("readable"), Some(WalEvent::Skipped { from: 0, to: 1 }));
    assert_eq!(read(&mut tail).last(), Some(&(10, 7)));
}

#[test]
fn a_torn_end_is_waited_for_and_damage_is_passed_over() {
    let dir = tempfile::tempdir().expect("directory");
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let wal = dir.path().join("wal");
    let mut writer = WalWriter::open(Arc::clone(&fs), &wal, 64 * PAGE_BYTES as u64).expect("opened");
    for number in 1..=20 {
        writer.write(&[&batch(number, 1000)]).expect("written");
    }
    let path = segment_path(&wal, 0);
    let whole = std::fs::read(&path).expect("file");
    // However much of the last bytes is there, nothing is made up.
    let mut tail = WalTail::new(Arc::clone(&fs), dir.path(), WalPosition::default());
    std::fs::write(&path, &whole[..whole.len() - 3]).expect("file");
    assert_eq!(read(&mut tail).len(), 39);
    std::fs::write(&path, &whole).expect("file");
    assert_eq!(read(&mut tail), [(20, 1000)]);

    let mut damaged = whole;
    damaged[PAGE_BYTES + 100] ^= 1;
    std::fs::write(&path, &damaged).expect("file");
    let mut tail = WalTail::new(fs, dir.path(), WalPosition::default());
    let found = read(&mut tail);
    assert!(found.len() < 40 && found.last() == Some(&(20, 1000)), "{found:?}");
    assert!(tail.damaged() > 0);
}
