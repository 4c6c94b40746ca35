//! Blocks: cut from the head, merged, deleted from, retained, copied.

use model::{MatchOp, TimeRange};

use crate::support::{self, Fixture, samples_of};

const HOUR: i64 = 3_600_000;
/// Aligned to 2 h blocks, and to the 6 h and 18 h ones above them.
const START: i64 = 1_700_006_400_000 - 1_700_006_400_000 % (18 * HOUR);
const STEP: i64 = 60_000;
const ALL: TimeRange = TimeRange { start: 0, end: i64::MAX };

fn fill(fixture: &Fixture, from: i64, to: i64) {
    let mut time = from;
    while time < to {
        let value = (time - START) as f64 / 1000.0;
        support::append(
            &fixture.db,
            &[
                (&[("__name__", "m"), ("i", "1")], time, value),
                (&[("__name__", "n"), ("i", "2")], time, -value),
            ],
        );
        time += STEP;
    }
}

fn expected(from: i64, to: i64) -> Vec<(i64, f64)> {
    (0..).map(|n| from + n * STEP).take_while(|t| *t < to).map(|t| (t, (t - START) as f64 / 1000.0)).collect()
}

fn blocks(fixture: &Fixture) -> usize {
    let entries = std::fs::read_dir(fixture.dir.path()).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().len() == 26).count()
}

#[test]
fn the_head_becomes_blocks_and_small_blocks_become_large_ones() {
    let mut fixture = Fixture::with_options(|options| options.max_block_duration_ms = 18 * HOUR);
    for hours in 0..15 {
        fill(&fixture, START + hours * HOUR, START + (hours + 1) * HOUR);
        fixture.db.maintain().unwrap();
        assert_eq!(
            samples_of(&fixture.db, "m", ALL),
            expected(START, START + (hours + 1) * HOUR),
            "hour {hours}"
        );
    }
    // 12 h in blocks: one of 6 h and three of 2 h, of which the newest is left alone; the last 3 h are in the head.
    assert_eq!((blocks(&fixture), fixture.db.stats(0).blocks), (4, 4));
    assert!(fixture.db.stats(0).head_min_time >= START + 12 * HOUR);
    for _ in 0..2 {
        fixture.reopen_killed();
        assert_eq!(samples_of(&fixture.db, "m", ALL), expected(START, START + 15 * HOUR));
        let some = TimeRange::new(START + 5 * HOUR, START + 13 * HOUR - 1);
        assert_eq!(samples_of(&fixture.db, "m", some), expected(START + 5 * HOUR, START + 13 * HOUR));
        let both = support::select(&fixture.db, &[("i", MatchOp::Regex, ".+")], ALL);
        assert_eq!(both.len(), 2);
    }
}

