//! Remarks that are collected during evaluation: warnings and infos.

use std::collections::BTreeMap;

use model::format_float;
use promql_syntax::{Quoted, Span, line_and_column};

use crate::value::Annotations;

/// Remarks without duplicates: the same text is kept once, at the place where it came up first.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    found: BTreeMap<String, Note>,
}

#[derive(Clone, Debug)]
struct Note {
    is_warning: bool,
    span: Option<Span>,
    detail: Detail,
}

/// What goes between the text and the place, merged over all occurrences.
#[derive(Clone, Copy, Debug)]
enum Detail {
    None,
    /// How often.
    Occurrences(u64),
    /// What had to be repaired.
    Monotonicity(Monotonicity),
}

/// How much the buckets of a classic histogram were out of order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonicity {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) diff_max: f64,
    pub(crate) samples: u64,
}

/// Between which numbers of histograms something happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: Self) {
        for (text, note) in other.found {
            self.add(text, note);
        }
    }

    /// Adds a warning of the store, which belongs to no place.
    pub(crate) fn storage_warning(&mut self, text: String) {
        self.add(text, Note { is_warning: true, span: None, detail: Detail::None });
    }

    fn add(&mut self, text: String, note: Note) {
        match self.found.get_mut(&text) {
            None => {
                self.found.insert(text, note);
            }
            Some(known) => known.detail = known.detail.merged(note.detail),
        }
    }

    fn warning(&mut self, span: Span, text: impl std::fmt::Display) {
        let note = Note { is_warning: true, span: Some(span), detail: Detail::None };
        self.add(format!("PromQL warning: {text}"), note);
    }

    fn info(&mut self, span: Span, text: impl std::fmt::Display) {
        let note = Note { is_warning: false, span: Some(span), detail: Detail::None };
        self.add(format!("PromQL info: {text}"), note);
    }

    /// The remarks as texts, with places in `query` where that is known.
    pub(crate) fn into_annotations(self, query: Option<&str>) -> Annotations {
        let mut annotations = Annotations::default();
        for (mut text, note) in self.found {
            if let Some(query) = query {
                note.detail.write(&mut text);
                if let Some(span) = note.span {
                    let (line, column) = line_and_column(query, span.start);
                    text.push_str(&format!(" ({line}:{column})"));
                }
            }
            if note.is_warning {
                annotations.warnings.push(text);
            } else {
                annotations.infos.push(text);
            }
        }
        annotations
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, span: Span) {
        let q = short_float(q);
        self.warning(span, format_args!("quantile value should be between 0 and 1, got {q}"));
    }

    pub(crate) fn invalid_ratio(&mut self, ratio: f64, capped: f64, span: Span) {
        let (ratio, capped) = (short_float(ratio), short_float(capped));
        self.warning(
            span,
            format_args!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"),
        );
    }

    pub(crate) fn bad_bucket_label(&mut self, metric: &str, label: &str, span: Span) {
        let (label, metric) = (Quoted(label), for_metric(metric));
        self.warning(
            span,
            format_args!("bucket label \"le\" is missing or has a malformed value of {label}{metric}"),
        );
    }

    pub(crate) fn mixed_floats_histograms(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        self.warning(
            span,
            format_args!("encountered a mix of histograms and floats for metric name {metric}"),
        );
    }

    pub(crate) fn mixed_floats_histograms_aggregation(&mut self, span: Span) {
        self.warning(span, "encountered a mix of histograms and floats for aggregation");
    }

    pub(crate) fn mixed_classic_native(&mut self, metric: &str, span: Span) {
        let metric = for_metric(metric);
        self.warning(span, format_args!("vector contains a mix of classic and native histograms{metric}"));
    }

    pub(crate) fn not_counter_histogram(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        self.warning(span, format_args!("this native histogram metric is not a counter: {metric}"));
    }

    pub(crate) fn not_gauge_histogram(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        self.warning(span, format_args!("this native histogram metric is not a gauge: {metric}"));
    }

    pub(crate) fn mixed_schemas(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        self.warning(
            span,
            format_args!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric}"
            ),
        );
    }

    pub(crate) fn incompatible_layout(&mut self, operator: &str, span: Span) {
        self.warning(
            span,
            format_args!("incompatible bucket layout encountered for binary operator {operator}"),
        );
    }

    pub(crate) fn sort_in_range_query(&mut self, span: Span) {
        self.warning(
            span,
            "sort is ineffective for range queries since results are always ordered by labels",
        );
    }

    pub(crate) fn reset_collision(&mut self, operation: HistogramOperation, span: Span) {
        let operation = operation.as_str();
        self.warning(span, format_args!("conflicting counter resets during histogram {operation}"));
    }

    pub(crate) fn bounds_reconciled(&mut self, operation: HistogramOperation, span: Span) {
        let operation = operation.as_str();
        self.info(span, format_args!("mismatched custom buckets were reconciled during {operation}"));
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        self.info(
            span,
            format_args!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric}"
            ),
        );
    }

    pub(crate) fn possible_non_counter_type(&mut self, metric: &str, kind: &str, span: Span) {
        let (metric, kind) = (Quoted(metric), Quoted(kind));
        self.info(
            span,
            format_args!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {kind}: {metric}"
            ),
        );
    }

    pub(crate) fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, span: Span) {
        self.info(
            span,
            format_args!(
                "incompatible sample types encountered for binary operator \"{operator}\": {left} {operator} {right}"
            ),
        );
    }

    pub(crate) fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, span: Span) {
        self.info(span, format_args!("ignored histogram in {aggregation} aggregation"));
    }

    pub(crate) fn histogram_ignored_in_range(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        self.info(
            span,
            format_args!(
                "ignored histograms in a range containing both floats and histograms for metric name {metric}"
            ),
        );
    }

    pub(crate) fn quantile_of_nan(&mut self, metric: &str, span: Span) {
        let metric = for_metric(metric);
        self.info(
            span,
            format_args!("input to histogram_quantile has NaN observations, result is NaN{metric}"),
        );
    }

    pub(crate) fn quantile_skewed_by_nan(&mut self, metric: &str, span: Span) {
        let metric = for_metric(metric);
        self.info(
            span,
            format_args!("input to histogram_quantile has NaN observations, result is skewed higher{metric}"),
        );
    }

    pub(crate) fn fraction_without_nan(&mut self, metric: &str, span: Span) {
        let metric = for_metric(metric);
        self.info(
            span,
            format_args!(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions{metric}"
            ),
        );
    }

    pub(crate) fn start_time_overlap(&mut self, metric: &str, span: Span) {
        let metric = Quoted(metric);
        let text = format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {metric}"
        );
        self.add(text, Note { is_warning: true, span: Some(span), detail: Detail::Occurrences(1) });
    }

    pub(crate) fn forced_monotonicity(&mut self, metric: &str, span: Span, repaired: Monotonicity) {
        let metric = for_metric(metric);
        let text = format!(
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){metric}"
        );
        self.add(text, Note { is_warning: false, span: Some(span), detail: Detail::Monotonicity(repaired) });
    }
}

