//! `tsdb analyze`.

use std::collections::{BTreeMap, BTreeSet};

use ::tsdb::{StoredBlock, block_dirs};
use chunk_encoding::ENCODING_XOR;
use clap::Args;
use model::METRIC_NAME_LABEL;
use service::Failure;

use super::{Directory, failed, matchers, real_fs};
use crate::cli::console::{go_duration, print};

/// `tsdb analyze`
#[derive(Args, Clone, Debug)]
pub struct AnalyzeFlags {
    #[command(flatten)]
    dir: Directory,
    /// The block; the newest by default
    block: Option<String>,
    /// Rows of each list
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Also read all chunks
    #[arg(long)]
    extended: bool,
    /// Only series that match
    #[arg(long = "match", value_name = "SELECTOR", default_value = "")]
    selector: String,
}

/// What a block's index tells.
#[derive(Debug, Default)]
struct Counts {
    series: u64,
    entries: u64,
    /// By label name and by `name=value`: milliseconds of the block that series with it do not cover.
    uncovered_names: BTreeMap<String, u64>,
    uncovered_pairs: BTreeMap<String, u64>,
    pairs: BTreeMap<String, u64>,
    values: BTreeMap<String, BTreeSet<String>>,
    metrics: BTreeMap<String, u64>,
}

impl AnalyzeFlags {
    pub(super) fn run(self) -> Result<(), Failure> {
        let fs = real_fs();
        let dirs = block_dirs(&*fs, &self.dir.path).map_err(failed)?;
        let path = match &self.block {
            Some(block) => self.dir.path.join(block),
            None => dirs.last().cloned().ok_or_else(|| Failure::runtime("no blocks found"))?,
        };
        let block = StoredBlock::open(&*fs, &path).map_err(failed)?;
        let info = block.info();
        let selected = match self.selector.as_str() {
            "" => Vec::new(),
            selector => matchers(selector)?,
        };
        let span = info.max_time.saturating_sub(info.min_time).max(1) as u64;
        let mut counts = Counts::default();
        let counted = block.each_series(&selected, |labels, chunks| {
            counts.add(labels, chunks, span);
            Ok::<(), ::tsdb::Error>(())
        });
        counted.map_err(failed)?;
        let names = if selected.is_empty() { block.label_names().len() } else { counts.values.len() };
        let mut out = format!(
            "Block ID: {}\nDuration: {}\nTotal Series: {}\n",
            info.ulid,
            go_duration(info.max_time - info.min_time),
            info.series
        );
        if !selected.is_empty() {
            out.push_str(&format!("Matcher: {}\n", self.selector));
        }
        out.push_str(&format!("Label names: {names}\n"));
        if !selected.is_empty() {
            out.push_str(&format!("Matched series: {}\n", counts.series));
        }
        out.push_str(&counts.report(self.limit, span));
        print(&out)?;
        if self.extended { print(&chunk_report(&block, &selected)?) } else { Ok(()) }
    }
}

impl Counts {
    fn add(&mut self, labels: &model::Labels, chunks: &[::tsdb::StoredChunk], span: u64) {
        self.series += 1;
        let covered = match (chunks.first(), chunks.last()) {
            (Some(first), Some(last)) => last.max_time.saturating_sub(first.min_time).max(0) as u64,
            _ => 0,
        };
        let uncovered = span.saturating_sub(covered);
        for (name, value) in labels.iter() {
            self.entries += 1;
            let pair = format!("{name}={value}");
            *self.uncovered_names.entry(name.to_owned()).or_default() += uncovered;
            *self.uncovered_pairs.entry(pair.clone()).or_default() += uncovered;
            *self.pairs.entry(pair).or_default() += 1;
            self.values.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
        *self.metrics.entry(labels.value(METRIC_NAME_LABEL).to_owned()).or_default() += 1;
    }

    fn report(&self, limit: usize, span: u64) -> String {
        let share =
            |(key, uncovered): (&String, &u64)| (key.clone(), (*uncovered as f64 / span as f64) as u64);
        let lengths = self
            .values
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(|value| value.len() as u64).sum()));
        let sizes = self.values.iter().map(|(name, values)| (name.clone(), values.len() as u64));
        let own = |(key, count): (&String, &u64)| (key.clone(), *count);
        let lists: [(&str, Vec<(String, u64)>); 6] = [
            ("Label pairs most involved in churning", self.uncovered_pairs.iter().map(share).collect()),
            ("Label names most involved in churning", self.uncovered_names.iter().map(share).collect()),
            ("Most common label pairs", self.pairs.iter().map(own).collect()),
            ("Label names with highest cumulative label value length", lengths.collect()),
            ("Highest cardinality labels", sizes.collect()),
            ("Highest cardinality metric names", self.metrics.iter().map(own).collect()),
        ];
        let mut out = format!(
            "Postings (unique label pairs): {}\nPostings entries (total label pairs): {}\n",
            self.pairs.len(),
            self.entries
        );
        for (title, mut rows) in lists {
            rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            out.push_str(&format!("\n{title}:\n"));
            for (key, count) in rows.iter().filter(|(key, _)| !key.is_empty()).take(limit) {
                out.push_str(&format!("{count} {key}\n"));
            }
        }
        out
    }
}

