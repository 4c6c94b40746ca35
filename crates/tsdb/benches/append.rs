//! Batches of 5,000 samples of known series into a database on disk, and reading them back as columns.
#![expect(missing_docs, reason = "criterion's macros make functions without documentation")]

use std::fmt::Write;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use go_regex::CompiledMatcher;
use metric_storage_api::{MetricReader, MetricStore, SampleColumns, SelectHints, SelectRequest};
use model::{Labels, MatchOp, Matcher, TimeRange};
use resources::RequestContext;
use sys::{RealFs, SystemClock};
use tsdb::{Db, DbOptions, Environment};

const SERIES: usize = 50_000;
const BATCH: usize = 5_000;
const START: i64 = 1_700_000_000_000;

/// Ten labels of the usual lengths, and the bytes that a sender would send for them.
fn series() -> Vec<(Vec<u8>, Labels)> {
    let make = |n: usize| {
        let labels = Labels::from_pairs([
            ("__name__", format!("node_metric_{}_total", n % 500)),
            ("instance", format!("host-{:04}.example.org:9100", n / 500)),
            ("job", "node".to_owned()),
            ("cluster", "production-eu-1".to_owned()),
            ("cpu", format!("{}", n % 64)),
            ("mode", ["idle", "user", "system", "iowait"][n % 4].to_owned()),
            ("device", format!("nvme{}n1", n % 8)),
            ("mountpoint", format!("/var/lib/data/{}", n % 30)),
            ("zone", format!("zone-{}", n % 3)),
            ("number", format!("{n}")),
        ]);
        let mut key = String::new();
        for (name, value) in labels.iter() {
            write!(key, "{name}\0{value}\0").expect("a string takes all that is written to it");
        }
        (key.into_bytes(), labels)
    };
    (0..SERIES).map(make).collect()
}

fn append_batch(db: &Db, ctx: &RequestContext, series: &[(Vec<u8>, Labels)], time: i64) {
    let mut appender = db.appender(ctx).expect("the database is open");
    for (n, (key, labels)) in series.iter().enumerate() {
        let found = appender.resolve(key, &mut || Ok(labels.clone())).expect("there are no limits");
        appender.append(found, time, (n as i64 * 7 + time % 1_000_003) as f64).expect("time goes on");
    }
    appender.commit().expect("the disk has space");
}

fn database(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let environment = Environment::new(Arc::new(RealFs), Arc::new(SystemClock::new()));
    let options = DbOptions { min_block_duration_ms: 24 * 3_600_000, ..DbOptions::default() };
    let db = Db::open(dir.path(), options, environment).expect("an empty directory opens");
    let (ctx, series) = (RequestContext::for_tests(), series());
    let mut group = criterion.benchmark_group("database");
    group.sample_size(20);
    group.throughput(Throughput::Elements(BATCH as u64));
    let (mut time, mut at) = (START, 0);
    group.bench_function("append", |bencher| {
        bencher.iter(|| {
            append_batch(&db, &ctx, &series[at..at + BATCH], time);
            at = (at + BATCH) % SERIES;
            time += if at == 0 { 15_000 } else { 0 };
        });
    });
    db.sync().expect("the disk works");
    let range = TimeRange::new(START, i64::MAX);
    let matcher = Matcher::new("__name__", MatchOp::Regex, "node_metric_1.*");
    let matchers = [CompiledMatcher::new(matcher).expect("the pattern is fine")];
    let read = || {
        let request = SelectRequest { matchers: &matchers, range, hints: SelectHints::default() };
        let set = db.select(&ctx, &request).expect("nothing is damaged");
        let (mut columns, mut samples) = (SampleColumns::default(), 0);
        for series in set.series {
            columns.clear();
            series.read(&ctx, range, &mut columns).expect("nothing is damaged");
            samples += columns.len();
        }
        samples
    };
    group.throughput(Throughput::Elements(read() as u64));
    group.bench_function("select and read", |bencher| bencher.iter(read));
    group.finish();
}

criterion_group!(benches, database);
criterion_main!(benches);