impl Detail {
    fn merged(self, other: Self) -> Self {
        match (self, other) {
            (Self::Occurrences(a), Self::Occurrences(b)) => Self::Occurrences(a + b),
            (Self::Monotonicity(a), Self::Monotonicity(b)) => Self::Monotonicity(Monotonicity {
                first_ms: a.first_ms.min(b.first_ms),
                last_ms: a.last_ms.max(b.last_ms),
                bucket_min: a.bucket_min.min(b.bucket_min),
                bucket_max: a.bucket_max.max(b.bucket_max),
                diff_max: a.diff_max.max(b.diff_max),
                samples: a.samples + b.samples,
            }),
            (known, _) => known,
        }
    }

    fn write(self, text: &mut String) {
        match self {
            Self::None | Self::Occurrences(0 | 1) => {}
            Self::Occurrences(count) => text.push_str(&format!(" ({count} occurrences)")),
            Self::Monotonicity(found) => {
                let (low, high) = (short_float(found.bucket_min), short_float(found.bucket_max));
                let diff = two_digits(found.diff_max);
                let (first, last) = (rfc3339(found.first_ms), rfc3339(found.last_ms));
                let samples = found.samples;
                text.push_str(&format!(
                    ", from buckets {low} to {high}, with a max diff of {diff}, over {samples} samples from {first} to {last}"
                ));
            }
        }
    }
}

fn for_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {}", Quoted(metric)) }
}

/// A float as Go's `%g`.
pub(crate) fn short_float(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_finite() && magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        return exponent_form(format!("{value:e}"));
    }
    format_float(value)
}

/// A float as Go's `%.2g`.
fn two_digits(value: f64) -> String {
    let text = format!("{value:.1e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    if (-4..2).contains(&exponent) {
        let rounded: f64 = text.parse().unwrap_or(value);
        return rounded.to_string();
    }
    exponent_form(format!("{mantissa}e{exponent}"))
}

/// Go writes an exponent with its sign and at least two digits.
fn exponent_form(text: String) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// A time in UTC to the second.
fn rfc3339(ms: i64) -> String {
    let time = crate::functions::CivilTime::from_unix_seconds(ms.div_euclid(1000));
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}
