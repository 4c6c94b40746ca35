//! What storing and searching costs: lines of several kinds, in order and shuffled. `cargo bench -p log-store -- [lines]`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first failure and prints its figures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use go_regex::{CompiledMatcher, Regex};
use log_storage_api::{
    CountBuckets, Direction, LineFilter, LineFilterOp, LogBatch, LogReader, LogScan, LogStorageError,
    LogStore, ScanBatch, ScanSink, SinkFlow, StreamEntries,
};
use log_store::{DiskLogStore, FixedLimits, LogLimits, LogStoreOptions, NoEntryQueries};
use model::{Labels, LogEntry, MatchOp, Matcher};
use resources::RequestContext;
use sys::{ManualClock, RealFs, Rng, SeededRng};

const START: i64 = 1_800_000_000_000_000_000;
const BATCH_LINES: usize = 5000;
const STREAMS: u64 = 40;

/// CPU time of this thread, as the machine may be busy with other things.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn main() {
    let lines = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000usize);
    for shuffled in [false, true] {
        run(lines, shuffled);
    }
}

fn line(rng: &dyn Rng, kind: u64, ns: i64) -> String {
    let (second, n) = (ns / 1_000_000_000, rng.below(1 << 40));
    let clock = format!("{:02}:{:02}:{:02}", second / 3600 % 24, second / 60 % 60, second % 60);
    let path = ["/", "/login", "/api/v1/items", "/api/v1/orders", "/static/app.js"][rng.below(5) as usize];
    match kind {
        0 => format!(
            "10.0.{}.{} - - [22/Nov/2026:{clock} +0000] \"GET {path}/{} HTTP/1.1\" {} {} \"-\" \"Mozilla/5.0\"",
            rng.below(4),
            rng.below(256),
            rng.below(5000),
            [200, 200, 200, 304, 404, 500][rng.below(6) as usize],
            rng.below(20_000)
        ),
        1 => format!(
            "{{\"time\":\"2026-11-22T{clock}.{:03}Z\",\"level\":\"{}\",\"msg\":\"request done\",\"trace_id\":\"{:016x}{n:016x}\",\"status\":{},\"duration_ms\":{}}}",
            rng.below(1000),
            ["info", "info", "warn", "error"][rng.below(4) as usize],
            rng.next_u64(),
            200 + rng.below(4) * 100,
            rng.below(3000)
        ),
        2 => format!(
            "ts={second} level=info component=queue msg=\"job finished\" job={n} attempts={} worker=w{}",
            rng.below(4),
            rng.below(16)
        ),
        3 => match rng.below(6) {
            0 => format!(
                "2026-11-22 {clock},{:03} ERROR [pool-{}-thread-{}] c.e.Order - failed to reserve item {n}",
                rng.below(1000),
                rng.below(4),
                rng.below(32)
            ),
            1 => "java.lang.IllegalStateException: no stock left".to_owned(),
            part => format!("\tat com.example.order.Stage{part}.run(Stage{part}.java:{})", 40 + part * 7),
        },
        _ => format!(
            "{clock} INFO dfs.DataNode: Receiving block blk_{} src: /10.251.{}.{}:{} dest: /10.251.9.{}:50010",
            2_967_299_761_311_480_000 + n % 10_000,
            rng.below(256),
            rng.below(256),
            30_000 + rng.below(30_000),
            rng.below(256)
        ),
    }
}

fn labels(stream: u64) -> Labels {
    let app = ["nginx", "gateway", "worker", "orders", "datanode"][(stream % 5) as usize];
    let level = if stream.is_multiple_of(7) { "error" } else { "info" };
    Labels::from_pairs([
        ("job", "bench"),
        ("app", app),
        ("host", &format!("host-{stream:03}")),
        ("level", level),
    ])
}

fn corpus(lines: usize, shuffled: bool) -> Vec<(u64, LogEntry)> {
    let rng = SeededRng::new(7);
    let make = |idx: usize| {
        let stream = rng.below(STREAMS * STREAMS).isqrt();
        let timestamp = START + idx as i64 * 1_000_000 + rng.below(900_000) as i64;
        let line = line(&rng, stream % 5, timestamp);
        (stream, LogEntry { timestamp, line, structured_metadata: Vec::new() })
    };
    let mut made: Vec<(u64, LogEntry)> = (0..lines).map(make).collect();
    if shuffled {
        for idx in (1..made.len()).rev() {
            let other = rng.below(idx as u64 + 1) as usize;
            let (a, b) = (made[idx].1.timestamp, made[other].1.timestamp);
            made.swap(idx, other);
            (made[idx].1.timestamp, made[other].1.timestamp) = (a, b);
        }
    }
    made
}

