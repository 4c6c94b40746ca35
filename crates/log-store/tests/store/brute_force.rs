//! The store's answers equal a brute-force look at the same entries, whatever happens to it in between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use go_regex::{CompiledMatcher, Regex};
use log_storage_api::{
    CountBuckets, Direction, FieldFinder, LineFilter, LineFilterOp, LogBatch, LogReader, LogScan,
    LogStorageError, LogStore, MetadataFilter, PatternPart, ScanBatch, ScanSink, SinkFlow, StreamEntries,
};
use log_store::{DeleteSpec, DiskLogStore, FixedLimits, LogLimits, LogStoreOptions, NoEntryQueries};
use model::{Labels, LogEntry, MatchOp, Matcher};
use resources::RequestContext;
use sys::{Clock, Fs, ManualClock, Rng, SeededRng, SimFaults, SimFs};
use wal::{SyncPolicy, WalOptions};

use crate::fields::TestFields;

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_800_000_000 * SECOND;

/// An entry as the model keeps it and as a scan returns it.
type Found = (String, i64, String, Vec<(String, String)>);

/// What is in the store, kept beside it.
#[derive(Default)]
struct Model {
    entries: Vec<Found>,
}

struct World {
    rng: SeededRng,
    seed: u64,
    fs: SimFs,
    clock: Arc<ManualClock>,
    options: LogStoreOptions,
    store: Option<DiskLogStore>,
    model: Model,
    /// Acknowledged entries that the next power loss may take.
    unsynced: Vec<Found>,
    /// Entries whose append failed: they may be there.
    unsure: Vec<Found>,
    now: i64,
    /// Delete requests that are not done: what they mean is hidden.
    deletions: Vec<(u64, LogScan)>,
    /// Whether a request was ever made: then entries may be stored that the model has forgotten.
    deleted: bool,
}

fn ctx() -> RequestContext {
    RequestContext::for_tests()
}

fn matcher(name: &str, op: MatchOp, value: &str) -> CompiledMatcher {
    CompiledMatcher::new(Matcher::new(name, op, value)).unwrap()
}

fn limits() -> LogLimits {
    LogLimits {
        out_of_order_window: None,
        reject_old_max_age: None,
        creation_grace: None,
        ..LogLimits::default()
    }
}

