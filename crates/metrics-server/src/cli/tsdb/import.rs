//! `tsdb create-blocks-from`: history from OpenMetrics files and from recording rules.

mod rules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::tsdb::{StoredBlock, write_block};
use clap::{Args, Subcommand};
use exposition::{Entry, Format, ParseOptions, Parser, SampleEntry};
use metric_storage_api::SampleColumns;
use model::{Labels, LabelsBuilder, TimestampMs};
use service::Failure;

use super::list::table;
use super::{failed, real_fs};
use crate::cli::console::{FAILED, complain, now_ms, parse_pair, print};

/// The span of a block.
const BLOCK_MS: i64 = 2 * 3_600_000;

/// `tsdb create-blocks-from`
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Make blocks of a file in OpenMetrics whose samples all have a time
    Openmetrics(OpenMetricsFlags),
    /// Make blocks of what recording rules would have recorded, as a server answers their queries
    Rules(rules::RulesFlags),
}

/// `tsdb create-blocks-from openmetrics`
#[derive(Args, Clone, Debug)]
pub struct OpenMetricsFlags {
    /// The file
    input: PathBuf,
    /// Where the blocks go
    #[arg(default_value = "data/")]
    output: PathBuf,
    /// Label of all series, as NAME=VALUE; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_pair)]
    labels: Vec<(String, String)>,
    /// Print times and sizes for people
    #[arg(long = "human-readable", short = 'r')]
    human_readable: bool,
    /// Print no table of blocks
    #[arg(long, short = 'q')]
    quiet: bool,
}

impl ImportCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Openmetrics(flags) => flags.run(),
            Self::Rules(flags) => flags.run().await,
        }
    }
}

impl OpenMetricsFlags {
    fn run(self) -> Result<(), Failure> {
        let told = |text: String| {
            complain(&format!("{text}\n"));
            Failure::told(FAILED)
        };
        let fs = real_fs();
        let input =
            fs.map(&self.input).map_err(|error| told(format!("open {}: {error}", self.input.display())))?;
        let times = each_sample(input.bytes(), |sample| timestamp(sample).map(drop))
            .and_then(|()| time_range(input.bytes()))
            .map_err(|error| told(format!("getting min and max timestamp: {error}")))?;
        let Some((first, last)) = times else { return Ok(()) };
        fs.create_dir_all(&self.output).map_err(|error| told(format!("create output dir: {error}")))?;
        let mut from = first.div_euclid(BLOCK_MS) * BLOCK_MS;
        let mut has_head = true;
        while from <= last {
            let (series, next) =
                self.window(input.bytes(), from).map_err(|error| told(format!("block creation: {error}")))?;
            if let Some(dir) = write_block(&fs, &self.output, &series, now_ms()).map_err(failed)?
                && !self.quiet
            {
                told_block(&dir, std::mem::take(&mut has_head), self.human_readable)?;
            }
            // Windows without samples are passed over.
            from = match next {
                Some(next) => next.div_euclid(BLOCK_MS) * BLOCK_MS,
                None => break,
            };
        }
        Ok(())
    }

    /// The samples of one block, and the time of the first sample after it.
    fn window(&self, input: &[u8], from: TimestampMs) -> Result<Window, String> {
        let mut series: BTreeMap<Labels, BTreeMap<TimestampMs, f64>> = BTreeMap::new();
        let mut next: Option<TimestampMs> = None;
        let mut builder = LabelsBuilder::new();
        each_sample(input, |sample| {
            let time = timestamp(sample)?;
            if time >= from + BLOCK_MS {
                next = Some(next.map_or(time, |next| next.min(time)));
            }
            if !(from..from + BLOCK_MS).contains(&time) {
                return Ok(());
            }
            sample.series.labels(&mut builder).map_err(|error| error.to_string())?;
            for (name, value) in &self.labels {
                builder.set(name, value);
            }
            let labels = builder.build();
            let samples = series.entry(labels).or_default();
            match samples.insert(time, sample.value) {
                Some(known) if known.to_bits() != sample.value.to_bits() => {
                    Err(format!("add sample: two values at {time} for {}", builder.build()))
                }
                _ => Ok(()),
            }
        })?;
        let columns = |(labels, samples): (Labels, BTreeMap<TimestampMs, f64>)| {
            let (timestamps, values) = samples.into_iter().unzip();
            (labels, SampleColumns { timestamps, values, ..SampleColumns::default() })
        };
        Ok((series.into_iter().map(columns).collect(), next))
    }
}

/// The series of a block, and the time of the first sample after it.
type Window = (BTreeMap<Labels, SampleColumns>, Option<TimestampMs>);

fn each_sample(
    input: &[u8],
    mut each: impl FnMut(&SampleEntry<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut parser = Parser::new(input, Format::OpenMetrics100, ParseOptions::default());
    while let Some(entry) = parser.next_entry().map_err(|error| format!("parse: {error}"))? {
        if let Entry::Sample(sample) = entry {
            each(&sample)?;
        }
    }
    Ok(())
}

fn time_range(input: &[u8]) -> Result<Option<(TimestampMs, TimestampMs)>, String> {
    let mut range: Option<(TimestampMs, TimestampMs)> = None;
    each_sample(input, |sample| {
        let time = timestamp(sample)?;
        let (first, last) = range.unwrap_or((time, time));
        range = Some((first.min(time), last.max(time)));
        Ok(())
    })?;
    Ok(range)
}

fn timestamp(sample: &SampleEntry<'_>) -> Result<TimestampMs, String> {
    sample.timestamp.ok_or_else(|| {
        let series = String::from_utf8_lossy(sample.series.as_bytes()).into_owned();
        format!("expected timestamp for series {series}, got none")
    })
}

/// Prints a block that has been made.
fn told_block(dir: &Path, has_head: bool, human_readable: bool) -> Result<(), Failure> {
    let block = StoredBlock::open(&*real_fs(), dir).map_err(failed)?;
    print(&table(&[block.info()], has_head, human_readable))
}
