//! What a sender may not send: label sets and histograms that do not hold together, and what is over a limit.

use metric_storage_api::AppendRejection;
use model::{FloatHistogram, Labels, is_stale_nan};

use crate::options::Limits;

const CUSTOM_SCHEMA: i32 = -53;

/// Checks a label set.
pub(crate) fn check_labels(labels: &Labels, limits: &Limits) -> Result<(), AppendRejection> {
    if labels.is_empty() {
        return Err(AppendRejection::InvalidLabels("empty label set".into()));
    }
    let over = |limit: &str, detail: String, setting: &str| {
        Err(AppendRejection::LimitReached {
            limit: limit.into(),
            detail: detail.into(),
            setting: setting.into(),
        })
    };
    if limits.labels_max > 0 && labels.len() > limits.labels_max {
        let detail = format!("{} has {} labels", labels.metric_name(), labels.len());
        return over("labels per series", detail, "limits.labels_max");
    }
    for (name, value) in labels.iter() {
        if name.is_empty() {
            return Err(AppendRejection::InvalidLabels("empty label name".into()));
        }
        if limits.label_name_bytes_max > 0 && name.len() > limits.label_name_bytes_max {
            let detail = format!("{} has a label name of {} bytes", labels.metric_name(), name.len());
            return over("label name size", detail, "limits.label_name_bytes_max");
        }
        if limits.label_value_bytes_max > 0 && value.len() > limits.label_value_bytes_max {
            let detail =
                format!("label {name} of {} has a value of {} bytes", labels.metric_name(), value.len());
            return over("label value size", detail, "limits.label_value_bytes_max");
        }
    }
    Ok(())
}

/// Checks that a histogram's parts fit each other.
pub(crate) fn check_histogram(histogram: &FloatHistogram) -> Result<(), AppendRejection> {
    if is_stale_nan(histogram.sum) {
        return Ok(());
    }
    let fail = |reason: &str| Err(AppendRejection::InvalidHistogram(reason.into()));
    if !(-4..=8).contains(&histogram.schema) && histogram.schema != CUSTOM_SCHEMA {
        return fail("schema is neither in -4 to 8 nor -53");
    }
    for (spans, buckets) in [
        (&histogram.positive_spans, &histogram.positive_buckets),
        (&histogram.negative_spans, &histogram.negative_buckets),
    ] {
        if spans.iter().skip(1).any(|span| span.offset < 0) {
            return fail("span offsets must not be negative after the first");
        }
        let length: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        if length != buckets.len() as u64 || buckets.len() > 1 << 16 {
            return fail("spans and buckets have different lengths");
        }
        if buckets.iter().any(|bucket| *bucket < 0.0) {
            return fail("bucket counts must not be negative");
        }
    }
    if histogram.count < 0.0 || histogram.zero_count < 0.0 || histogram.zero_threshold < 0.0 {
        return fail("count, zero count and zero threshold must not be negative");
    }
    if histogram.schema == CUSTOM_SCHEMA {
        if !histogram.custom_values.is_sorted_by(|a, b| a < b) {
            return fail("custom bounds must ascend");
        }
        if !histogram.negative_buckets.is_empty() || histogram.zero_count != 0.0 {
            return fail("custom buckets have no negative and no zero buckets");
        }
    } else if !histogram.custom_values.is_empty() {
        return fail("custom bounds need schema -53");
    }
    Ok(())
}
