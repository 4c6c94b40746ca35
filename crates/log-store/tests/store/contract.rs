//! Limits, sources, duplicates, retention, deletes and damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use go_regex::CompiledMatcher;
use log_storage_api::{
    AppendOutcome, CountBuckets, Direction, EntryRejection, EntrySource, LineFilter, LineFilterOp, LogBatch,
    LogReader, LogScan, LogStorageError, LogStore, ScanBatch, ScanSink, ScanStats, SinkFlow, SourcePlace,
    StreamEntries,
};
use log_store::{
    DeleteSpec, DiskLogStore, EntryQueries, EntryTest, FixedLimits, LogLimits, LogStoreOptions, OpenReport,
    StreamRetention, SummaryDepth, TemplateQuery, summarize,
};
use model::{Labels, LogEntry, MatchOp, Matcher, TenantId};
use resources::RequestContext;
use sys::{ManualClock, SimFaults, SimFs};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_800_000_000 * SECOND;

/// Queries that are the last word of a line.
#[derive(Debug)]
struct ByWord;

#[derive(Debug)]
struct LastWord(String);

impl EntryQueries for ByWord {
    fn compile(&self, query: &str) -> Result<Arc<dyn EntryTest>, String> {
        if query.is_empty() { Err("empty".to_owned()) } else { Ok(Arc::new(LastWord(query.to_owned()))) }
    }
}

impl EntryTest for LastWord {
    fn takes(&self, labels: &Labels, _: i64, line: &str, metadata: &[(String, String)]) -> bool {
        labels.get("app").is_some() && metadata.is_empty() && line.ends_with(&self.0)
    }
}

struct World {
    fs: SimFs,
    clock: Arc<ManualClock>,
    limits: LogLimits,
    options: LogStoreOptions,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at_ms(START / 1_000_000));
        let options = LogStoreOptions { partition: Duration::from_secs(600), ..LogStoreOptions::default() };
        Self { fs: SimFs::new(1), clock, limits: LogLimits::default(), options }
    }

    fn open(&self) -> (DiskLogStore, OpenReport) {
        let limits = Arc::new(FixedLimits(Arc::new(self.limits.clone())));
        let clock = Arc::clone(&self.clock);
        DiskLogStore::open(
            Path::new("/data"),
            self.options,
            limits,
            Arc::new(ByWord),
            Arc::new(self.fs.clone()),
            clock,
        )
        .unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let files = self.fs.files_below(Path::new("/data/tenants"));
        files.into_iter().filter(|path| path.extension().is_some_and(|name| name == "wbls")).collect()
    }
}

fn ctx() -> RequestContext {
    RequestContext::for_tests()
}

fn labels(app: &str) -> Labels {
    Labels::from_pairs([("app", app)])
}

fn entry(seconds: i64, line: &str) -> LogEntry {
    LogEntry { timestamp: START + seconds * SECOND, line: line.to_owned(), structured_metadata: vec![] }
}

fn batch(app: &str, entries: Vec<LogEntry>) -> LogBatch<'static> {
    let entries = entries.into_iter().map(Into::into).collect();
    LogBatch { streams: vec![StreamEntries { labels: labels(app), entries, ..StreamEntries::default() }] }
}

fn append(store: &DiskLogStore, app: &str, entries: Vec<LogEntry>) -> AppendOutcome {
    store.append(&ctx(), &batch(app, entries)).unwrap()
}

fn everything() -> LogScan {
    LogScan {
        matchers: vec![],
        start: i64::MIN,
        end: i64::MAX,
        direction: Direction::Forward,
        limit: Some(usize::MAX),
        line_filters: vec![],
        metadata_filters: vec![],
        wants_lines: true,
        wants_metadata: true,
        fields: None,
        wants_fields: false,
        count: None,
    }
}

#[derive(Default)]
struct Lines(Vec<String>, u64);