fn pick(rng: &dyn Rng, from: &[&'static str]) -> &'static str {
    from[rng.below(from.len() as u64) as usize]
}

fn line(rng: &dyn Rng) -> String {
    let number = rng.below(100_000);
    match rng.below(9) {
        0 => format!("GET /api/v1/items/{number} HTTP/1.1 200 {}", rng.below(3000)),
        1 => format!(
            "{{\"level\":\"info\",\"status\":{},\"trace\":\"{:016x}\"}}",
            rng.below(600),
            rng.next_u64()
        ),
        2 => format!("level=warn msg=\"slow query\" duration_ms={} user=u{}", number, rng.below(5)),
        3 => format!("at com.example.Service.call(Service.java:{})", rng.below(400)),
        4 => String::new(),
        5 => format!("ünïcode {number} – 10.0.{}.{} ok", rng.below(256), rng.below(256)),
        6 => format!(
            "{:02}:{:02}:{:02} worker-{} started",
            rng.below(24),
            rng.below(60),
            rng.below(60),
            rng.below(9)
        ),
        7 => "x".repeat(rng.below(2000) as usize),
        _ => format!("-{number} 007 0x{:x} {}.{:03} a\nb", number, rng.below(10), rng.below(1000)),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let rng = SeededRng::new(seed);
        let sync = if rng.below(2) == 0 { SyncPolicy::Always } else { SyncPolicy::Deferred };
        let options = LogStoreOptions {
            wal: WalOptions { sync, segment_bytes: 4000, ..WalOptions::default() },
            partition: Duration::from_secs(600),
            flush_bytes: 1 << 40,
            flush_age: Duration::from_secs(1 << 40),
            wal_bytes_max: 1 << 40,
            block_rows_max: 1 + rng.below(200) as usize,
            merge_segments_min: 2 + rng.below(3) as usize,
            ..LogStoreOptions::default()
        };
        let mut world = Self {
            fs: SimFs::new(seed ^ 0xF5),
            clock: Arc::new(ManualClock::at_ms(START / 1_000_000)),
            options,
            store: None,
            model: Model::default(),
            unsynced: Vec::new(),
            unsure: Vec::new(),
            now: START,
            deletions: Vec::new(),
            deleted: false,
            rng,
            seed,
        };
        world.open();
        world
    }

    fn try_open(&self) -> Result<DiskLogStore, LogStorageError> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let limits = Arc::new(FixedLimits(Arc::new(limits())));
        let fs: Arc<dyn Fs> = Arc::new(self.fs.clone());
        let (store, report) = DiskLogStore::open(
            Path::new("/data"),
            self.options,
            limits,
            Arc::new(NoEntryQueries),
            fs,
            clock,
        )?;
        assert_eq!((report.segments_damaged, report.unknown_records), (0, 0), "seed {}", self.seed);
        Ok(store)
    }

    fn open(&mut self) {
        self.store = Some(self.try_open().unwrap_or_else(|e| panic!("seed {}: {e:?}", self.seed)));
    }

    fn store(&self) -> &DiskLogStore {
        self.store.as_ref().unwrap()
    }

    fn append(&mut self) {
        let mut batch = LogBatch::default();
        let mut new: Vec<Found> = Vec::new();
        for _ in 0..1 + self.rng.below(4) {
            let app = pick(&self.rng, &["a", "b", "c"]);
            let level = pick(&self.rng, &["info", "error"]);
            let labels = Labels::from_pairs([("app", app), ("level", level)]);
            let mut stream = StreamEntries { labels: labels.clone(), ..StreamEntries::default() };
            for _ in 0..self.rng.below(30) {
                self.now += self.rng.below(2 * SECOND as u64) as i64;
                let late = if self.rng.below(5) == 0 { self.rng.below(900) as i64 * SECOND } else { 0 };
                let mut entry = LogEntry {
                    timestamp: self.now - late,
                    line: line(&self.rng),
                    structured_metadata: vec![],
                };
                if self.rng.below(3) == 0 {
                    entry.structured_metadata.push(("pod".to_owned(), format!("p{}", self.rng.below(4))));
                    entry
                        .structured_metadata
                        .push(("trace".to_owned(), format!("{:x}", self.rng.next_u64())));
                }
                if self.rng.below(10) == 0
                    && let Some(known) = self.model.entries.iter().find(|found| found.0 == labels.to_string())
                {
                    let (_, timestamp, line, structured_metadata) = known.clone();
                    entry = LogEntry { timestamp, line, structured_metadata };
                }
                let metadata = entry.structured_metadata.clone();
                new.push((labels.to_string(), entry.timestamp, entry.line.clone(), metadata));
                stream.entries.push(entry.into());
            }
            batch.streams.push(stream);
        }
        match self.store().append(&ctx(), &batch) {
            Ok(outcome) => {
                assert_eq!(outcome.rejected, 0, "seed {}", self.seed);
                assert_eq!(outcome.stored + outcome.duplicates, new.len() as u64, "seed {}", self.seed);
                let before = self.model.entries.len();
                for found in new {
                    if !self.model.entries.contains(&found) {
                        self.model.entries.push(found.clone());
                        self.unsynced.push(found);
                    }
                }
                if self.unsure.is_empty() && !self.deleted {
                    assert_eq!(
                        outcome.stored as usize,
                        self.model.entries.len() - before,
                        "seed {}",
                        self.seed
                    );
                }
            }
            Err(_) => self.unsure.extend(new),
        }
    }

    fn scan_of(&self) -> LogScan {
        let rng = &self.rng;
        let mut matchers = Vec::new();
        match rng.below(4) {
            0 => matchers.push(matcher("app", MatchOp::Equal, pick(rng, &["a", "b", "c", "d"]))),
            1 => matchers.push(matcher("app", MatchOp::Regex, "a|b")),
            2 => matchers.push(matcher("level", MatchOp::NotEqual, "info")),
            _ => {}
        }
        let (mut start, mut end) = (i64::MIN, i64::MAX);
        if rng.below(2) == 0 {
            start = START - 1000 * SECOND + rng.below((self.now - START + 1000 * SECOND) as u64 + 1) as i64;
            end = start.saturating_add(rng.below(2000 * SECOND as u64) as i64);
        }
        let filters = match rng.below(3) {
            0 => 0,
            1 => 1,
            _ => 2,
        };
        LogScan {
            matchers,
            start,
            end,
            direction: if rng.below(2) == 0 { Direction::Forward } else { Direction::Backward },
            limit: match rng.below(3) {
                0 => None,
                1 => Some(rng.below(20) as usize),
                _ => Some(usize::MAX),
            },
            line_filters: (0..filters).map(|_| self.filter()).collect(),
            metadata_filters: match rng.below(5) {
                0 => vec![MetadataFilter { matcher: matcher("pod", MatchOp::Equal, "p1") }],
                1 => vec![MetadataFilter { matcher: matcher("pod", MatchOp::NotRegex, "p[12]") }],
                _ => vec![],
            },
            wants_lines: true,
            wants_metadata: true,
            fields: None,
            wants_fields: false,
            count: None,
        }
    }

    fn filter(&self) -> LineFilter {
        let rng = &self.rng;
        let text = |text: &str| LineFilterOp::Contains(text.into());
        let regex = |pattern: &str| LineFilterOp::Regex(Arc::new(Regex::new(pattern).unwrap()));
        let literal = |text: &str| PatternPart::Literal(text.into());
        let any_of = match rng.below(12) {
            0 => vec![text("GET /api")],
            1 => vec![text(&rng.below(1000).to_string())],
            2 => vec![text("status\":5"), text("warn")],
            3 => vec![regex("(?i)LEVEL=(warn|info)")],
            4 => vec![regex("HTTP.1[.]1 [2-5][0-9][0-9]")],
            5 => vec![regex(&format!("Service[.]java:{}\\d*\\)", rng.below(10)))],
            6 => vec![LineFilterOp::Pattern(Arc::new([
                literal("GET "),
                PatternPart::Wildcard,
                literal(" HTTP/1.1 200 "),
                PatternPart::Wildcard,
            ]))],
            7 => vec![text(&format!("{:x}", rng.below(1 << 12)))],
            8 => vec![text("")],
            9 => {
                let known = self.model.entries.get(rng.below(self.model.entries.len() as u64 + 1) as usize);
                let line: Vec<char> = known.map_or(vec!['q'], |found| found.2.chars().collect());
                let from = rng.below(line.len() as u64 + 1) as usize;
                let len = rng.below(25) as usize;
                vec![text(&line[from..].iter().take(len).collect::<String>())]
            }
            10 => vec![text(pick(rng, &["-", " 00", "0x", "ü", "\n", "worker-", ":", "."]))],
            _ => vec![regex("^$|^x+$|[0-9]{5}")],
        };
        LineFilter { negated: rng.below(4) == 0, any_of }
    }

    fn expected(&self, scan: &LogScan) -> Vec<Found> {
        let mut found: Vec<Found> = self
            .model
            .entries
            .iter()
            .filter(|found| passes(scan, found) && !self.is_hidden(found))
            .cloned()
            .collect();
        found.sort_by_key(|found| found.1);
        if scan.direction == Direction::Backward {
            found.reverse();
        }
        found
    }

    fn check_scan(&self) {
        let mut scan = self.scan_of();
        let mut sink = Collect::default();
        if self.rng.below(2) == 0 {
            let fields = Arc::new(TestFields::new(self.rng.below(2) == 0));
            scan.fields = Some(Arc::clone(&fields) as Arc<dyn FieldFinder>);
            scan.wants_fields = self.rng.below(2) == 0;
            sink.fields = Some(fields);
        }
        self.store().scan(&ctx(), &scan, &mut sink).unwrap();
        let mut expected = self.expected(&scan);
        if let Some(fields) = &sink.fields {
            // Whether a name is metadata is known of a block as a whole: such entries may be kept, and drop out here.
            let is_dropped =
                |found: &Found| fields.drops(&found.2, |name| found.0.contains(&format!("{name}=")));
            sink.found.retain(|found| !is_dropped(found));
            expected.retain(|found| !is_dropped(found));
        }
        let seed = self.seed;
        let limit = scan.limit.unwrap_or(usize::MAX).min(expected.len());
        assert_eq!(sink.found.len(), limit, "seed {seed}: {scan:?}");
        if scan.limit.is_some() {
            let times = |found: &[Found]| found.iter().map(|found| found.1).collect::<Vec<_>>();
            assert_eq!(times(&sink.found), times(&expected[..limit]), "seed {seed}: {scan:?}");
        }
        // Entries at one time may come in any order, so what is at the limit's edge may differ: all must be expected ones.
        let (mut found, mut expected) = (sink.found, expected);
        found.sort();
        expected.sort();
        if limit == expected.len() {
            assert_eq!(found, expected, "seed {seed}: {scan:?}");
        } else {
            assert!(found.iter().all(|found| expected.binary_search(found).is_ok()), "seed {seed}: {scan:?}");
        }
    }

    fn check_counts(&self) {
        let mut scan = self.scan_of();
        let start = START - 1000 * SECOND + self.rng.below(1000 * SECOND as u64) as i64;
        let width = 1 + self.rng.below(900 * SECOND as u64) as i64;
        let buckets =
            CountBuckets { start, width, buckets: self.rng.below(8) as usize, bytes: self.rng.below(2) == 0 };
        scan.count = Some(buckets);
        let mut sink = Collect::default();
        self.store().scan(&ctx(), &scan, &mut sink).unwrap();
        let (mut counts, mut bytes) = (vec![0; buckets.buckets], vec![0; buckets.buckets]);
        for found in self.expected(&scan) {
            let idx = (found.1 - start).div_euclid(width);
            if (0..buckets.buckets as i64).contains(&idx) {
                counts[idx as usize] += 1;
                bytes[idx as usize] += found.2.len() as u64;
            }
        }
        sink.counts.resize(buckets.buckets, 0);
        assert_eq!(sink.counts, counts, "seed {}: {scan:?}", self.seed);
        if buckets.bytes {
            sink.bytes.resize(buckets.buckets, 0);
            assert_eq!(sink.bytes, bytes, "seed {}: {scan:?}", self.seed);
        }
    }

    /// Takes over what survived a stop: everything that had to, and nothing that was never sent.
    fn settle(&mut self, power_lost: bool) {
        let scan = LogScan { matchers: vec![], limit: None, ..everything() };
        let mut sink = Collect::default();
        self.store().scan(&ctx(), &scan, &mut sink).unwrap();
        let mut found = sink.found;
        found.sort();
        let seed = self.seed;
        assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}: an entry is there twice");
        for entry in &self.model.entries {
            let may_go = (power_lost && self.unsynced.contains(entry)) || self.is_hidden(entry);
            let there = may_go || found.binary_search(entry).is_ok();
            assert!(
                there,
                "seed {seed}: {entry:?} is gone, power lost: {power_lost}, {:?}",
                self.options.wal.sync
            );
        }
        for entry in &found {
            let known = self.model.entries.contains(entry) || self.unsure.contains(entry);
            assert!(known, "seed {seed}: {entry:?} was invented");
        }
        self.model.entries = found;
        self.unsynced.clear();
        self.unsure.clear();
    }

    fn restart(&mut self) {
        let power_lost = self.rng.below(2) == 0;
        let fs = if power_lost { self.fs.crash() } else { self.fs.kill() };
        self.store = None;
        self.fs = fs;
        if self.rng.below(3) == 0 {
            let stop_after = Some(1 + self.rng.below(10));
            self.fs.set_faults(SimFaults { stop_after, ..SimFaults::default() });
            drop(self.try_open());
            self.fs = self.fs.kill();
        }
        self.open();
        self.sync_deletions();
        self.settle(power_lost && self.options.wal.sync == SyncPolicy::Deferred);
    }

    fn is_hidden(&self, found: &Found) -> bool {
        self.deletions.iter().any(|(_, scan)| passes(scan, found))
    }

    fn delete(&mut self) {
        let scan = self.scan_of();
        let matcher = |matcher: &CompiledMatcher| matcher.matcher().clone();
        let spec = DeleteSpec {
            query: String::new(),
            matchers: scan.matchers.iter().map(matcher).collect(),
            line_filters: scan.line_filters.clone(),
            metadata_filters: scan.metadata_filters.iter().map(|filter| matcher(&filter.matcher)).collect(),
            start: scan.start,
            end: scan.end,
            apply_after: self.clock.now_ns() + self.rng.below(3 * SECOND as u64) as i64,
            tests_query: false,
        };
        self.deleted = true;
        if let Ok(id) = self.store().request_delete(&ctx().tenant, spec) {
            self.deletions.push((id, scan));
        } else {
            // Whether it was kept is only known after a restart, which forgets what is hidden.
            self.restart();
        }
    }

    /// Forgets requests that are done, with what they have removed; learns of those that were kept though they had failed.
    fn sync_deletions(&mut self) {
        let requests = self.store().delete_requests(&ctx().tenant);
        let pending: Vec<_> = requests.into_iter().filter(|request| !request.done).collect();
        let done: Vec<LogScan> = {
            let is_pending = |id: u64| pending.iter().any(|request| request.id == id);
            self.deletions.iter().filter(|(id, _)| !is_pending(*id)).map(|(_, scan)| scan.clone()).collect()
        };
        let kept = |found: &Found| !done.iter().any(|scan| passes(scan, found));
        self.model.entries.retain(kept);
        self.unsynced.retain(kept);
        self.deletions = pending.iter().map(|request| (request.id, scan_for(&request.spec))).collect();
    }

    fn step(&mut self) {
        match self.rng.below(24) {
            0..8 => self.append(),
            8 | 9 => {
                if self.store().flush().is_ok() {
                    self.unsynced.clear();
                }
            }
            10 | 11 => {
                self.clock.advance(Duration::from_secs(1));
                drop(self.store().maintain());
                self.sync_deletions();
            }
            23 if self.rng.below(3) == 0 => self.delete(),
            12 => {
                if self.store().sync().is_ok() {
                    self.unsynced.clear();
                }
            }
            13 => self.restart(),
            14 => {
                let faults = SimFaults {
                    write_errors_per_mille: self.rng.below(60) as u16,
                    sync_errors_per_mille: self.rng.below(100) as u16,
                    stop_after: (self.rng.below(2) == 0).then(|| 1 + self.rng.below(60)),
                    capacity: (self.rng.below(3) == 0).then(|| self.rng.below(100_000)),
                    read_errors_per_mille: 0,
                };
                self.fs.set_faults(faults);
            }
            15 => {
                if self.fs.stopped() {
                    self.restart();
                } else {
                    self.fs.set_faults(SimFaults::default());
                }
            }
            _ => {
                if self.fs.stopped() || !self.unsure.is_empty() {
                    self.restart();
                }
                if self.rng.below(3) == 0 { self.check_counts() } else { self.check_scan() }
            }
        }
    }
}

