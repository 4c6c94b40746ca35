//! A database in a directory of its own, and short ways to fill and to ask it.

use std::sync::Arc;

use go_regex::CompiledMatcher;
use metric_storage_api::{
    MetricReader, MetricStore, SampleColumns, SelectHints, SelectRequest, SeriesReader,
};
use model::{BucketSpan, FloatHistogram, Labels, MatchOp, Matcher, TimeRange};
use resources::RequestContext;
use sys::{Fs, ManualClock, RealFs};
use tsdb::{Db, DbOptions, Environment};

pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: DbOptions,
    pub(crate) db: Db,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_options(|_| {})
    }

    pub(crate) fn with_options(change: impl FnOnce(&mut DbOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at_ms(1_700_000_000_000));
        let mut options = DbOptions { wal_segment_bytes: 1 << 20, ..DbOptions::default() };
        change(&mut options);
        let db = open(dir.path(), &options, &clock);
        Self { dir, clock, options, db }
    }

    pub(crate) fn append(&mut self, samples: &[(Pairs<'_>, i64, f64)]) {
        append(&self.db, samples);
    }

    /// As after a kill: nothing is closed, nothing is synced.
    pub(crate) fn reopen_killed(&mut self) {
        // The lock is released with the database; the files stay as they are.
        let placeholder = tempfile::tempdir().unwrap();
        drop(std::mem::replace(&mut self.db, open(placeholder.path(), &self.options, &self.clock)));
        self.db = open(self.dir.path(), &self.options, &self.clock);
    }

    pub(crate) fn reopen_closed(&mut self) {
        self.db.close().unwrap();
        self.reopen_killed();
    }
}

pub(crate) fn open(dir: &std::path::Path, options: &DbOptions, clock: &Arc<ManualClock>) -> Db {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        match Db::open(dir, options.clone(), Environment::new(fs, Arc::clone(clock) as _)) {
            // A process that another test has just forked holds all files, locks too, until it becomes its program.
            Err(tsdb::Error::Locked { .. }) if std::time::Instant::now() < end => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) fn append(db: &Db, samples: &[(Pairs<'_>, i64, f64)]) {
    let ctx = RequestContext::for_tests();
    let mut appender = db.appender(&ctx).unwrap();
    for (pairs, timestamp, value) in samples {
        let key = format!("{pairs:?}");
        let series = appender.resolve(key.as_bytes(), &mut || Ok(labels(pairs))).unwrap();
        appender.append(series, *timestamp, *value).unwrap();
    }
    appender.commit().unwrap();
}

pub(crate) fn labels(pairs: Pairs<'_>) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

pub(crate) fn matcher(name: &str, op: MatchOp, value: &str) -> CompiledMatcher {
    CompiledMatcher::new(Matcher::new(name, op, value)).unwrap()
}

pub(crate) fn select_series(
    db: &Db,
    matchers: &[(&str, MatchOp, &str)],
    range: TimeRange,
) -> Vec<Arc<dyn SeriesReader>> {
    let matchers: Vec<_> = matchers.iter().map(|(name, op, value)| matcher(name, *op, value)).collect();
    let hints = SelectHints { sorted: true, ..SelectHints::default() };
    let request = SelectRequest { matchers: &matchers, range, hints };
    let set = db.select(&RequestContext::for_tests(), &request).unwrap();
    assert_eq!(set.warnings, Vec::<String>::new());
    set.series
}

pub(crate) fn read(series: &dyn SeriesReader, range: TimeRange) -> SampleColumns {
    let mut columns = SampleColumns::default();
    series.read(&RequestContext::for_tests(), range, &mut columns).unwrap();
    columns
}

pub(crate) fn select(
    db: &Db,
    matchers: &[(&str, MatchOp, &str)],
    range: TimeRange,
) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let series = select_series(db, matchers, range);
    let samples = |series: &Arc<dyn SeriesReader>| {
        let columns = read(&**series, range);
        (series.labels(), columns.timestamps.into_iter().zip(columns.values).collect())
    };
    series.iter().map(samples).collect()
}

pub(crate) fn samples_of(db: &Db, metric: &str, range: TimeRange) -> Vec<(i64, f64)> {
    let mut found = select(db, &[("__name__", MatchOp::Equal, metric)], range);
    assert!(found.len() <= 1);
    found.pop().map(|(_, samples)| samples).unwrap_or_default()
}

pub(crate) fn histogram(step: u32) -> FloatHistogram {
    let buckets = vec![f64::from(step), f64::from(2 * step + 1), f64::from(step / 3)];
    FloatHistogram {
        schema: 2,
        zero_threshold: 0.001,
        zero_count: 1.0,
        count: buckets.iter().sum::<f64>() + 1.0,
        sum: f64::from(step) * 1.25,
        positive_spans: vec![BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 1 }],
        positive_buckets: buckets,
        ..FloatHistogram::default()
    }
}