impl ScanSink for Lines {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        for idx in 0..batch.timestamps.len() {
            self.0.push(batch.lines.line(idx)?.into_owned());
        }
        self.1 += batch.counts.iter().sum::<u64>();
        Ok(SinkFlow::Continue)
    }
}

fn scan(store: &DiskLogStore, ctx: &RequestContext, scan: &LogScan) -> (Vec<String>, ScanStats) {
    let mut lines = Lines::default();
    let stats = store.scan(ctx, scan, &mut lines).unwrap();
    (lines.0, stats)
}

fn lines(store: &DiskLogStore) -> Vec<String> {
    scan(store, &ctx(), &everything()).0
}

#[test]
fn entries_beyond_the_limits_are_refused_and_the_others_stored() {
    let mut world = World::new();
    world.limits.line_bytes_max = Some(5);
    world.limits.streams_max = Some(2);
    let (store, _) = world.open();
    let week = 7 * 24 * 3600;
    let outcome = append(
        &store,
        "a",
        vec![
            entry(0, "now"),
            entry(0, "too long"),
            entry(-week - 1, "old"),
            entry(601, "new"),
            entry(-3601, "late"),
            entry(-3600, "edge"),
        ],
    );
    let oldest = |seconds: i64| START - seconds * SECOND;
    let expected = [
        (0, 1, EntryRejection::LineTooLong { limit: 5 }),
        (0, 2, EntryRejection::TooOld { oldest_accepted: oldest(week) }),
        (0, 3, EntryRejection::TooNew),
        (0, 4, EntryRejection::TooFarBehind { oldest_accepted: oldest(3600) }),
    ];
    assert_eq!(
        (outcome.rejections.as_slice(), outcome.rejected, outcome.stored),
        (expected.as_slice(), 4, 2)
    );
    let mut late = batch("a", vec![entry(-week - 1, "site")]);
    late.streams[0].accept_late = true;
    assert_eq!(store.append(&ctx(), &late).unwrap().stored, 1);
    append(&store, "b", vec![entry(0, "b")]);
    let refused = store.append(&ctx(), &batch("c", vec![entry(0, "c")])).unwrap_err();
    assert!(matches!(refused, LogStorageError::LimitReached { .. }), "{refused}");
    assert_eq!(lines(&store), ["site", "edge", "now", "b"]);
    // The window is the stream's own, and known again after a restart from what is in segments.
    store.flush().unwrap();
    drop(store);
    let (store, _) = world.open();
    assert_eq!(append(&store, "a", vec![entry(-3601, "late")]).rejected, 1);
}

#[test]
fn the_same_entry_is_stored_once_wherever_the_first_one_is() {
    let world = World::new();
    let (store, _) = world.open();
    let twice = || vec![entry(1, "x 1"), entry(1, "x 1"), entry(1, "y 2")];
    assert_eq!(append(&store, "a", twice()).stored, 2);
    store.flush().unwrap();
    assert_eq!(append(&store, "a", twice()).duplicates, 3);
    drop(store);
    let (store, _) = world.open();
    assert_eq!(append(&store, "a", twice()).duplicates, 3);
    assert_eq!(append(&store, "b", twice()).stored, 2);
    let mut other = entry(1, "x 1");
    other.structured_metadata = vec![("z".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())];
    assert_eq!(append(&store, "a", vec![other]).stored, 1);
}