fn run(lines: usize, shuffled: bool) {
    let entries = corpus(lines, shuffled);
    let bytes: usize = entries.iter().map(|(_, entry)| entry.line.len()).sum();
    let sample = entries[lines / 2].1.line.clone();
    let dir = tempfile::tempdir().unwrap();
    let limits = LogLimits { reject_old_max_age: None, creation_grace: None, ..LogLimits::default() };
    let limits = Arc::new(FixedLimits(Arc::new(limits)));
    let clock = Arc::new(ManualClock::at_ms(START / 1_000_000));
    let open = || {
        let (limits, clock) = (Arc::clone(&limits), Arc::clone(&clock));
        DiskLogStore::open(
            dir.path(),
            LogStoreOptions::default(),
            limits,
            Arc::new(NoEntryQueries),
            Arc::new(RealFs),
            clock,
        )
        .unwrap()
        .0
    };
    let store = open();
    let ctx = RequestContext::for_tests();
    let (mut appending, mut background) = (Duration::ZERO, Duration::ZERO);
    for batch in entries.chunks(BATCH_LINES) {
        let batch = batch_of(batch);
        let start = cpu();
        assert_eq!(store.append(&ctx, &batch).unwrap().rejected, 0);
        appending += cpu() - start;
        let start = cpu();
        store.maintain().unwrap();
        background += cpu() - start;
    }
    let start = cpu();
    store.flush().unwrap();
    while store.maintain().unwrap().more {}
    background += cpu() - start;
    let stats = store.stats();
    let gb = bytes as f64 / 1e9;
    println!("{lines} lines, {:.1} MB, shuffled: {shuffled}", bytes as f64 / 1e6);
    println!(
        "  append {:.2} s/GB, encode + flush + merge {:.2} s/GB",
        appending.as_secs_f64() / gb,
        background.as_secs_f64() / gb
    );
    println!(
        "  {:.1} MB on disk, {:.2} bytes/line, ratio {:.1}, {} segments",
        stats.segment_bytes as f64 / 1e6,
        stats.segment_bytes as f64 / lines as f64,
        bytes as f64 / stats.segment_bytes as f64,
        stats.segments
    );
    drop(store);
    let start = Instant::now();
    let store = open();
    println!("  open again {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    queries(&store, &ctx, &sample, lines);
}

fn batch_of(entries: &[(u64, LogEntry)]) -> LogBatch<'static> {
    let mut by_stream: Vec<Vec<LogEntry>> = vec![Vec::new(); STREAMS as usize];
    for (stream, entry) in entries {
        by_stream[*stream as usize].push(entry.clone());
    }
    let streams = by_stream.into_iter().enumerate().filter(|(_, entries)| !entries.is_empty());
    let streams = streams.map(|(stream, entries)| StreamEntries {
        labels: labels(stream as u64),
        entries: entries.into_iter().map(Into::into).collect(),
        ..StreamEntries::default()
    });
    LogBatch { streams: streams.collect() }
}

fn queries(store: &DiskLogStore, ctx: &RequestContext, sample: &str, lines: usize) {
    let contains = |text: &str| LineFilterOp::Contains(text.into());
    let regex = |pattern: &str| LineFilterOp::Regex(Arc::new(Regex::new(pattern).unwrap()));
    let id = sample.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len()).unwrap();
    let cases: Vec<(&str, Vec<LineFilterOp>, Option<usize>)> = vec![
        ("a whole line", vec![contains(sample)], None),
        ("its longest word", vec![contains(id)], None),
        ("absent word", vec![contains("POSSIBLE BREAK-IN")], None),
        ("blk_ id", vec![contains("blk_2967299761311485822")], None),
        ("8 digits of it", vec![contains("11485822")], None),
        ("4 digits", vec![contains("4815")], None),
        ("regex with a literal", vec![regex("reserve item 99[0-9]+7$")], None),
        ("regex without", vec![regex("[a-z]{3}=[0-9]{4} ")], None),
        ("word in every line, newest 1000", vec![regex("(?i)block|request|job")], Some(1000)),
        ("everything, newest 1000", vec![], Some(1000)),
    ];
    for (name, ops, limit) in cases {
        let mut scan = everything();
        scan.line_filters =
            ops.into_iter().map(|op| LineFilter { negated: false, any_of: vec![op] }).collect();
        scan.limit = limit;
        report(store, ctx, name, &scan);
    }
    let minutes =
        CountBuckets { start: START, width: 60_000_000_000, buckets: lines / 60_000 + 1, bytes: false };
    report(store, ctx, "count per minute", &LogScan { count: Some(minutes), ..everything() });
    let error = LineFilter { negated: false, any_of: vec![contains("ERROR")] };
    let scan = LogScan { count: Some(minutes), line_filters: vec![error], ..everything() };
    report(store, ctx, "count of a word per minute", &scan);
}

fn report(store: &DiskLogStore, ctx: &RequestContext, name: &str, scan: &LogScan) {
    let mut times = Vec::new();
    let mut sink = Count::default();
    let mut stats = None;
    for _ in 0..5 {
        sink = Count::default();
        let start = cpu();
        stats = Some(store.scan(ctx, scan, &mut sink).unwrap());
        times.push(cpu() - start);
    }
    times.sort();
    let decoded = stats.map_or(0, |stats| stats.lines_decoded);
    println!(
        "  {name}: {:.2} ms, {} found, {decoded} lines decoded to filter",
        times[2].as_secs_f64() * 1e3,
        sink.found
    );
}

fn everything() -> LogScan {
    LogScan {
        matchers: vec![CompiledMatcher::new(Matcher::new("job", MatchOp::Equal, "bench")).unwrap()],
        start: i64::MIN,
        end: i64::MAX,
        direction: Direction::Backward,
        limit: None,
        line_filters: vec![],
        metadata_filters: vec![],
        wants_lines: true,
        wants_metadata: false,
        fields: None,
        wants_fields: false,
        count: None,
    }
}

#[derive(Default)]
struct Count {
    found: u64,
}

impl ScanSink for Count {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        for idx in 0..batch.timestamps.len() {
            self.found += u64::from(!batch.lines.line(idx)?.is_empty());
        }
        self.found += batch.counts.iter().sum::<u64>();
        Ok(SinkFlow::Continue)
    }
}
