//! A log reader over lines in memory, as simple as the interface allows: what a real store is compared with.

use std::borrow::Cow;
use std::sync::Arc;

use go_regex::CompiledMatcher;
use log_storage_api::{
    Direction, FieldColumn, FieldVerdict, LineFilter, LineFilterOp, LogReader, LogScan, LogStorageError,
    PatternPart, ScanBatch, ScanLines, ScanSink, ScanStats, SinkFlow, StreamInfo, StreamStats,
};
use model::{Labels, LogEntry, TimestampNs};
use resources::RequestContext;

/// Lines by stream. With `filters` it applies line filters and counts itself, without it leaves all to the engine.
#[derive(Debug, Default)]
pub(crate) struct MemoryReader {
    pub(crate) streams: Vec<(Arc<StreamInfo>, Vec<LogEntry>)>,
    pub(crate) filters: bool,
}

impl MemoryReader {
    pub(crate) fn add(&mut self, labels: &Labels, entry: LogEntry) {
        let known = self.streams.iter().position(|(stream, _)| stream.labels == *labels);
        let idx = known.unwrap_or_else(|| {
            let id = self.streams.len() as u128;
            self.streams.push((Arc::new(StreamInfo { id, labels: labels.clone() }), Vec::new()));
            self.streams.len() - 1
        });
        self.streams[idx].1.push(entry);
    }

    fn matching(
        &self,
        matchers: &[CompiledMatcher],
    ) -> impl Iterator<Item = &(Arc<StreamInfo>, Vec<LogEntry>)> {
        self.streams.iter().filter(move |(stream, _)| {
            matchers.iter().all(|matcher| matcher.matches(stream.labels.value(matcher.name())))
        })
    }
}

impl LogReader for MemoryReader {
    fn scan(
        &self,
        _ctx: &RequestContext,
        scan: &LogScan,
        sink: &mut dyn ScanSink,
    ) -> Result<ScanStats, LogStorageError> {
        let mut entries: Vec<(&Arc<StreamInfo>, &LogEntry)> = Vec::new();
        for (stream, lines) in self.matching(&scan.matchers) {
            entries.extend(
                lines.iter().filter(|e| (scan.start..scan.end).contains(&e.timestamp)).map(|e| (stream, e)),
            );
        }
        let mut stats = ScanStats { entries_scanned: entries.len() as u64, ..ScanStats::default() };
        // Counts are only ever of entries that have passed all filters.
        if self.filters || scan.count.is_some() {
            entries.retain(|(_, entry)| scan.line_filters.iter().all(|filter| passes(filter, &entry.line)));
            entries.retain(|(stream, entry)| !fails(scan, stream, entry));
        }
        if let Some(buckets) = scan.count {
            for (stream, _) in self.matching(&scan.matchers) {
                let (mut counts, mut bytes) = (vec![0; buckets.buckets], vec![0; buckets.buckets]);
                for (_, entry) in entries.iter().filter(|(of, _)| Arc::ptr_eq(of, stream)) {
                    let bucket = ((entry.timestamp - buckets.start) / buckets.width) as usize;
                    counts[bucket] += 1;
                    bytes[bucket] += entry.line.len() as u64;
                }
                let bytes = if buckets.bytes { &bytes[..] } else { &[] };
                deliver(sink, stream, &[], (&counts, bytes), 0, &[])?;
            }
            return Ok(stats);
        }
        entries.sort_by_key(|(_, entry)| entry.timestamp);
        if scan.direction == Direction::Backward {
            entries.reverse();
        }
        let residual = if self.filters { 0 } else { scan.line_filters.len() };
        let limit = if residual == 0 { scan.limit.unwrap_or(usize::MAX) } else { usize::MAX };
        for (stream, entry) in entries.into_iter().take(limit) {
            stats.lines_decoded += 1;
            let fields = if self.filters { columns(scan, stream, entry) } else { Vec::new() };
            if deliver(sink, stream, &[entry], (&[], &[]), residual, &fields)? == SinkFlow::Stop {
                break;
            }
        }
        Ok(stats)
    }