#[test]
fn a_delivery_that_comes_again_is_stored_once_even_after_kill_and_power_loss() {
    let mut world = World::new();
    world.options.wal.sync = wal::SyncPolicy::Always;
    let deliver = |store: &DiskLogStore, from: u64, to: u64| {
        let mut batch = batch("a", (from..to).map(|at| entry(at as i64, "same line")).collect());
        let places = (from..to).map(|at| SourcePlace { offset: at + 1, ordinal: 0 }).collect();
        batch.streams[0].source = Some(EntrySource { source: "host1/f".into(), generation: 5, places });
        let outcome = store.append(&ctx(), &batch).unwrap();
        (outcome.stored, outcome.duplicates)
    };
    let (store, _) = world.open();
    assert_eq!(deliver(&store, 0, 10), (10, 0));
    assert_eq!(deliver(&store, 5, 12), (2, 5));
    store.flush().unwrap();
    assert_eq!(deliver(&store, 12, 14), (2, 0));
    world.fs = world.fs.crash();
    let (store, _) = world.open();
    let positions = store.positions(&ctx(), "host1/").unwrap();
    assert_eq!((positions.len(), positions[0].generation, positions[0].place.offset), (1, 5, 14));
    assert!(store.positions(&ctx(), "host2/").unwrap().is_empty());
    assert_eq!(deliver(&store, 0, 15), (1, 14));
    assert_eq!(lines(&store).len(), 15);
}

#[test]
fn tenants_and_enforced_matchers_hide_what_is_not_theirs() {
    let world = World::new();
    let (store, _) = world.open();
    append(&store, "a", vec![entry(0, "a")]);
    append(&store, "b", vec![entry(0, "b")]);
    let mut other = ctx();
    other.tenant = TenantId::parse("other").unwrap();
    store.append(&other, &batch("a", vec![entry(0, "other")])).unwrap();
    store.flush().unwrap();
    assert_eq!(scan(&store, &other, &everything()).0, ["other"]);
    let mut limited = ctx();
    limited.enforced_matchers = Arc::new([Matcher::new("app", MatchOp::Equal, "b")]);
    assert_eq!(scan(&store, &limited, &everything()).0, ["b"]);
    let streams = store.streams(&limited, &[vec![]], i64::MIN, i64::MAX).unwrap();
    assert_eq!((streams.len(), streams[0].entries, streams[0].bytes), (1, 1, 1));
    assert_eq!(store.tenants().len(), 2);
}

#[test]
fn retention_removes_segments_and_streams_whose_time_is_over() {
    let mut world = World::new();
    world.limits.retention = Some(Duration::from_secs(3600));
    let keep = CompiledMatcher::new(Matcher::new("app", MatchOp::Equal, "audit")).unwrap();
    world.limits.stream_retention =
        vec![StreamRetention { matchers: vec![keep], priority: 1, period: Duration::ZERO }];
    let (store, _) = world.open();
    append(&store, "a", vec![entry(0, "a1"), entry(1, "a2")]);
    append(&store, "audit", vec![entry(0, "kept")]);
    store.flush().unwrap();
    world.clock.advance(Duration::from_secs(1800));
    append(&store, "a", vec![entry(1800, "later")]);
    store.flush().unwrap();
    world.clock.advance(Duration::from_secs(1900));
    store.maintain().unwrap();
    assert_eq!(lines(&store), ["kept", "later"]);
    world.clock.advance(Duration::from_secs(3600));
    store.maintain().unwrap();
    assert_eq!(lines(&store), ["kept"]);
    drop(store);
    let (store, report) = world.open();
    assert_eq!((lines(&store), report.segments, world.segments().len()), (vec!["kept".to_owned()], 1, 1));
}

