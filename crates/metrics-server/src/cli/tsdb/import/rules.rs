//! `tsdb create-blocks-from rules`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::tsdb::write_block;
use clap::Args;
use http_client::Url;
use metric_storage_api::SampleColumns;
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, TimestampMs, parse_duration_ms, parse_float};
use rules::{GroupSpec, RuleSpec};
use serde_json::Value;
use service::Failure;

use super::{BLOCK_MS, failed, real_fs};
use crate::cli::client::{Client, ClientFlags, parse_server};
use crate::cli::console::{now_ms, parse_time, print};
use crate::config::rule_file;

/// Samples younger than this may still lie in the server's head, and the blocks would overlap it.
const DEFAULT_AGE_MS: i64 = 3 * 3_600_000;

/// `tsdb create-blocks-from rules`
#[derive(Args, Clone, Debug)]
pub struct RulesFlags {
    /// Rule files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The server that has the data
    #[arg(long, value_name = "URL", default_value = "http://localhost:9090", value_parser = parse_server)]
    url: Url,
    /// From when, as seconds since the epoch or RFC 3339
    #[arg(long)]
    start: String,
    /// Until when; 3 hours ago by default
    #[arg(long)]
    end: Option<String>,
    /// Where the blocks go
    #[arg(long = "output-dir", value_name = "DIR", default_value = "data/")]
    output: PathBuf,
    /// How often rules are evaluated whose group does not say
    #[arg(long = "eval-interval", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    interval_ms: i64,
    #[command(flatten)]
    client: ClientFlags,
}

fn duration(text: &str) -> Result<i64, String> {
    match parse_duration_ms(text) {
        Ok(ms) if ms > 0 => Ok(ms),
        Ok(_) => Err("must be above 0".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Samples by series and time.
type Recorded = BTreeMap<Labels, BTreeMap<TimestampMs, f64>>;

impl RulesFlags {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let start = parse_time(&self.start)?;
        let end = match &self.end {
            Some(end) => parse_time(end)?,
            None => now_ms() - DEFAULT_AGE_MS,
        };
        if start >= end {
            return Err(Failure::runtime("start time is not before end time"));
        }
        let mut groups = Vec::new();
        for file in &self.files {
            groups.extend(rule_file::load(file, false).map_err(Failure::runtime)?.file.groups);
        }
        let client = Client::new(self.url.clone(), &self.client)?;
        let fs = real_fs();
        fs.create_dir_all(&self.output).map_err(Failure::runtime)?;
        let mut from = start;
        while from <= end {
            let until = ((from.div_euclid(BLOCK_MS) + 1) * BLOCK_MS - 1).min(end);
            let mut recorded = Recorded::new();
            for group in &groups {
                for rule in group.rules.iter().filter(|rule| rule.record.is_some()) {
                    self.record(&client, group, rule, (from, until), &mut recorded).await?;
                }
            }
            let columns = recorded.into_iter().map(|(labels, samples)| {
                let (timestamps, values) = samples.into_iter().unzip();
                (labels, SampleColumns { timestamps, values, ..SampleColumns::default() })
            });
            let series = columns.collect();
            if let Some(dir) = write_block(&fs, &self.output, &series, now_ms()).map_err(failed)? {
                print(&format!("{}: {} series\n", dir.display(), series.len()))?;
            }
            from = until + 1;
        }
        Ok(())
    }

    /// Asks for what a rule would have recorded from the first to the last millisecond of a range.
    async fn record(
        &self,
        client: &Client,
        group: &GroupSpec,
        rule: &RuleSpec,
        (from, until): (TimestampMs, TimestampMs),
        recorded: &mut Recorded,
    ) -> Result<(), Failure> {
        let step = group.interval_ms.filter(|ms| *ms > 0).unwrap_or(self.interval_ms);
        // Evaluations lie on multiples of the interval, whatever the blocks are.
        let first = (from + step - 1).div_euclid(step) * step;
        if first > until {
            return Ok(());
        }
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
        let params = [
            ("query", rule.expr.clone()),
            ("start", seconds(first)),
            ("end", seconds(until)),
            ("step", seconds(step)),
        ];
        let data = client.ask("api/v1/query_range", &params).await?;
        for row in data["result"].as_array().into_iter().flatten() {
            let labels = labels_of(row, group, rule);
            let samples = recorded.entry(labels).or_default();
            for point in row["values"].as_array().into_iter().flatten() {
                let time = point[0].as_f64().map(|seconds| (seconds * 1000.0).round() as TimestampMs);
                let value = point[1].as_str().and_then(parse_float);
                if let (Some(time), Some(value)) = (time, value) {
                    samples.insert(time, value);
                }
            }
        }
        Ok(())
    }
}

fn labels_of(row: &Value, group: &GroupSpec, rule: &RuleSpec) -> Labels {
    let mut labels = LabelsBuilder::new();
    for (name, value) in row["metric"].as_object().into_iter().flatten() {
        labels.set(name, value.as_str().unwrap_or_default());
    }
    for (name, value) in group.labels.iter().chain(&rule.labels) {
        labels.set(name, value);
    }
    labels.set(METRIC_NAME_LABEL, rule.record.as_deref().unwrap_or_default());
    labels.build()
}