fn scan_for(spec: &DeleteSpec) -> LogScan {
    let compile = |matcher: &Matcher| CompiledMatcher::new(matcher.clone()).unwrap();
    LogScan {
        matchers: spec.matchers.iter().map(compile).collect(),
        line_filters: spec.line_filters.clone(),
        metadata_filters: spec
            .metadata_filters
            .iter()
            .map(|m| MetadataFilter { matcher: compile(m) })
            .collect(),
        start: spec.start,
        end: spec.end,
        ..everything()
    }
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

fn passes(scan: &LogScan, found: &Found) -> bool {
    let (labels, timestamp, line, metadata) = found;
    let label = |name: &str| {
        let from = labels.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
        from.split('"').next().unwrap_or("").to_owned()
    };
    let value = |name: &str| metadata.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let op = |op: &LineFilterOp| match op {
        LineFilterOp::Contains(text) => line.contains(&**text),
        LineFilterOp::Regex(regex) => regex.is_match(line),
        LineFilterOp::Pattern(_) => {
            let rest = line.strip_prefix("GET ").and_then(|rest| rest.split_once(" HTTP/1.1 200 "));
            rest.is_some_and(|(path, size)| !path.is_empty() && !size.is_empty())
        }
    };
    (scan.start..scan.end).contains(timestamp)
        && scan.matchers.iter().all(|matcher| matcher.matches(&label(matcher.name())))
        && scan.line_filters.iter().all(|filter| filter.any_of.iter().any(op) != filter.negated)
        && scan.metadata_filters.iter().all(|f| f.matcher.matches(value(f.matcher.name())))
}

#[derive(Default)]
struct Collect {
    fields: Option<Arc<TestFields>>,
    found: Vec<Found>,
    counts: Vec<u64>,
    bytes: Vec<u64>,
}

impl ScanSink for Collect {
    fn batch(&mut self, batch: &ScanBatch<'_>) -> Result<SinkFlow, LogStorageError> {
        assert!(batch.residual_filters == 0 && batch.metadata_filtered);
        if let Some(fields) = &self.fields {
            fields.check(batch);
        }
        for (idx, timestamp) in batch.timestamps.iter().enumerate() {
            let line = batch.lines.line(idx)?.into_owned();
            let metadata = batch.lines.metadata(idx)?.into_owned();
            self.found.push((batch.stream.labels.to_string(), *timestamp, line, metadata));
        }
        add(&mut self.counts, batch.counts);
        add(&mut self.bytes, batch.bytes);
        Ok(SinkFlow::Continue)
    }
}

fn add(sums: &mut Vec<u64>, counts: &[u64]) {
    sums.resize(sums.len().max(counts.len()), 0);
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

#[test]
fn scans_equal_brute_force_over_stops_flushes_and_merges() {
    let seeds = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None if std::env::var_os("SLOW_TESTS").is_some() => 0..2000u64,
        None => 0..12,
    };
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..80 {
            world.step();
        }
        world.fs.set_faults(SimFaults::default());
        world.restart();
        for _ in 0..10 {
            world.check_scan();
            world.check_counts();
        }
    }
}