#[test]
fn a_delete_request_hides_at_once_removes_later_and_can_be_taken_back_before() {
    let world = World::new();
    let (store, _) = world.open();
    append(&store, "a", (0..50).map(|n| entry(n, &format!("line {n} secret"))).collect());
    append(&store, "a", vec![entry(50, "harmless")]);
    let spec = || DeleteSpec {
        query: "{app=\"a\"} |= \"secret\"".to_owned(),
        matchers: vec![Matcher::new("app", MatchOp::Equal, "a")],
        line_filters: vec![LineFilter {
            negated: false,
            any_of: vec![LineFilterOp::Contains("secret".into())],
        }],
        metadata_filters: vec![],
        start: START,
        end: START + 40 * SECOND,
        apply_after: START + 100 * SECOND,
        tests_query: false,
    };
    let tenant = ctx().tenant;
    let id = store.request_delete(&tenant, spec()).unwrap();
    assert_eq!(lines(&store).len(), 11);
    let buckets = CountBuckets { start: START, width: 1000 * SECOND, buckets: 1, bytes: false };
    let mut sink = Lines::default();
    store.scan(&ctx(), &LogScan { count: Some(buckets), ..everything() }, &mut sink).unwrap();
    assert_eq!(sink.1, 11);
    assert!(store.cancel_delete(&tenant, id).unwrap() && !store.cancel_delete(&tenant, 99).unwrap());
    assert_eq!(lines(&store).len(), 51);
    store.request_delete(&tenant, spec()).unwrap();
    drop(store);
    let (store, _) = world.open();
    assert_eq!(lines(&store).len(), 11);
    world.clock.advance(Duration::from_secs(101));
    store.maintain().unwrap();
    assert!(store.delete_requests(&tenant).iter().all(|request| request.done));
    drop(store);
    let (store, _) = world.open();
    assert_eq!((lines(&store).len(), store.stats().segment_entries), (11, 11));
}

#[test]
fn a_delete_request_can_be_a_query_of_which_the_store_knows_nothing() {
    let world = World::new();
    let (store, _) = world.open();
    append(&store, "a", (0..60).map(|n| entry(n, &format!("line {n} end {}", n % 3))).collect());
    append(&store, "b", vec![entry(0, "end 1")]);
    let spec = |query: &str| DeleteSpec {
        query: query.to_owned(),
        matchers: vec![Matcher::new("app", MatchOp::Equal, "a")],
        line_filters: vec![],
        metadata_filters: vec![],
        start: START,
        end: START + 30 * SECOND,
        apply_after: START + 100 * SECOND,
        tests_query: true,
    };
    let tenant = ctx().tenant;
    assert!(store.request_delete(&tenant, spec("")).is_err());
    store.request_delete(&tenant, spec("end 1")).unwrap();
    let check = |store: &DiskLogStore| {
        let found = lines(store);
        assert_eq!(found.len(), 51);
        assert!(found.iter().filter(|line| line.ends_with("end 1")).count() == 11);
    };
    check(&store);
    store.flush().unwrap();
    check(&store);
    drop(store);
    let (store, _) = world.open();
    check(&store);
    world.clock.advance(Duration::from_secs(101));
    store.maintain().unwrap();
    assert!(store.delete_requests(&tenant).iter().all(|request| request.done));
    check(&store);
    assert_eq!(store.stats().segment_entries, 51);
}

#[test]
fn the_oldest_segments_go_when_the_disk_is_used_up() {
    let mut world = World::new();
    world.options.merge_segments_min = 100;
    let fill = |store: &DiskLogStore, app: &str, minute: i64| {
        let words =
            (0..2000).map(|n| entry(minute * 60 + n / 100, &format!("{n} {:x}", (n * 7919) ^ minute)));
        append(store, app, words.collect());
        store.flush().unwrap();
    };
    let (store, _) = world.open();
    for minute in 0..4 {
        fill(&store, "a", minute);
    }
    let whole = store.stats().segment_bytes;
    assert_eq!(store.stats().segments, 4);
    drop(store);
    world.options.disk_bytes_max = Some(whole * 3 / 4);
    let (store, _) = world.open();
    store.maintain().unwrap();
    let stats = store.stats();
    assert!(stats.segments == 3 && stats.segments_expired == 1 && stats.segment_bytes <= whole * 3 / 4);
    assert_eq!(lines(&store).len(), 6000);
    drop(store);
    // The newest segment stays whatever its size.
    world.options.disk_bytes_max = Some(1);
    let (store, _) = world.open();
    store.maintain().unwrap();
    assert_eq!((store.stats().segments, lines(&store).len()), (1, 2000));
}

