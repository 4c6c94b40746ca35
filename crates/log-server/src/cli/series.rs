//! `series`, `stats`, `volume`, `volume_range`, `detected-fields`: what a server holds.

use std::collections::{BTreeMap, BTreeSet};

use clap::{ArgAction, Args};
use serde_json::Value;
use service::Failure;

use super::{Output, ServerArgs, TimeArgs, output};

/// `series`
#[derive(Args, Clone, Debug)]
pub struct SeriesArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// Show labels with how many values they have, instead of streams
    #[arg(long = "analyze-labels", action = ArgAction::SetTrue)]
    analyze_labels: bool,
    /// Selector, such as {app="web"}
    #[arg(value_name = "SELECTOR")]
    selector: String,
}

impl SeriesArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut params = self.time.params();
        params.push(("match", self.selector.clone()));
        let (text, answer) = self.server.get_json("/loki/api/v1/series", &params).await?;
        let series = answer["data"].as_array().cloned().unwrap_or_default();
        if self.analyze_labels {
            return output::print(&analysis(&series));
        }
        output::print(&match self.server.output {
            Output::Json => format!("{text}\n"),
            Output::Jsonl => series.iter().map(|labels| format!("{labels}\n")).collect(),
            Output::Default | Output::Raw => {
                let mut lines: Vec<String> =
                    series.iter().map(|labels| format!("{}\n", output::label_text(labels))).collect();
                lines.sort();
                lines.concat()
            }
        })
    }
}

/// For each label how many values it has and in how many streams it is, the largest first.
fn analysis(series: &[Value]) -> String {
    let mut found: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for (name, value) in series.iter().filter_map(Value::as_object).flatten() {
        let (values, streams) = found.entry(name).or_default();
        values.insert(value.as_str().unwrap_or(""));
        *streams += 1;
    }
    let mut rows: Vec<_> = found.into_iter().collect();
    rows.sort_by_key(|(_, (values, _))| std::cmp::Reverse(values.len()));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(10);
    let mut text = format!("Total Streams:  {}\nUnique Labels:  {}\n\n", series.len(), rows.len());
    text.push_str(&format!("{:<width$}  Unique Values  Found In Streams\n", "Label Name"));
    for (name, (values, streams)) in rows {
        text.push_str(&format!("{name:<width$}  {:<13}  {streams}\n", values.len()));
    }
    text
}

/// `stats`
#[derive(Args, Clone, Debug)]
pub struct StatsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// Selector, such as {app="web"}
    #[arg(value_name = "SELECTOR")]
    selector: String,
}

impl StatsArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut params = self.time.params();
        params.push(("query", self.selector.clone()));
        let (text, answer) = self.server.get_json("/loki/api/v1/index/stats", &params).await?;
        let number = |name: &str| answer[name].as_u64().unwrap_or(0);
        output::print(&match self.server.output {
            Output::Json | Output::Jsonl => format!("{text}\n"),
            Output::Default | Output::Raw => format!(
                "{{\n  bytes: {}\n  chunks: {}\n  streams: {}\n  entries: {}\n}}\n",
                model::ByteSize(number("bytes")),
                number("chunks"),
                number("streams"),
                number("entries")
            ),
        })
    }
}

/// `volume` and `volume_range`
#[derive(Args, Clone, Debug)]
pub struct VolumeArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// Most series to show
    #[arg(long = "limit", default_value_t = 30)]
    limit: usize,
    /// Labels to add up by, with commas between them
    #[arg(long = "targetLabels", value_name = "NAMES")]
    target_labels: Option<String>,
    /// Add up by the names of labels instead of series
    #[arg(long = "aggregateByLabels", action = ArgAction::SetTrue)]
    by_labels: bool,
    /// Step of a range
    #[arg(long = "step", value_name = "DURATION")]
    step: Option<String>,
    /// Selector, such as {app="web"}
    #[arg(value_name = "SELECTOR")]
    selector: String,
}

impl VolumeArgs {
    pub(crate) async fn run(self, over_range: bool) -> Result<(), Failure> {
        let mut params = self.time.params();
        params.push(("query", self.selector.clone()));
        params.push(("limit", self.limit.to_string()));
        params.extend(self.target_labels.clone().map(|names| ("targetLabels", names)));
        if self.by_labels {
            params.push(("aggregateBy", "labels".to_owned()));
        }
        let path = if over_range {
            params.extend(self.step.clone().map(|step| ("step", step)));
            "/loki/api/v1/index/volume_range"
        } else {
            "/loki/api/v1/index/volume"
        };
        let (text, answer) = self.server.get_json(path, &params).await?;
        output::print(&match self.server.output {
            Output::Json | Output::Jsonl => format!("{text}\n"),
            Output::Default | Output::Raw => output::points(&answer["data"]),
        })
    }
}

/// `detected-fields`
#[derive(Args, Clone, Debug)]
pub struct DetectedFieldsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// Most fields to show
    #[arg(long = "limit", default_value_t = 100)]
    limit: usize,
    /// Lines to look at
    #[arg(long = "line-limit", default_value_t = 1000)]
    line_limit: usize,
    /// Log query
    #[arg(value_name = "QUERY")]
    query: String,
    /// Field whose values are shown; without it, fields are
    #[arg(value_name = "FIELD")]
    field: Option<String>,
}

impl DetectedFieldsArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut params = self.time.params();
        params.push(("query", self.query.clone()));
        params.push(("limit", self.limit.to_string()));
        params.push(("line_limit", self.line_limit.to_string()));
        let path = match &self.field {
            Some(field) => format!("/loki/api/v1/detected_field/{field}/values"),
            None => "/loki/api/v1/detected_fields".to_owned(),
        };
        let (text, answer) = self.server.get_json(&path, &params).await?;
        if matches!(self.server.output, Output::Json | Output::Jsonl) {
            return output::print(&format!("{text}\n"));
        }
        let values = answer["values"].as_array().into_iter().flatten();
        let mut shown: String = values.map(|value| format!("{}\n", value.as_str().unwrap_or(""))).collect();
        for field in answer["fields"].as_array().into_iter().flatten() {
            let text = |name: &str| field[name].as_str().unwrap_or("").to_owned();
            let count = field["cardinality"].as_u64().unwrap_or(0);
            shown.push_str(&format!(
                "label: {:<30} type: {:<10} cardinality: {count}\n",
                text("label"),
                text("type")
            ));
        }
        output::print(&shown)
    }
}
