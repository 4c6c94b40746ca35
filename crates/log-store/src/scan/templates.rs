//! Counting lines by their template: blocks know theirs, so that no line of theirs is put together.

use std::collections::BTreeMap;

use go_regex::CompiledMatcher;
use hashbrown::HashMap;
use log_storage_api::{Direction, LogScan, LogStorageError, ScanStats};
use model::TimestampNs;
use resources::RequestContext;

use super::source::{OpenSource, Source};
use super::{Plan, Selected, find_sources};
use crate::block::lines::{is_slot, tokenize};
use crate::error::{BlockError, Result, corrupt};
use crate::filter::LineFilters;
use crate::store::DiskLogStore;

/// Which lines to count, and how.
#[derive(Clone, Debug)]
pub struct TemplateQuery {
    /// On stream labels; all must hold.
    pub matchers: Vec<CompiledMatcher>,
    /// The first nanosecond, where the first bucket begins.
    pub start: TimestampNs,
    /// The nanosecond after the last.
    pub end: TimestampNs,
    /// The width of a bucket in ns; > 0.
    pub width: i64,
    /// A name of structured metadata: lines are counted apart by its value.
    pub by: String,
    /// No more templates are counted apart.
    pub templates_max: usize,
}

/// Lines counted by template.
#[derive(Clone, Debug, Default)]
pub struct TemplateCounts {
    /// In no order.
    pub templates: Vec<TemplateCount>,
    /// Lines of further templates.
    pub others: u64,
    /// What it has cost.
    pub stats: ScanStats,
}

/// Lines of one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateCount {
    key: Box<[u8]>,
    /// The value of the structured metadata that was asked for; "" for none.
    pub value: String,
    /// The buckets that have lines, in order, with how many.
    pub counts: Vec<(u32, u64)>,
}