#[test]
fn templates_are_counted_in_memory_and_in_segments_alike() {
    let world = World::new();
    let (store, _) = world.open();
    let line = |n: i64| match n % 4 {
        0 => format!("GET /item/{n} took {}ms", n * 3),
        1 => format!("user {n} logged in"),
        _ => "tick".to_owned(),
    };
    let level = |n: i64| vec![("level".to_owned(), if n % 8 == 0 { "warn" } else { "info" }.to_owned())];
    let entries = (0..400).map(|n| LogEntry { structured_metadata: level(n), ..entry(n, &line(n)) });
    append(&store, "a", entries.collect());
    append(&store, "b", vec![entry(5, "other")]);
    let query = TemplateQuery {
        matchers: vec![CompiledMatcher::new(Matcher::new("app", MatchOp::Equal, "a")).unwrap()],
        start: START,
        end: START + 390 * SECOND,
        width: 200 * SECOND,
        by: "level".to_owned(),
        templates_max: 100,
    };
    let count = |store: &DiskLogStore| {
        let found = store.templates(&ctx(), &query).unwrap();
        let mut shown: Vec<String> = found
            .templates
            .iter()
            .map(|template| format!("{} {:?} {:?}", template.text("<_>"), template.value, template.counts))
            .collect();
        shown.sort();
        (shown, found.others)
    };
    let all = |bucket: i64| (bucket * 200..(bucket * 200 + 200).min(390)).collect::<Vec<_>>();
    let counts = |passes: &dyn Fn(i64) -> bool| {
        [0, 1].map(|bucket| (bucket as u32, all(bucket).iter().filter(|n| passes(**n)).count() as u64))
    };
    let mut expected = [
        ("GET /item/<_> took <_>ms", "info", counts(&|n| n % 8 == 4)),
        ("GET /item/<_> took <_>ms", "warn", counts(&|n| n % 8 == 0)),
        ("tick", "info", counts(&|n| n % 4 > 1)),
        ("user <_> logged in", "info", counts(&|n| n % 4 == 1)),
    ]
    .map(|(text, level, counts)| format!("{text} {level:?} {:?}", counts.to_vec()));
    expected.sort();
    assert_eq!(count(&store), (expected.to_vec(), 0));
    store.flush().unwrap();
    assert_eq!(count(&store), (expected.to_vec(), 0));
    let few = TemplateQuery { templates_max: 1, ..query.clone() };
    let found = store.templates(&ctx(), &few).unwrap();
    assert_eq!((found.templates.len(), found.others > 0), (1, true));
    let tenant = ctx().tenant;
    let spec = DeleteSpec {
        query: "in".to_owned(),
        matchers: vec![Matcher::new("app", MatchOp::Equal, "a")],
        line_filters: vec![LineFilter {
            negated: false,
            any_of: vec![LineFilterOp::Contains("user".into())],
        }],
        metadata_filters: vec![],
        start: 0,
        end: i64::MAX,
        apply_after: i64::MAX,
        tests_query: false,
    };
    store.request_delete(&tenant, spec).unwrap();
    assert_eq!(count(&store).0, expected[..3]);
}

#[test]
fn a_segment_can_be_looked_into() {
    let world = World::new();
    let (store, _) = world.open();
    for app in ["a", "b"] {
        append(&store, app, (0..100).map(|n| entry(n, &format!("line {n} of {app}"))).collect());
    }
    store.flush().unwrap();
    let [path] = world.segments().try_into().unwrap();
    let summary = summarize(&world.fs, &path, SummaryDepth::Blocks).unwrap();
    assert_eq!((summary.min, summary.max), (START, START + 99 * SECOND));
    let streams: Vec<_> =
        summary.streams.iter().map(|s| (s.labels.to_string(), s.entries, s.blocks)).collect();
    assert_eq!(streams, [("{app=\"a\"}".to_owned(), 100, 1), ("{app=\"b\"}".to_owned(), 100, 1)]);
    assert_eq!((summary.damaged.len(), summary.streams[0].templates), (0, 1));
    world.fs.flip_bit(&path, 20 * 8).unwrap();
    let damaged = summarize(&world.fs, &path, SummaryDepth::Blocks).unwrap();
    assert_eq!(damaged.damaged.len(), 1);
    assert!(summarize(&world.fs, &path, SummaryDepth::Index).unwrap().damaged.is_empty());
    world.fs.flip_bit(&path, 1).unwrap();
    assert!(summarize(&world.fs, &path, SummaryDepth::Index).is_err());
}

