//! Native histograms in the scripts' notation.

use model::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, format_float_g};

/// Writes a histogram as `{{schema:1 count:5 sum:2 offset:-1 buckets:[5]}}`, as rule unit tests show and compare them.
pub fn describe_histogram(histogram: &FloatHistogram) -> String {
    let mut parts = Vec::new();
    if histogram.schema != 0 {
        parts.push(format!("schema:{}", histogram.schema));
    }
    let numbers = [
        ("count", histogram.count),
        ("sum", histogram.sum),
        ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    ];
    for (name, value) in numbers {
        if value != 0.0 {
            parts.push(format!("{name}:{}", format_float_g(value)));
        }
    }
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        parts.push(format!("custom_values:{}", list(&histogram.custom_values)));
    }
    match histogram.counter_reset_hint {
        CounterResetHint::Unknown => {}
        CounterResetHint::CounterReset => parts.push("counter_reset_hint:reset".to_owned()),
        CounterResetHint::NotCounterReset => parts.push("counter_reset_hint:not_reset".to_owned()),
        CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
    }
    let sides = [
        ("offset", "buckets", &histogram.positive_spans, &histogram.positive_buckets),
        ("n_offset", "n_buckets", &histogram.negative_spans, &histogram.negative_buckets),
    ];
    for (offset_name, name, spans, counts) in sides {
        let (offset, counts) = one_span(spans, counts);
        if offset != 0 {
            parts.push(format!("{offset_name}:{offset}"));
        }
        if !counts.is_empty() {
            parts.push(format!("{name}:{}", list(&counts)));
        }
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

fn list(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().copied().map(format_float_g).collect();
    format!("[{}]", values.join(" "))
}

/// The buckets from the first to the last that is not empty, gaps filled, and the index of the first.
fn one_span(spans: &[BucketSpan], counts: &[f64]) -> (i64, Vec<f64>) {
    /// Gaps that are longer are not written out.
    const BUCKETS_MAX: i64 = 100_000;
    let mut found: Vec<(i64, f64)> = Vec::new();
    let (mut index, mut counts) = (0i64, counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            if *count != 0.0 {
                found.push((index, *count));
            }
            index += 1;
        }
    }
    let Some(first) = found.first().map(|(index, _)| *index) else { return (0, Vec::new()) };
    let mut filled = Vec::new();
    for (index, count) in found.into_iter().take_while(|(index, _)| index - first < BUCKETS_MAX) {
        filled.resize((index - first) as usize, 0.0);
        filled.push(count);
    }
    (first, filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testscript::{SequenceValue, parse_series_description};

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "{{}}",
            "{{schema:1 count:5.5 sum:-2 z_bucket:1 z_bucket_w:0.001 offset:-3 buckets:[1 0 2.5] n_offset:2 n_buckets:[1]}}",
            "{{schema:-53 count:3 sum:4 custom_values:[1 2.5] counter_reset_hint:gauge buckets:[1 2]}}",
        ] {
            let (_, values) = parse_series_description(&format!("a {text}")).expect("valid");
            let [SequenceValue::Histogram { histogram, .. }] = values.as_slice() else { panic!("{text}") };
            assert_eq!(describe_histogram(histogram), text);
        }
    }
}
