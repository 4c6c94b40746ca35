//! `tsdb dump` and `tsdb dump-openmetrics`: blocks and log, as one database.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use ::tsdb::{Environment, ReadOnlyDb};
use clap::{Args, ValueEnum};
use metric_storage_api::{MetricReader, SampleColumns, SelectHints, SelectRequest, SeriesReader};
use model::{Labels, Quoted, TimeRange, TimestampMs};
use resources::{CpuClass, CpuPools, MemoryBudget, RequestContext};
use serde_json::{Map, Value};
use service::Failure;

use super::{ALL_SERIES, Directory, failed, matchers, real_fs};
use crate::cli::console::braced;

/// `tsdb dump`
#[derive(Args, Clone, Debug)]
pub struct DumpFlags {
    #[command(flatten)]
    what: What,
    /// Form of the output
    #[arg(long, default_value = "prom")]
    format: Form,
}

/// `tsdb dump-openmetrics`
#[derive(Args, Clone, Debug)]
pub struct OpenMetricsFlags {
    #[command(flatten)]
    what: What,
}

/// What is written out.
#[derive(Args, Clone, Debug)]
struct What {
    #[command(flatten)]
    dir: Directory,
    /// Where the log is copied to while it is read; the data directory by default
    #[arg(long = "sandbox-dir-root", value_name = "DIR")]
    sandbox: Option<PathBuf>,
    /// The first millisecond
    #[arg(long = "min-time", value_name = "MS", default_value_t = i64::MIN, allow_negative_numbers = true)]
    min_time: TimestampMs,
    /// The last millisecond
    #[arg(long = "max-time", value_name = "MS", default_value_t = i64::MAX, allow_negative_numbers = true)]
    max_time: TimestampMs,
    /// Selector of series; may be given several times
    #[arg(long = "match", value_name = "SELECTOR", default_value = ALL_SERIES)]
    selectors: Vec<String>,
}

/// Forms of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each sample
    Prom,
    /// The labels of each series as JSON
    Seriesjson,
    #[value(skip)]
    OpenMetrics,
}

impl DumpFlags {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.what.dump(self.format)
    }
}

impl OpenMetricsFlags {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.what.dump(Form::OpenMetrics)
    }
}

impl What {
    fn dump(&self, form: Form) -> Result<(), Failure> {
        let dir = &self.dir.path;
        let clock = Arc::new(sys::SystemClock::new());
        let sandbox = self.sandbox.as_ref().unwrap_or(dir);
        let opened = ReadOnlyDb::open(dir, sandbox, Environment::new(real_fs(), clock)).map_err(failed)?;
        let memory = MemoryBudget::unlimited("dump");
        let ctx = RequestContext::internal(CpuClass::Query, CpuPools::inline(), memory);
        let range = TimeRange::new(self.min_time, self.max_time);
        // A series that several selectors name is written once.
        let mut all: BTreeMap<Labels, Arc<dyn SeriesReader>> = BTreeMap::new();
        for selector in &self.selectors {
            let matchers = matchers(selector)?;
            let request = SelectRequest { matchers: &matchers, range, hints: SelectHints::default() };
            let found = opened.db().select(&ctx, &request).map_err(Failure::runtime)?;
            all.extend(found.series.into_iter().map(|series| (series.labels(), series)));
        }
        let mut out = BufWriter::new(std::io::stdout().lock());
        let mut columns = SampleColumns::default();
        for (labels, series) in &all {
            columns.clear();
            series.read(&ctx, range, &mut columns).map_err(Failure::runtime)?;
            if !columns.timestamps.is_empty() {
                write_series(&mut out, labels, &columns, form).map_err(Failure::runtime)?;
            }
        }
        if form == Form::OpenMetrics {
            out.write_all(b"# EOF\n").map_err(Failure::runtime)?;
        }
        out.flush().map_err(Failure::runtime)
    }
}

fn write_series(
    out: &mut dyn Write,
    labels: &Labels,
    columns: &SampleColumns,
    form: Form,
) -> std::io::Result<()> {
    if form == Form::Seriesjson {
        let map: Map<String, Value> =
            labels.iter().map(|(name, value)| (name.to_owned(), Value::String(value.to_owned()))).collect();
        return writeln!(out, "{}", Value::Object(map));
    }
    let shown = match form {
        Form::OpenMetrics => open_metrics_series(labels),
        Form::Prom | Form::Seriesjson => braced(labels),
    };
    for (nth, time) in columns.timestamps.iter().enumerate() {
        let histogram = columns.histograms.get(nth).and_then(Option::as_ref);
        match (form, histogram) {
            // OpenMetrics has no form for native histograms.
            (Form::OpenMetrics, Some(_)) => return Ok(()),
            (Form::OpenMetrics, None) => {
                let (seconds, ms) = (time.div_euclid(1000), time.rem_euclid(1000));
                writeln!(out, "{shown} {} {seconds}.{ms:03}", float(columns.values[nth]))?;
            }
            (_, Some(histogram)) => writeln!(out, "{shown} {histogram} {time}")?,
            (_, None) => writeln!(out, "{shown} {} {time}", float(columns.values[nth]))?,
        }
    }
    Ok(())
}

/// A float as Go's `%g` writes it.
fn float(value: f64) -> String {
    let mut text = String::new();
    exposition::format_g(&mut text, value);
    text
}

/// `name{a="b",c="d"}`; a name that cannot stand before the braces goes into them.
fn open_metrics_series(labels: &Labels) -> String {
    let name = labels.metric_name();
    let is_bare = model::is_legacy_label_name(&name.replace(':', "_"));
    let mut pairs = Vec::new();
    if !is_bare && !name.is_empty() {
        pairs.push(Quoted(name).to_string());
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != model::METRIC_NAME_LABEL) {
        let value = escaped(value);
        pairs.push(match model::is_legacy_label_name(label) {
            true => format!("{label}=\"{value}\""),
            false => format!("{}=\"{value}\"", Quoted(label)),
        });
    }
    format!("{}{{{}}}", if is_bare { name } else { "" }, pairs.join(","))
}

/// The three escapes that OpenMetrics knows, so that what is written can be read back.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