#[test]
fn damage_costs_only_what_it_hits_and_is_counted() {
    let world = World::new();
    let (store, _) = world.open();
    for (app, text) in [("a", "first"), ("b", "second")] {
        append(&store, app, (0..100).map(|n| entry(n, &format!("{text} {}", n * n))).collect());
    }
    store.flush().unwrap();
    drop(store);
    let [segment] = world.segments().try_into().unwrap();
    // Behind the header lies the first block's first section, its times.
    world.fs.flip_bit(&segment, 20 * 8).unwrap();
    let (store, report) = world.open();
    assert_eq!(report.segments_damaged, 0);
    let (found, stats) = scan(&store, &ctx(), &everything());
    assert_eq!((found.len(), stats.blocks_damaged), (100, 1));
    assert!(found.iter().all(|line| line.starts_with("second")) && store.stats().blocks_damaged == 1);
    drop(store);
    let bits = sys::Fs::file_len(&world.fs, &segment).unwrap() * 8;
    world.fs.flip_bit(&segment, bits - 1).unwrap();
    let (store, report) = world.open();
    assert_eq!((report.segments_damaged, lines(&store).len()), (1, 0));
    assert!(world.segments().is_empty() && sys::Fs::exists(&world.fs, &segment.with_extension("damaged")));
    assert_eq!(append(&store, "a", vec![entry(200, "goes on")]).stored, 1);
}

#[test]
fn a_full_disk_refuses_entries_serves_the_rest_and_resumes() {
    let world = World::new();
    let (store, _) = world.open();
    append(&store, "a", vec![entry(0, "before")]);
    world.fs.set_faults(SimFaults { capacity: Some(0), ..SimFaults::default() });
    let refused = store.append(&ctx(), &batch("a", vec![entry(1, "refused")])).unwrap_err();
    assert!(matches!(refused, LogStorageError::Unavailable { .. }), "{refused}");
    assert!(store.flush().is_err() && store.stats().flush_failures == 1);
    assert_eq!(lines(&store), ["before"]);
    world.fs.set_faults(SimFaults::default());
    append(&store, "a", vec![entry(1, "after")]);
    store.flush().unwrap();
    assert_eq!(lines(&store), ["before", "after"]);
    store.stop().unwrap();
    assert!(store.append(&ctx(), &batch("a", vec![entry(2, "stopped")])).is_err());
}

#[test]
fn a_backward_scan_reads_no_more_blocks_than_its_limit_needs() {
    let mut world = World::new();
    world.options.block_rows_max = 10;
    let (store, _) = world.open();
    append(&store, "a", (0..500).map(|n| entry(n, &format!("line {n}"))).collect());
    store.flush().unwrap();
    let newest = LogScan { direction: Direction::Backward, limit: Some(15), ..everything() };
    let (found, stats) = scan(&store, &ctx(), &newest);
    assert_eq!((found.len(), found[0].as_str(), found[14].as_str()), (15, "line 499", "line 485"));
    assert!(stats.blocks_read <= 3 && stats.blocks_skipped >= 47, "{stats:?}");
    let buckets = CountBuckets { start: START - 1, width: 10_000 * SECOND, buckets: 1, bytes: true };
    let (_, stats) = scan(&store, &ctx(), &LogScan { count: Some(buckets), ..everything() });
    assert_eq!((stats.blocks_read, stats.entries_scanned), (0, 500));
}