    fn streams(
        &self,
        _ctx: &RequestContext,
        selectors: &[Vec<CompiledMatcher>],
        start: TimestampNs,
        end: TimestampNs,
    ) -> Result<Vec<StreamStats>, LogStorageError> {
        let mut found = Vec::new();
        for selector in selectors {
            for (stream, lines) in self.matching(selector) {
                let entries =
                    lines.iter().filter(|entry| (start..end).contains(&entry.timestamp)).count() as u64;
                if entries > 0 {
                    found.push(StreamStats { stream: Arc::clone(stream), chunks: 1, entries, bytes: 0 });
                }
            }
        }
        Ok(found)
    }
}

fn deliver(
    sink: &mut dyn ScanSink,
    stream: &Arc<StreamInfo>,
    entries: &[&LogEntry],
    (counts, bytes): (&[u64], &[u64]),
    residual_filters: usize,
    fields: &[FieldColumn],
) -> Result<SinkFlow, LogStorageError> {
    let timestamps: Vec<TimestampNs> = entries.iter().map(|entry| entry.timestamp).collect();
    sink.batch(&ScanBatch {
        stream,
        timestamps: &timestamps,
        lines: &Entries(entries),
        residual_filters,
        metadata_filtered: true,
        counts,
        bytes,
        fields,
    })
}

struct Entries<'a>(&'a [&'a LogEntry]);

impl ScanLines for Entries<'_> {
    fn line(&self, idx: usize) -> Result<Cow<'_, str>, LogStorageError> {
        Ok(Cow::Borrowed(&self.0[idx].line))
    }

    fn metadata(&self, idx: usize) -> Result<Cow<'_, [(String, String)]>, LogStorageError> {
        Ok(Cow::Borrowed(&self.0[idx].structured_metadata))
    }
}

/// The fields of an entry; an empty column for a name that the stream or the entry has otherwise.
fn columns(scan: &LogScan, stream: &StreamInfo, entry: &LogEntry) -> Vec<FieldColumn> {
    let Some(finder) = &scan.fields else { return Vec::new() };
    let found = finder.find(&entry.line, &[]);
    let names = finder.names().iter().enumerate();
    names
        .map(|(field, name)| {
            let is_metadata = entry.structured_metadata.iter().any(|(known, _)| known == name);
            if is_metadata || stream.labels.get(name).is_some() {
                return FieldColumn::default();
            }
            match &found {
                None => FieldColumn { values: Vec::new(), idx: vec![FieldColumn::UNKNOWN] },
                Some(found) => {
                    let value = found[field].clone().map(|place| entry.line[place].to_owned());
                    FieldColumn { values: vec![value], idx: vec![0] }
                }
            }
        })
        .collect()
}

/// Whether a filter on fields surely drops an entry.
fn fails(scan: &LogScan, stream: &StreamInfo, entry: &LogEntry) -> bool {
    let Some(finder) = &scan.fields else { return false };
    let columns = columns(scan, stream, entry);
    for (filter, field) in finder.filters().iter().enumerate() {
        let Some(value) = columns[*field].values.first() else { return false };
        match finder.verdict(filter, value.as_deref()) {
            FieldVerdict::Passes => {}
            FieldVerdict::Fails => return true,
            FieldVerdict::Unsure => return false,
        }
    }
    false
}

fn passes(filter: &LineFilter, line: &str) -> bool {
    let any = filter.any_of.iter().any(|op| match op {
        LineFilterOp::Contains(text) => line.contains(&**text),
        LineFilterOp::Regex(regex) => regex.is_match(line),
        LineFilterOp::Pattern(parts) => covers(parts, line),
    });
    any != filter.negated
}

/// Tries every length for every wildcard.
fn covers(parts: &[PatternPart], line: &str) -> bool {
    match parts.split_first() {
        None => line.is_empty(),
        Some((PatternPart::Literal(literal), rest)) => {
            line.strip_prefix(&**literal).is_some_and(|tail| covers(rest, tail))
        }
        Some((PatternPart::Wildcard, rest)) => {
            let ends = line.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.into_iter().any(|end| covers(rest, &line[end..]))
        }
    }
}