/// How full chunks are.
fn chunk_report(block: &StoredBlock, selected: &[go_regex::CompiledMatcher]) -> Result<String, Failure> {
    let (mut float_samples, mut float_bytes) = (Vec::new(), Vec::new());
    let (mut samples, mut bytes, mut buckets) = (Vec::new(), Vec::new(), Vec::new());
    let read = block.each_series(selected, |_, chunks| {
        for chunk in chunks {
            let (encoding, data) = block.read_chunk(*chunk)?;
            let count = usize::from(chunk_encoding::xor_sample_count(&data));
            if encoding == ENCODING_XOR {
                float_samples.push(count);
                float_bytes.push(data.len());
                continue;
            }
            samples.push(count);
            bytes.push(data.len());
            let columns = block.samples(*chunk)?;
            let filled = columns.histograms.iter().flatten();
            buckets.push(filled.map(|one| one.positive_buckets.len() + one.negative_buckets.len()).sum());
        }
        Ok::<(), ::tsdb::Error>(())
    });
    read.map_err(failed)?;
    let total = float_samples.len() + samples.len();
    let mut out = "\nCompaction analysis:\n\n".to_owned();
    for (title, values) in [
        ("samples per float chunk", float_samples),
        ("bytes per float chunk", float_bytes),
        ("samples per histogram chunk", samples),
        ("bytes per histogram chunk", bytes),
        ("buckets per histogram chunk", buckets),
    ] {
        out.push_str(&distribution(title, values, total));
    }
    Ok(out)
}

fn distribution(title: &str, mut values: Vec<usize>, total: usize) -> String {
    values.sort_unstable();
    let (Some(least), Some(most)) = (values.first().copied(), values.last().copied()) else {
        return format!("{title}: N/A\n\n");
    };
    let mut step = 10;
    while step < (most - least) / 10 && step <= 10_000 {
        step *= 10;
    }
    let (start, end) = (least - least % step, most - most % step + step);
    let mut rows = vec![0usize; (end - start) / step + 1];
    for value in &values {
        rows[(value - start) / step] += 1;
    }
    let mean = values.iter().sum::<usize>() / values.len();
    let mut out = format!("{title} (min/avg/max): {least}/{mean}/{most}\n");
    let digits = |number: usize| number.to_string().len();
    let (left, right) = (digits(end), digits(end + step));
    let width = digits(rows.iter().copied().max().unwrap_or(0));
    for (nth, count) in rows.iter().enumerate() {
        let (from, to) = (nth * step + start + 1, (nth + 1) * step + start);
        let bar = "#".repeat(100 * count / total.max(1));
        out.push_str(&format!("[{from:left$}, {to:right$}]: {count:width$} {bar}\n"));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_their_buckets() {
        assert_eq!(distribution("x", Vec::new(), 0), "x: N/A\n\n");
        let text = distribution("x", vec![3, 12, 13], 3);
        let bar = |count: usize| "#".repeat(count);
        let expected = format!(
            "x (min/avg/max): 3/9/13\n[ 1, 10]: 1 {}\n[11, 20]: 2 {}\n[21, 30]: 0 \n\n",
            bar(33),
            bar(66)
        );
        assert_eq!(text, expected);
    }
}
