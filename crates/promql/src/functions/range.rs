//! Functions of range vectors: what they are given and what they give.

use promql_syntax::{RangeExtension, Span};

use crate::functions::{change, over_time, rate, regression};
use crate::notes::Notes;
use crate::series::{Points, SharedHistogram, histogram_samples, is_absent};
use crate::{EngineFeatures, QueryError};

/// The samples of one series in a window, floats and histograms apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) float_times: &'a [i64],
    pub(crate) floats: &'a [f64],
    /// Start timestamps of the floats; empty where none are known.
    pub(crate) float_starts: &'a [i64],
    pub(crate) histogram_times: &'a [i64],
    pub(crate) histograms: &'a [SharedHistogram],
    /// Start timestamps of the histograms; empty where none are known.
    pub(crate) histogram_starts: &'a [i64],
    /// Where the window starts; not part of it.
    pub(crate) start: i64,
    /// Where the window ends; part of it.
    pub(crate) end: i64,
    /// The step being evaluated.
    pub(crate) time: i64,
}

impl Window<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// How many samples it counts for.
    pub(crate) fn len(&self) -> usize {
        let histograms: u64 = self.histograms.iter().map(|histogram| histogram_samples(histogram)).sum();
        self.floats.len() + histograms as usize
    }

    pub(crate) fn has_both(&self) -> bool {
        !self.floats.is_empty() && !self.histograms.is_empty()
    }

    pub(crate) fn range_seconds(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1000.0
    }
}

/// What a function gives for a window.
#[derive(Debug)]
pub(crate) enum RangeOutcome {
    Nothing,
    Float(f64),
    Histogram(SharedHistogram),
}

/// A call of a function of a range vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeCall {
    pub(crate) function: &'static str,
    /// Where the range vector stands.
    pub(crate) span: Span,
    /// Where the first argument stands.
    pub(crate) first_span: Span,
    pub(crate) extension: Option<RangeExtension>,
}

/// Computes a function: of the metric's name (for remarks), a window, and the other arguments at the step.
pub(crate) type Kernel =
    fn(&RangeCall, &str, &Window<'_>, &[f64], &mut Notes) -> Result<RangeOutcome, QueryError>;

impl RangeCall {
    /// Whether start timestamps can change the result.
    pub(crate) fn uses_start_times(&self) -> bool {
        matches!(self.function, "rate" | "irate" | "increase" | "resets")
    }

    /// Whether the result is still the metric.
    pub(crate) fn keeps_name(&self) -> bool {
        matches!(self.function, "last_over_time" | "first_over_time")
    }

    /// Checks that the function may be used with `anchored` or `smoothed`.
    pub(crate) fn check_extension(&self) -> Result<(), QueryError> {
        const RATES: [&str; 3] = ["delta", "increase", "rate"];
        const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
        let (name, allowed): (_, &[&str]) = match self.extension {
            None => return Ok(()),
            Some(RangeExtension::Anchored) => ("anchored", &ANCHORED),
            Some(RangeExtension::Smoothed) => ("smoothed", &RATES),
        };
        if allowed.contains(&self.function) {
            return Ok(());
        }
        let (list, function) = (allowed.join(", "), self.function);
        Err(QueryError::execution(format!(
            "{name} modifier can only be used with: {list} - not with {function}"
        )))
    }

    /// Whether [`Self::check_counter`] can have anything to say.
    pub(crate) fn looks_at_counters(&self) -> bool {
        matches!(self.function, "rate" | "increase")
    }

    /// Remarks where a function of counters got something that does not look like one.
    pub(crate) fn check_counter(
        &self,
        metric: &str,
        kind: impl FnOnce() -> String,
        points: &Points,
        features: EngineFeatures,
        notes: &mut Notes,
    ) {
        if !self.looks_at_counters() {
            return;
        }
        if metric.is_empty() || points.values.iter().all(|value| is_absent(*value)) {
            return;
        }
        if features.type_and_unit_labels {
            let kind = kind();
            if kind != "counter" && kind != "histogram" {
                notes.possible_non_counter_type(metric, &kind, self.first_span);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix)) {
            notes.possible_non_counter(metric, self.first_span);
        }
    }
}

/// The kernel of a function of a range vector.
pub(crate) fn kernel(name: &str) -> Option<Kernel> {
    Some(match name {
        "rate" => rate::rate,
        "increase" => rate::increase,
        "delta" => rate::delta,
        "irate" => rate::irate,
        "idelta" => rate::idelta,
        "resets" => change::resets,
        "changes" => change::changes,
        "deriv" => regression::deriv,
        "predict_linear" => regression::predict_linear,
        "double_exponential_smoothing" => regression::double_exponential_smoothing,
        "avg_over_time" => over_time::avg,
        "sum_over_time" => over_time::sum,
        "count_over_time" => over_time::count,
        "min_over_time" => over_time::min,
        "max_over_time" => over_time::max,
        "first_over_time" => over_time::first,
        "last_over_time" => over_time::last,
        "present_over_time" | "absent_over_time" => over_time::present,
        "quantile_over_time" => over_time::quantile_over,
        "stddev_over_time" => over_time::stddev,
        "stdvar_over_time" => over_time::stdvar,
        "mad_over_time" => over_time::mad,
        "ts_of_first_over_time" => over_time::time_of_first,
        "ts_of_last_over_time" => over_time::time_of_last,
        "ts_of_max_over_time" => over_time::time_of_max,
        "ts_of_min_over_time" => over_time::time_of_min,
        _ => return None,
    })
}