#[test]
fn the_log_is_folded_and_churned_series_are_collected() {
    let mut fixture = Fixture::with_options(|options| options.wal_segment_bytes = 64 << 10);
    for hour in 0..12 {
        let name = format!("churn{hour}");
        for minute in 0..60 {
            let time = START + hour * HOUR + minute * STEP;
            support::append(
                &fixture.db,
                &[(&[("__name__", &name)], time, 1.0), (&[("__name__", "steady")], time, minute as f64)],
            );
        }
        fixture.db.maintain().unwrap();
    }
    let stats = fixture.db.stats(0);
    assert!(stats.head_series < 9, "{} series left of 13", stats.head_series);
    let wal: Vec<String> = std::fs::read_dir(fixture.dir.path().join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(wal.iter().filter(|name| name.starts_with("checkpoint.")).count(), 1, "{wal:?}");
    assert!(!wal.contains(&"00000000".to_owned()), "{wal:?}");
    fixture.reopen_killed();
    assert_eq!(samples_of(&fixture.db, "steady", ALL).len(), 12 * 60);
    for hour in 0..12 {
        assert_eq!(samples_of(&fixture.db, &format!("churn{hour}"), ALL).len(), 60);
    }
    assert_eq!(fixture.db.counters().replay_unknown_refs.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn what_is_deleted_is_gone_at_once_and_for_good() {
    let mut fixture = Fixture::new();
    fill(&fixture, START, START + 5 * HOUR);
    fixture.db.maintain().unwrap();
    assert_eq!(blocks(&fixture), 1);
    let hole = TimeRange::new(START + HOUR, START + 3 * HOUR - 1);
    let selector = vec![support::matcher("__name__", MatchOp::Equal, "m")];
    fixture.db.delete_series(&[selector], hole).unwrap();
    let mut left = expected(START, START + HOUR);
    left.extend(expected(START + 3 * HOUR, START + 5 * HOUR));
    let check = |fixture: &Fixture| {
        assert_eq!(samples_of(&fixture.db, "m", ALL), left);
        assert_eq!(samples_of(&fixture.db, "n", ALL).len(), 300);
        let series = support::select_series(&fixture.db, &[("__name__", MatchOp::Equal, "m")], ALL);
        let chunks = series[0].chunks(&resources::RequestContext::for_tests(), ALL).unwrap();
        let samples: usize =
            chunks.iter().map(|c| usize::from(chunk_encoding::xor_sample_count(&c.data))).sum();
        assert_eq!(samples, left.len());
    };
    check(&fixture);
    fixture.reopen_killed();
    check(&fixture);
    fixture.db.clean_tombstones().unwrap();
    check(&fixture);
    fixture.reopen_killed();
    check(&fixture);
    // All of a block's samples.
    let selector = vec![support::matcher("i", MatchOp::Regex, "1|2")];
    fixture.db.delete_series(&[selector], ALL).unwrap();
    fixture.db.clean_tombstones().unwrap();
    assert_eq!((blocks(&fixture), samples_of(&fixture.db, "n", ALL).len()), (0, 0));
}

#[test]
fn retention_deletes_the_oldest_blocks() {
    let fixture = Fixture::with_options(|options| {
        options.retention_ms = 4 * HOUR;
        options.max_block_duration_ms = 2 * HOUR;
    });
    fill(&fixture, START, START + 12 * HOUR);
    fixture.db.maintain().unwrap();
    let left = samples_of(&fixture.db, "m", ALL);
    assert_eq!(left[0].0, START + 6 * HOUR);
    fixture.db.set_retention(0, 1);
    fixture.db.maintain().unwrap();
    assert_eq!(blocks(&fixture), 0);
    assert!(samples_of(&fixture.db, "m", ALL)[0].0 >= START + 10 * HOUR);
}

#[test]
fn late_samples_are_kept_within_the_window_and_merged_into_their_blocks() {
    let mut fixture = Fixture::with_options(|options| {
        options.out_of_order_window_ms = 24 * HOUR;
        options.max_block_duration_ms = 2 * HOUR;
    });
    fill(&fixture, START + 6 * HOUR, START + 11 * HOUR);
    // Between the others, and before all of them; every second one twice.
    let late: Vec<i64> = (0..200).map(|n| START + 5 * HOUR + n * STEP * 2 + 1).collect();
    for time in late.iter().rev().chain(late.iter().step_by(2)) {
        support::append(&fixture.db, &[(&[("__name__", "m"), ("i", "1")], *time, 7.0)]);
    }
    let mut all: Vec<(i64, f64)> = expected(START + 6 * HOUR, START + 11 * HOUR);
    all.extend(late.iter().map(|time| (*time, 7.0)));
    all.sort_by_key(|sample| sample.0);
    assert_eq!(samples_of(&fixture.db, "m", ALL), all);
    fixture.reopen_killed();
    assert_eq!(samples_of(&fixture.db, "m", ALL), all);
    fixture.db.maintain().unwrap();
    assert_eq!(samples_of(&fixture.db, "m", ALL), all);
    assert!(blocks(&fixture) > 0);
    fixture.reopen_killed();
    assert_eq!(samples_of(&fixture.db, "m", ALL), all);
    // After the window it is too late.
    use metric_storage_api::MetricStore;
    let ctx = resources::RequestContext::for_tests();
    let mut appender = fixture.db.appender(&ctx).unwrap();
    let set = support::labels(&[("__name__", "m"), ("i", "1")]);
    let series = appender.resolve(b"", &mut || Ok(set.clone())).unwrap();
    let refused = appender.append(series, START - 14 * HOUR, 1.0);
    assert_eq!(refused, Err(metric_storage_api::AppendRejection::TooOld));
}

#[test]
fn late_native_histograms_are_kept_like_other_late_samples() {
    use metric_storage_api::{AppendRejection, MetricStore};
    let mut fixture = Fixture::with_options(|options| {
        options.out_of_order_window_ms = 24 * HOUR;
        options.max_block_duration_ms = 2 * HOUR;
    });
    let append = |fixture: &Fixture, time: i64| {
        let ctx = resources::RequestContext::for_tests();
        let mut appender = fixture.db.appender(&ctx).unwrap();
        let set = support::labels(&[("__name__", "h")]);
        let series = appender.resolve(b"h", &mut || Ok(set.clone())).unwrap();
        appender.append_histogram(
            series,
            time,
            &support::histogram(((time - START) / STEP).unsigned_abs() as u32),
        )?;
        appender.commit().unwrap();
        Ok::<_, AppendRejection>(())
    };
    let in_order: Vec<i64> = (0..300).map(|n| START + 6 * HOUR + n * STEP).collect();
    // Between the others and before them; some come twice.
    let late: Vec<i64> = (0..60).map(|n| START + 5 * HOUR + n * 3 * STEP + STEP / 2).collect();
    for time in in_order.iter().chain(late.iter().rev()).chain(late.iter().step_by(7)) {
        append(&fixture, *time).unwrap();
    }
    let mut all = [in_order, late].concat();
    all.sort_unstable();
    let check = |fixture: &Fixture, what: &str| {
        let found = support::select_series(&fixture.db, &[("__name__", MatchOp::Equal, "h")], ALL);
        let columns = support::read(&*found[0], ALL);
        assert_eq!(columns.timestamps, all, "{what}");
        for (time, histogram) in columns.timestamps.iter().zip(&columns.histograms) {
            let expected = support::histogram(((time - START) / STEP) as u32);
            let histogram = histogram.as_ref().unwrap();
            assert_eq!((histogram.count, histogram.sum), (expected.count, expected.sum), "{what} {time}");
            assert_eq!(histogram.positive_buckets, expected.positive_buckets, "{what} {time}");
        }
    };
    check(&fixture, "appended");
    fixture.reopen_killed();
    check(&fixture, "killed");
    fixture.db.maintain().unwrap();
    assert!(blocks(&fixture) > 0);
    check(&fixture, "compacted");
    fixture.reopen_killed();
    check(&fixture, "killed again");
    assert_eq!(append(&fixture, START - 20 * HOUR), Err(AppendRejection::TooOld));
    fixture.db.set_out_of_order_window(0);
    assert_eq!(append(&fixture, START + 10 * HOUR + STEP / 2), Err(AppendRejection::OutOfOrder));
}

#[test]
fn the_head_can_be_written_out_whatever_its_span() {
    let mut fixture = Fixture::new();
    fill(&fixture, START, START + HOUR);
    fixture.db.flush_head_before(START + HOUR / 2).unwrap();
    let info = fixture.db.blocks();
    assert_eq!((info.len(), info[0].min_time, info[0].max_time), (1, START, START + HOUR / 2));
    assert_eq!((info[0].samples, info[0].series, info[0].level), (60, 2, 1));
    assert_eq!(samples_of(&fixture.db, "m", ALL), expected(START, START + HOUR));
    fixture.reopen_killed();
    assert_eq!(samples_of(&fixture.db, "m", ALL), expected(START, START + HOUR));
    fixture.db.flush_head_before(i64::MAX).unwrap();
    assert_eq!(fixture.db.stats(0).head_chunks, 0);
    assert_eq!(samples_of(&fixture.db, "m", ALL), expected(START, START + HOUR));
}

#[test]
fn a_snapshot_is_a_database() {
    let fixture = Fixture::new();
    fill(&fixture, START, START + 5 * HOUR);
    fixture.db.maintain().unwrap();
    let name = fixture.db.snapshot(tsdb::SnapshotOptions { with_head: true }).unwrap();
    let copy = fixture.dir.path().join("snapshots").join(name);
    let copy = support::open(&copy, &fixture.options, &fixture.clock);
    assert_eq!(samples_of(&copy, "m", ALL), expected(START, START + 5 * HOUR));
}
