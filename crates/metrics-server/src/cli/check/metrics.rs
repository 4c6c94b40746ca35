//! `check metrics`: the standard input as a scrape, its style and what costs most in it.

use std::collections::BTreeMap;

use clap::Args;
use exposition::{Entry, Format, MetadataKind, ParseOptions, Parser};
use model::{LabelsBuilder, METRIC_NAME_LABEL, MetricType};
use service::Failure;

use super::lint::problems;
use crate::cli::console::{FAILED, LINT, complain, print, read_input};

const INPUT_BYTES_MAX: u64 = 1 << 30;

/// `check metrics`
#[derive(Args, Clone, Debug)]
pub struct MetricsFlags {
    /// Show how many series each metric has
    #[arg(long)]
    extended: bool,
    /// Checks of style
    #[arg(long, default_value = "all", value_parser = ["all", "none"])]
    lint: String,
}

/// A metric with all that is said of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Family {
    pub(super) help: Option<String>,
    pub(super) kind: Option<MetricType>,
    pub(super) label_names: std::collections::BTreeSet<String>,
    pub(super) samples: usize,
}

impl MetricsFlags {
    pub(super) fn run(self) -> Result<(), Failure> {
        let has_lint = self.lint != "none";
        if !self.extended && !has_lint {
            complain("error: at least one of --extended or linting must be enabled\n");
            complain("Use --extended for cardinality analysis, or remove --lint=none to enable linting\n");
            return Err(Failure::told(FAILED));
        }
        let families = match families(&read_input(INPUT_BYTES_MAX)?) {
            Ok(families) => families,
            Err(error) => {
                complain(&format!("error while linting: {error}\n"));
                return Err(Failure::told(FAILED));
            }
        };
        let found = if has_lint { problems(&families) } else { Vec::new() };
        for (metric, problem) in &found {
            complain(&format!("{metric} {problem}\n"));
        }
        if self.extended {
            print(&cardinality(&families))?;
        }
        if found.is_empty() { Ok(()) } else { Err(Failure::told(LINT)) }
    }
}

/// The families of a body in the text format, or in OpenMetrics where it ends as such.
fn families(body: &[u8]) -> Result<BTreeMap<String, Family>, exposition::ExpositionError> {
    let is_open_metrics = body.trim_ascii_end().ends_with(b"# EOF");
    let format = if is_open_metrics { Format::OpenMetrics100 } else { Format::Text004 };
    let mut parser = Parser::new(body, format, ParseOptions::default());
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut labels = LabelsBuilder::new();
    while let Some(entry) = parser.next_entry()? {
        match entry {
            Entry::Metadata { family, kind } => {
                let entry = families.entry(family.into_owned()).or_default();
                match kind {
                    MetadataKind::Help(help) => entry.help = Some(help.into_owned()),
                    MetadataKind::Type(kind) => entry.kind = Some(kind),
                    MetadataKind::Unit(_) => {}
                }
            }
            Entry::Sample(sample) => {
                sample.series.labels(&mut labels)?;
                let name = labels.get(METRIC_NAME_LABEL).unwrap_or_default();
                let family = families.entry(family_of(&families, name).to_owned()).or_default();
                family.samples += 1;
                let names = labels.iter().map(|(name, _)| name).filter(|name| *name != METRIC_NAME_LABEL);
                family.label_names.extend(names.map(str::to_owned));
            }
            Entry::Histogram(_) => {}
        }
    }
    // What is only described is no metric.
    families.retain(|_, family| family.samples > 0);
    Ok(families)
}

/// The family that a sample belongs to: that of its name without what its type adds.
fn family_of<'a>(families: &BTreeMap<String, Family>, name: &'a str) -> &'a str {
    let kind_of = |name: &str| families.get(name).and_then(|family| family.kind);
    for suffix in ["_bucket", "_count", "_sum", "_total", "_created", "_info"] {
        let Some(base) = name.strip_suffix(suffix) else { continue };
        let belongs = match kind_of(base) {
            Some(MetricType::Histogram | MetricType::GaugeHistogram) => suffix != "_total",
            Some(MetricType::Summary) => !matches!(suffix, "_bucket" | "_total"),
            // Only OpenMetrics names a counter's family without its end.
            Some(MetricType::Counter) => matches!(suffix, "_total" | "_created"),
            Some(MetricType::Info) => suffix == "_info",
            _ => false,
        };
        if belongs && !families.contains_key(name) {
            return base;
        }
    }
    name
}

/// A table of what each metric costs, the dearest first.
fn cardinality(families: &BTreeMap<String, Family>) -> String {
    let total: usize = families.values().map(|family| family.samples).sum();
    let mut rows: Vec<(&str, usize)> =
        families.iter().map(|(name, family)| (name.as_str(), family.samples)).collect();
    rows.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    let mut cells = vec![["Metric", "Cardinality", "Percentage"].map(str::to_owned)];
    cells.extend(rows.iter().map(|(name, samples)| {
        let share = *samples as f64 / total.max(1) as f64 * 100.0;
        [(*name).to_owned(), samples.to_string(), format!("{share:.2}%")]
    }));
    cells.push(["Total".to_owned(), total.to_string(), "100%".to_owned()]);
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0) + 4;
    let (first, second, third) = (width(0), width(1), width(2));
    cells.iter().map(|[a, b, c]| format!("{a:first$}{b:second$}{c:third$}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_belong_to_their_family() {
        let body = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n# HELP other_count x\nother_count 1\n";
        let families = families(body.as_bytes()).expect("valid");
        let counts: Vec<_> = families.iter().map(|(name, family)| (name.as_str(), family.samples)).collect();
        assert_eq!(counts, [("h", 3), ("other_count", 1)]);
        assert!(cardinality(&families).starts_with("Metric         Cardinality    Percentage    \nh"));
    }
}
