//! The two text formats.

use std::fmt::Write;

use crate::collect::{Collected, Kind, Sample};
use crate::number::{format_bound, format_number};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that a scraper's `Accept` header asks for.
    pub fn from_accept(accept: &str) -> Self {
        let quality = |part: &str| -> f64 {
            let given = part.split(';').find_map(|field| field.trim().strip_prefix("q="));
            given.and_then(|q| q.trim().parse().ok()).unwrap_or(1.0)
        };
        let (mut open_metrics, mut other) = (0.0, 0.0);
        for part in accept.split(',') {
            let slot = match part.split(';').next().unwrap_or("").trim() {
                "application/openmetrics-text" => &mut open_metrics,
                "text/plain" | "text/*" | "*/*" => &mut other,
                _ => continue,
            };
            *slot = quality(part).max(*slot);
        }
        if open_metrics > 0.0 && open_metrics >= other { Self::OpenMetrics } else { Self::Prometheus }
    }
}

pub(crate) fn render(families: &[Collected], format: Format) -> String {
    let mut out = String::with_capacity(families.len() * 128);
    for family in families {
        render_family(&mut out, family, format);
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn render_family(out: &mut String, family: &Collected, format: Format) {
    let (mut name, mut kind) = (family.name.as_str(), family.kind.as_str());
    if format == Format::OpenMetrics && family.kind == Kind::Counter {
        // A counter without the suffix that OpenMetrics asks for has no type there.
        match name.strip_suffix("_total") {
            Some(base) => name = base,
            None => kind = "unknown",
        }
    }
    let help = escape(&family.help, format == Format::OpenMetrics);
    // Writing to a String never fails.
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
    for (labels, sample) in &family.samples {
        let mut line = |suffix: &str, extra: Option<(&str, &str)>, value: &str| {
            out.push_str(&family.name);
            out.push_str(suffix);
            write_labels(out, labels, extra);
            out.push(' ');
            out.push_str(value);
            out.push('\n');
        };
        let fraction = format == Format::OpenMetrics;
        match sample {
            Sample::Number(value) => line("", None, &format_number(*value)),
            Sample::Histogram { buckets, sum } => {
                for (bound, count) in buckets {
                    line("_bucket", Some(("le", &format_bound(*bound, fraction))), &count.to_string());
                }
                line("_sum", None, &format_number(*sum));
                line("_count", None, &buckets.last().map_or(0, |(_, count)| *count).to_string());
            }
            Sample::Summary { quantiles, sum, count } => {
                for (quantile, value) in quantiles {
                    let quantile = format_bound(*quantile, fraction);
                    line("", Some(("quantile", &quantile)), &format_number(*value));
                }
                line("_sum", None, &format_number(*sum));
                line("_count", None, &count.to_string());
            }
        }
    }
}

fn write_labels(out: &mut String, labels: &[(String, String)], extra: Option<(&str, &str)>) {
    let own = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut separator = '{';
    for (name, value) in own.chain(extra) {
        out.push(separator);
        separator = ',';
        write!(out, "{name}=\"{}\"", escape(value, true)).ok();
    }
    if separator == ',' {
        out.push('}');
    }
}

fn escape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out
}