impl TemplateCount {
    /// The template with a mark in place of what varies from line to line.
    pub fn text(&self, mark: &str) -> String {
        let mut text = Vec::with_capacity(self.key.len() + 16);
        let mut was_slot = false;
        for byte in &self.key {
            let slot = is_slot(*byte);
            if !slot {
                text.push(*byte);
            } else if !was_slot {
                text.extend_from_slice(mark.as_bytes());
            }
            was_slot = slot;
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl DiskLogStore {
    /// Counts lines by template. Blocks.
    ///
    /// # Errors
    /// Where files cannot be read, or the request's time or memory is over.
    pub fn templates(&self, ctx: &RequestContext, query: &TemplateQuery) -> Result<TemplateCounts> {
        if query.width <= 0 {
            return Err(corrupt("template counts", "the width must be positive"));
        }
        let (sources, deletions) = find_sources(self, ctx, &[&query.matchers], query.start, query.end)?;
        let scan = scan_of(query);
        let (filters, fields) = (LineFilters::new(&[]), None);
        let plan = Plan { store: self, ctx, scan: &scan, filters, fields, deletions };
        let (mut found, mut stats) = (TemplateCounts::default(), ScanStats::default());
        let mut merged = Merged { query, counts: HashMap::new(), others: 0 };
        let mut memory = ctx.memory.reserve(0)?;
        for sources in sources.chunks(plan.at_once()) {
            let work = |source: &Source, stats: &mut ScanStats| count(&plan, query, source, stats);
            for of_source in plan.each(sources, &mut stats, work)? {
                memory.grow(merged.add(of_source))?;
            }
        }
        found.others = merged.others;
        found.stats = stats;
        found.templates = merged
            .counts
            .into_iter()
            .flat_map(|(key, values)| {
                values.into_iter().map(move |(value, counts)| TemplateCount {
                    key: key.clone(),
                    value,
                    counts: counts.into_iter().collect(),
                })
            })
            .collect();
        Ok(found)
    }
}

fn scan_of(query: &TemplateQuery) -> LogScan {
    LogScan {
        matchers: query.matchers.clone(),
        start: query.start,
        end: query.end,
        direction: Direction::Forward,
        limit: None,
        line_filters: Vec::new(),
        metadata_filters: Vec::new(),
        wants_lines: true,
        wants_metadata: true,
        fields: None,
        wants_fields: false,
        count: None,
    }
}

type Counts = BTreeMap<u32, u64>;

/// Counts of all sources so far, by template and value.
struct Merged<'a> {
    query: &'a TemplateQuery,
    counts: HashMap<Box<[u8]>, BTreeMap<String, Counts>>,
    others: u64,
}

impl Merged<'_> {
    /// Adds a source's counts; returns how many bytes more they take.
    fn add(&mut self, found: Found) -> u64 {
        let mut bytes = 0;
        let total =
            |values: &BTreeMap<String, Counts>| values.values().flat_map(BTreeMap::values).sum::<u64>();
        // Where there is no room for all, the most frequent are kept, whatever order hashing gives.
        let mut of_source: Vec<_> = found.counts.into_iter().collect();
        of_source.sort_by(|a, b| total(&b.1).cmp(&total(&a.1)).then_with(|| a.0.cmp(&b.0)));
        for (key, of_values) in of_source {
            if !self.counts.contains_key(&key) {
                if self.counts.len() >= self.query.templates_max {
                    self.others += total(&of_values);
                    continue;
                }
                bytes += key.len() as u64 + 128;
                self.counts.insert(key.clone(), BTreeMap::new());
            }
            let Some(known) = self.counts.get_mut(&key) else { continue };
            for (value, counts) in of_values {
                let sums = known.entry(value).or_default();
                let before = sums.len();
                for (bucket, count) in counts {
                    *sums.entry(bucket).or_default() += count;
                }
                bytes += (sums.len() - before) as u64 * 32;
            }
        }
        bytes
    }
}

/// Counts of one source.
#[derive(Default)]
struct Found {
    counts: HashMap<Box<[u8]>, BTreeMap<String, Counts>>,
}

fn count(
    plan: &Plan<'_>,
    query: &TemplateQuery,
    source: &Source,
    stats: &mut ScanStats,
) -> std::result::Result<Found, LogStorageError> {
    let Some(Selected { open, rows, .. }) = plan.select(source, stats)? else { return Ok(Found::default()) };
    match count_rows(query, &open, &rows) {
        Ok(found) => Ok(found),
        Err(error) => plan.forgive(source, error, stats).map(|()| Found::default()),
    }
}

fn count_rows(
    query: &TemplateQuery,
    open: &OpenSource,
    rows: &[u32],
) -> std::result::Result<Found, BlockError> {
    let mut found = Found::default();
    let times = open.times()?;
    let values = open.metadata_values(&query.by)?;
    let templated = open.templated()?;
    let numbers = templated.map(|lines| lines.template_numbers()).transpose()?;
    // By number of the template; rows are in order of time, so that one bucket follows the other.
    let mut counts: HashMap<(u16, &str), u64> = HashMap::new();
    let mut bucket = None;
    let flush = |bucket: Option<u32>, counts: &mut HashMap<(u16, &str), u64>, found: &mut Found| {
        for ((number, value), count) in counts.drain() {
            let key = templated.and_then(|lines| lines.template_key(number));
            if let (Some(bucket), Some(key)) = (bucket, key) {
                found.add(key, value, bucket, count);
            }
        }
    };
    let (mut tokens, mut key) = (Vec::new(), Vec::new());
    for row in rows {
        let row = *row as usize;
        let now = bucket_of(query, times[row]);
        if now != bucket {
            flush(bucket, &mut counts, &mut found);
            bucket = now;
        }
        let Some(now) = now else { continue };
        let value = values.get(&query.by, row);
        match numbers.map_or(0, |numbers| numbers[row]) {
            0 => {
                open.with_line(row, |line| tokenize(line.as_bytes(), &mut tokens, &mut key))?;
                found.add(&key, value, now, 1);
            }
            number => *counts.entry((number, value)).or_default() += 1,
        }
    }
    flush(bucket, &mut counts, &mut found);
    Ok(found)
}

impl Found {
    fn add(&mut self, key: &[u8], value: &str, bucket: u32, count: u64) {
        let of_key = match self.counts.get_mut(key) {
            Some(known) => known,
            None => self.counts.entry(key.into()).or_default(),
        };
        let counts = match of_key.get_mut(value) {
            Some(known) => known,
            None => of_key.entry(value.to_owned()).or_default(),
        };
        *counts.entry(bucket).or_default() += count;
    }
}

fn bucket_of(query: &TemplateQuery, timestamp: TimestampNs) -> Option<u32> {
    u32::try_from((i128::from(timestamp) - i128::from(query.start)) / i128::from(query.width)).ok()
}
