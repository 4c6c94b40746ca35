//! `query analyze`: how many buckets of histograms hold anything, over time.

use std::collections::{BTreeMap, HashSet};

use clap::Args;
use http_client::Url;
use model::parse_duration_ms;
use serde_json::Value;
use service::Failure;

use super::{seconds, shown, time_or};
use crate::cli::client::{Client, ClientFlags, parse_server};
use crate::cli::console::{now_ms, print};

const HEAD: &str = "Bucket stats for each histogram series over time\n\
    ------------------------------------------------\n\
    The fewest, the mean and the most buckets that were in use; where it differs from\n\
    the most, also how many there are in all.\n";
const FOOT: &str = "Aggregated bucket stats\n-----------------------\nEach line is the fewest, the mean and the most over the series above.\n";

/// `query analyze`
#[derive(Args, Clone, Debug)]
pub struct AnalyzeFlags {
    /// The server's URL
    #[arg(long, value_name = "URL", value_parser = parse_server)]
    server: Url,
    /// Kind of metric
    #[arg(long = "type", value_parser = ["histogram"])]
    kind: String,
    /// How far to look back
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    duration: String,
    /// Until when, as seconds since the epoch or RFC 3339; now by default
    #[arg(long)]
    time: Option<String>,
    /// Selector of series, classic ones by their _bucket; may be given several times
    #[arg(long = "match", value_name = "SELECTOR", required = true)]
    selectors: Vec<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Buckets in use over a series' samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usage {
    fewest: usize,
    mean: f64,
    most: usize,
    all: usize,
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{:.3}/{}", self.fewest, self.mean, self.most)?;
        if self.all == self.most { Ok(()) } else { write!(f, "/{}", self.all) }
    }
}

impl Usage {
    /// `None` where fewer than two samples are there.
    fn of(counts: &[usize], all: usize) -> Option<Self> {
        let (fewest, most) = (counts.iter().min()?, counts.iter().max()?);
        let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        (counts.len() > 1).then_some(Self { fewest: *fewest, mean, most: *most, all })
    }
}

impl AnalyzeFlags {
    pub(super) async fn run(self) -> Result<(), Failure> {
        debug_assert_eq!(self.kind, "histogram", "the only kind that is taken");
        let duration_ms = parse_duration_ms(&self.duration)
            .map_err(|error| Failure::usage(format!("--duration: {error}")))?;
        let end = time_or(self.time.as_deref(), "time", now_ms())?;
        let client = Client::new(self.server, &self.client)?;
        print(&format!("{HEAD}\n"))?;
        let (mut native, mut classic) = (Vec::new(), Vec::new());
        for selector in &self.selectors {
            let query = format!("{selector}[{duration_ms}ms]");
            let data = client.ask("api/v1/query", &[("query", query), ("time", seconds(end))]).await?;
            if data["resultType"] != "matrix" {
                return Err(Failure::runtime("query of buckets resulted in no matrix"));
            }
            let empty = Vec::new();
            let rows = data["result"].as_array().unwrap_or(&empty);
            for (name, usage) in rows.iter().filter_map(native_usage) {
                print(&format!("- {name} (native): {usage}\n"))?;
                native.push(usage);
            }
            for (name, usage) in classic_usages(rows) {
                print(&format!("- {name} (classic): {usage}\n"))?;
                classic.push(usage);
            }
        }
        print(&format!("\n{FOOT}"))?;
        for (kind, usages) in [("Native", &native), ("Classic", &classic)] {
            if !usages.is_empty() {
                print(&format!("\n{kind} {}", overall(usages)))?;
            }
        }
        Ok(())
    }
}

fn native_usage(row: &Value) -> Option<(String, Usage)> {
    let histograms = row["histograms"].as_array()?;
    let mut bounds = HashSet::new();
    let mut counts = Vec::new();
    for point in histograms {
        let buckets = point[1]["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
        bounds.extend(buckets.iter().map(|bucket| (bucket[1].to_string(), bucket[2].to_string())));
        counts.push(buckets.len());
    }
    Some((shown::metric(&row["metric"]), Usage::of(&counts, bounds.len())?))
}

/// Buckets of one histogram, by their bound.
type Buckets<'a> = Vec<(f64, &'a [Value])>;

fn classic_usages(rows: &[Value]) -> Vec<(String, Usage)> {
    let mut histograms: BTreeMap<String, Buckets<'_>> = BTreeMap::new();
    for row in rows {
        let Some(values) = row["values"].as_array() else { continue };
        let Some(labels) = row["metric"].as_object() else { continue };
        let is_bucket =
            labels.get("__name__").and_then(Value::as_str).is_some_and(|name| name.ends_with("_bucket"));
        let le = labels.get("le").and_then(Value::as_str).and_then(model::parse_float);
        let Some(le) = le.filter(|_| is_bucket) else { continue };
        let mut rest = labels.clone();
        rest.remove("le");
        histograms.entry(shown::metric(&Value::Object(rest))).or_default().push((le, values));
    }
    let usage = |(name, mut buckets): (String, Buckets<'_>)| {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let samples = buckets.first()?.1.len();
        let value = |bucket: usize, at: usize| -> f64 {
            let text = buckets[bucket].1.get(at).and_then(|point| point[1].as_str());
            text.and_then(model::parse_float).unwrap_or(0.0)
        };
        let in_use = |at: usize| {
            let filled = |bucket: &usize| {
                let below = if *bucket == 0 { 0.0 } else { value(bucket - 1, at) };
                (value(*bucket, at) - below).trunc() != 0.0
            };
            (0..buckets.len()).filter(filled).count()
        };
        let counts: Vec<usize> = (0..samples).map(in_use).collect();
        Some((name, Usage::of(&counts, buckets.len())?))
    };
    histograms.into_iter().filter_map(usage).collect()
}

fn overall(usages: &[Usage]) -> String {
    let line = |name: &str, value: &dyn Fn(&Usage) -> usize| {
        let values: Vec<usize> = usages.iter().map(value).collect();
        let mean = values.iter().sum::<usize>() as f64 / values.len() as f64;
        let (fewest, most) = (values.iter().min().unwrap_or(&0), values.iter().max().unwrap_or(&0));
        format!("- {name}: {fewest}/{mean:.3}/{most}\n")
    };
    let mut out = format!("histogram series ({} in total):\n", usages.len());
    out.push_str(&line("min populated", &|usage| usage.fewest));
    out.push_str(&line("avg populated", &|usage| usage.mean as usize));
    out.push_str(&line("max populated", &|usage| usage.most));
    if usages.iter().any(|usage| usage.all != usage.most) {
        out.push_str(&line("total", &|usage| usage.all));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_buckets_are_counted() {
        let rows = serde_json::json!([
            {"metric": {"__name__": "a_bucket", "le": "1"}, "values": [[1, "1"], [2, "1"]]},
            {"metric": {"__name__": "a_bucket", "le": "+Inf"}, "values": [[1, "1"], [2, "4"]]},
            {"metric": {"__name__": "b", "le": "1"}, "values": [[1, "1"], [2, "1"]]},
        ]);
        let found = classic_usages(rows.as_array().expect("rows"));
        assert_eq!(found, [("a_bucket".to_owned(), Usage { fewest: 1, mean: 1.5, most: 2, all: 2 })]);
        assert_eq!(found[0].1.to_string(), "1/1.500/2");
    }
}
