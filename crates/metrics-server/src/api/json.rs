//! JSON as Prometheus writes it: numbers of time with three decimals, values as text.

use model::{FloatHistogram, Labels, TimestampMs, format_float, write_float};

use super::histogram::buckets;

pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Looks at all bytes without a way out, so that many are looked at at once.
    let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if !text.bytes().fold(false, |any, byte| any | is_special(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing to memory cannot fail.
    serde_json::to_writer(out, text).ok();
}

pub(crate) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (idx, (name, value)) in labels.iter().enumerate() {
        if idx > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

/// Seconds, with a fraction of three digits where there is one.
pub(crate) fn timestamp(out: &mut Vec<u8>, timestamp: TimestampMs) {
    if timestamp < 0 {
        out.push(b'-');
    }
    let ms = timestamp.unsigned_abs();
    integer(out, ms / 1000);
    let fraction = ms % 1000;
    if fraction != 0 {
        let digit = |divisor: u64| b'0' + (fraction / divisor % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

fn integer(out: &mut Vec<u8>, mut value: u64) {
    // As many digits as the largest number has, filled from behind.
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `[time,"value"]`
pub(crate) fn point(out: &mut Vec<u8>, at: TimestampMs, value: f64) {
    out.push(b'[');
    timestamp(out, at);
    out.extend_from_slice(b",\"");
    write_float(out, value);
    out.extend_from_slice(b"\"]");
}

/// `[time,{…}]`
pub(crate) fn histogram_point(out: &mut Vec<u8>, at: TimestampMs, histogram: &FloatHistogram) {
    out.push(b'[');
    timestamp(out, at);
    out.extend_from_slice(b",{\"count\":\"");
    out.extend_from_slice(format_float(histogram.count).as_bytes());
    out.extend_from_slice(b"\",\"sum\":\"");
    out.extend_from_slice(format_float(histogram.sum).as_bytes());
    out.push(b'"');
    let mut separator: &[u8] = b",\"buckets\":[";
    for bucket in buckets(histogram).into_iter().filter(|bucket| bucket.count != 0.0) {
        out.extend_from_slice(separator);
        let (lower, upper) = (format_float(bucket.lower), format_float(bucket.upper));
        let text =
            format!("[{},\"{lower}\",\"{upper}\",\"{}\"]", bucket.boundaries, format_float(bucket.count));
        out.extend_from_slice(text.as_bytes());
        separator = b",";
    }
    if separator == b"," {
        out.push(b']');
    }
    out.extend_from_slice(b"}]");
}

/// Go's `%e` with the shortest digits: what alerts show as their value.
pub(crate) fn exponent_form(value: f64) -> String {
    if !value.is_finite() {
        return format_float(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(digits) => format!("{mantissa}e-{digits:0>2}"),
        None => format!("{mantissa}e+{exponent:0>2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_written_as_prometheus_does() {
        for (at, value, text) in [
            (1_795_361_336_313, 1e30, "[1795361336.313,\"1e+30\"]"),
            (1_000, 0.1 + 0.2, "[1,\"0.30000000000000004\"]"),
            (-1_500, f64::NAN, "[-1.500,\"NaN\"]"),
            (5, f64::NEG_INFINITY, "[0.005,\"-Inf\"]"),
        ] {
            let mut out = Vec::new();
            point(&mut out, at, value);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        assert_eq!(exponent_form(0.0), "0e+00");
        assert_eq!(exponent_form(123.5), "1.235e+02");
        assert_eq!(exponent_form(1e-7), "1e-07");
    }

    #[test]
    fn histograms_are_written_with_their_buckets() {
        let histogram = FloatHistogram {
            schema: 0,
            count: 6.0,
            sum: 3.5,
            zero_threshold: 0.5,
            zero_count: 1.0,
            positive_spans: vec![model::BucketSpan { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 0.0],
            negative_spans: vec![model::BucketSpan { offset: 0, length: 1 }],
            negative_buckets: vec![3.0],
            ..FloatHistogram::default()
        };
        let mut out = Vec::new();
        histogram_point(&mut out, 1000, &histogram);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "[1,{\"count\":\"6\",\"sum\":\"3.5\",\"buckets\":[[1,\"-1\",\"-0.5\",\"3\"],[3,\"-0.5\",\"0.5\",\"1\"],[0,\"1\",\"2\",\"2\"]]}]"
        );
    }
}
