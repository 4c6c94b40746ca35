//! A log that is long enough to be applied by several threads.

use metric_storage_api::MetricStore;
use model::{MatchOp, TimeRange};
use resources::RequestContext;

use crate::support::{self, Fixture, labels, read, select_series};

const START: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;
/// Over several shards.
const SERIES: usize = 1200;
const ROUNDS: u32 = 150;
const ALL: TimeRange = TimeRange { start: 0, end: i64::MAX };

/// Series that change between floats and histograms: a chunk ends wherever they do.
fn is_histogram(series: usize, round: u32) -> bool {
    series.is_multiple_of(40) && round / 7 % 2 == 1
}

/// A value that no chunk and no compression makes small.
fn value(series: usize, round: u32) -> f64 {
    let seed = (series as u64) << 32 | u64::from(round);
    (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64
}

/// A sample's time, and the bits of its value or, as an error, of its histogram's sum.
type Sample = (i64, Result<u64, u64>);

/// All samples of all series.
fn content(fixture: &Fixture) -> Vec<(String, Vec<Sample>)> {
    let found = select_series(&fixture.db, &[("__name__", MatchOp::Equal, "m")], ALL);
    let samples = |series: &dyn metric_storage_api::SeriesReader| {
        let columns = read(series, ALL);
        let kind = |at: usize| match columns.histograms.get(at) {
            Some(Some(histogram)) => Err(histogram.sum.to_bits()),
            _ => Ok(columns.values[at].to_bits()),
        };
        columns.timestamps.iter().enumerate().map(|(at, time)| (*time, kind(at))).collect()
    };
    found.iter().map(|series| (series.labels().to_string(), samples(&**series))).collect()
}

#[test]
fn a_long_log_is_applied_in_the_order_of_each_series() {
    let mut fixture = Fixture::new();
    let ctx = RequestContext::for_tests();
    for round in 0..ROUNDS {
        let mut appender = fixture.db.appender(&ctx).unwrap();
        for series in 0..SERIES {
            let name = series.to_string();
            let set = labels(&[("__name__", "m"), ("series", &name)]);
            let found = appender.resolve(name.as_bytes(), &mut || Ok(set.clone())).unwrap();
            let time = START + i64::from(round) * STEP;
            if is_histogram(series, round) {
                appender.append_histogram(found, time, &support::histogram(round)).unwrap();
            } else {
                appender.append(found, time, value(series, round)).unwrap();
            }
        }
        appender.commit().unwrap();
    }
    let bytes: u64 = std::fs::read_dir(fixture.dir.path().join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes > 1 << 20, "{bytes} bytes are not worth threads");
    let before = content(&fixture);
    assert_eq!(before.len(), SERIES);
    assert!(before.iter().all(|(_, samples)| samples.len() == ROUNDS as usize));
    let histograms = before[0].1.iter().filter(|sample| sample.1.is_err()).count();
    assert_eq!(histograms, (0..ROUNDS).filter(|round| is_histogram(0, *round)).count());
    let stats = fixture.db.stats(1);
    // With head chunks, and from the log alone.
    for without_chunks in [false, true] {
        if without_chunks {
            let chunks = std::fs::read_dir(fixture.dir.path().join("chunks_head")).unwrap();
            chunks.for_each(|entry| std::fs::remove_file(entry.unwrap().path()).unwrap());
        }
        fixture.reopen_killed();
        assert!(content(&fixture) == before, "without head chunks: {without_chunks}");
        let again = fixture.db.stats(1);
        assert_eq!((again.head_min_time, again.head_max_time), (stats.head_min_time, stats.head_max_time));
    }
}
