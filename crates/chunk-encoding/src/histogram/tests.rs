//! Histogram chunks against what was appended, and bytes as Prometheus writes them.

use std::sync::Arc;

use model::BucketSpan;
use proptest::prelude::*;

use super::*;

fn histogram(buckets: &[(i64, f64)], scale: f64) -> FloatHistogram {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut next = 0;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: (*index - next) as i32, length: 1 }),
        }
        next = index + 1;
    }
    let positive_buckets: Vec<f64> = buckets.iter().map(|(_, count)| count * scale).collect();
    FloatHistogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: 2.0 * scale,
        count: positive_buckets.iter().sum::<f64>() + 2.0 * scale,
        sum: 18.4 * scale,
        positive_spans: spans,
        positive_buckets,
        ..FloatHistogram::default()
    }
}

fn decode(appender: &HistogramAppender) -> Vec<(i64, Arc<FloatHistogram>)> {
    let (mut timestamps, mut histograms) = (Vec::new(), Vec::new());
    decode_histograms(appender.kind(), appender.bytes(), &mut timestamps, &mut histograms).unwrap();
    timestamps.into_iter().zip(histograms).collect()
}

/// The observations by bucket, whatever the layout.
fn counts(histogram: &FloatHistogram) -> Vec<(i64, f64)> {
    let mut out = Vec::new();
    let (mut next, mut buckets) = (0i64, histogram.positive_buckets.iter());
    for span in &histogram.positive_spans {
        next += i64::from(span.offset);
        for _ in 0..span.length {
            out.push((next, *buckets.next().unwrap()));
            next += 1;
        }
    }
    out.retain(|(_, count)| *count != 0.0);
    out
}

#[test]
fn golden_bytes_of_an_integer_chunk() {
    let h = FloatHistogram {
        schema: 0,
        count: 1.0,
        sum: 1.0,
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }],
        positive_buckets: vec![1.0],
        ..FloatHistogram::default()
    };
    let appender = HistogramAppender::start(CounterResetHeader::Unknown, 2, &h).unwrap();
    // Zero threshold, schema, one span (length, offset), no negative span, time, count, zero count, sum, bucket.
    let bits = "00000000 0 10001 10001 0 0 10010 10001 0 \
        0011111111110000000000000000000000000000000000000000000000000000 10001"
        .replace(' ', "");
    let mut packed = vec![0, 1, 0];
    for byte in bits.as_bytes().chunks(8) {
        packed.push(byte.iter().enumerate().fold(0, |acc, (at, bit)| acc | (bit - b'0') << (7 - at)));
    }
    assert_eq!(appender.bytes(), packed);
}

#[test]
fn resets_layouts_and_kinds_cut_or_extend() {
    let start = |h: &FloatHistogram| HistogramAppender::start(CounterResetHeader::Unknown, 0, h).unwrap();
    let base = histogram(&[(0, 3.0), (4, 2.0)], 1.0);
    // More buckets: the chunk is written anew.
    let mut appender = start(&base);
    let wider = histogram(&[(0, 3.0), (2, 1.0), (4, 2.0), (9, 1.0)], 2.0);
    assert_eq!(appender.append(10, &wider), Ok(()));
    // A bucket that was never used may be missing again.
    let decoded = decode(&appender);
    assert_eq!(counts(&decoded[0].1), counts(&base));
    assert_eq!(counts(&decoded[1].1), counts(&wider));
    assert_eq!(decoded[1].1.counter_reset_hint, CounterResetHint::NotCounterReset);
    // Fewer observations, or a used bucket that is gone: a reset.
    assert_eq!(appender.append(20, &base), Err(CutReason(CounterResetHeader::Reset)));
    let gone = histogram(&[(0, 100.0), (2, 100.0)], 1.0);
    assert_eq!(appender.append(20, &gone), Err(CutReason(CounterResetHeader::Reset)));
    // Other bounds, other kinds.
    let other = FloatHistogram { schema: 2, ..histogram(&[(0, 50.0)], 3.0) };
    assert_eq!(appender.append(20, &other), Err(CutReason(CounterResetHeader::Unknown)));
    let floats = histogram(&[(0, 30.5), (2, 9.0), (4, 20.0), (9, 9.0)], 1.0);
    assert_eq!(appender.append(20, &floats), Err(CutReason(CounterResetHeader::Unknown)));
    let gauge = FloatHistogram { counter_reset_hint: CounterResetHint::Gauge, ..base.clone() };
    assert_eq!(appender.append(20, &gauge), Err(CutReason(CounterResetHeader::Gauge)));
    // Only staleness markers follow a staleness marker.
    let stale = FloatHistogram { sum: f64::from_bits(model::STALE_NAN), ..FloatHistogram::default() };
    assert_eq!((appender.append(20, &stale), appender.append(30, &stale)), (Ok(()), Ok(())));
    assert_eq!(appender.append(40, &wider), Err(CutReason(CounterResetHeader::Unknown)));
    assert!(is_stale_nan(decode(&appender)[3].1.sum));
    // A gauge takes anything.
    let mut appender = start(&gauge);
    let lower = FloatHistogram { counter_reset_hint: CounterResetHint::Gauge, ..histogram(&[(1, 1.0)], 1.0) };
    assert_eq!(appender.append(10, &lower), Ok(()));
    assert_eq!(counts(&decode(&appender)[1].1), [(1, 1.0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn histograms_come_back(
        indexes in proptest::collection::btree_set(-20i64..40, 1..12),
        steps in proptest::collection::vec((1i64..100_000, 0u32..50), 1..30),
        float: bool,
        custom in proptest::collection::vec(0.0f64..1e6, 0..4),
    ) {
        let unit = if float { 0.3 } else { 1.0 };
        let mut total: Vec<(i64, f64)> = indexes.iter().map(|index| (*index, 0.0)).collect();
        let mut expected = Vec::new();
        let mut appender: Option<HistogramAppender> = None;
        let mut timestamp = 1_700_000_000_000;
        for (at, (delta, amount)) in steps.into_iter().enumerate() {
            let len = total.len();
            total[at % len].1 += f64::from(amount) * unit;
            timestamp += delta;
            let present: Vec<_> = total.iter().copied().filter(|(_, count)| *count > 0.0).collect();
            let mut h = histogram(&present, 1.0);
            if !custom.is_empty() {
                h.schema = -53;
                h.custom_values = custom.clone();
            }
            h.zero_count = unit;
            h.count += unit;
            let appended = match &mut appender {
                None => {
                    appender =
                        Some(HistogramAppender::start(CounterResetHeader::NotReset, timestamp, &h).unwrap());
                    true
                }
                Some(appender) => appender.append(timestamp, &h).is_ok(),
            };
            if !appended {
                continue;
            }
            expected.push((timestamp, h));
        }
        let appender = appender.unwrap();
        let decoded = decode(&appender);
        prop_assert_eq!(decoded.len(), expected.len());
        for ((t, got), (want_t, want)) in decoded.iter().zip(&expected) {
            prop_assert_eq!(t, want_t);
            prop_assert_eq!((got.count, got.zero_count, got.sum), (want.count, want.zero_count, want.sum));
            prop_assert_eq!(counts(got), counts(want));
            prop_assert_eq!(&got.custom_values, &want.custom_values);
        }
        let resumed = HistogramAppender::resume(appender.kind(), appender.bytes()).unwrap().unwrap();
        prop_assert_eq!(resumed.bytes(), appender.bytes());
    }

    #[test]
    fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in [HistogramKind::Integer, HistogramKind::Float] {
            decode_histograms(kind, &bytes, &mut Vec::new(), &mut Vec::new()).ok();
        }
    }
}
