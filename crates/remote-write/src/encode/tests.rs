//! What is written reads back as it was, in both versions; references into nothing are told.

use model::{BucketSpan, CounterResetHint, LabelsBuilder};

use super::*;
use crate::{DecodeError, LabelError, Part, SeriesField, SeriesFieldV2, WriteRequest, WriteRequestV2};

fn histogram(counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: 2,
        zero_threshold: 0.001,
        zero_count: 1.0,
        count: counts.iter().sum::<f64>() + 1.0,
        sum: -2.5,
        positive_spans: vec![BucketSpan { offset: -3, length: counts.len() as u32 }],
        positive_buckets: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

fn outgoing() -> Vec<OutgoingSeries> {
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "ä")]), value: 0.5, timestamp: 9 };
    let metadata =
        MetricMetadata { kind: MetricType::Counter, unit: "bytes".to_owned(), help: "Help.".to_owned() };
    vec![
        OutgoingSeries {
            labels: Some(Labels::from_pairs([("__name__", "a"), ("job", "x"), ("z", "x")])),
            samples: vec![(1, 1.5), (-2, -0.0), (3, f64::from_bits(0x7ff0_0000_0000_0002))],
            exemplars: vec![exemplar],
            metadata: Some(Arc::new(metadata)),
            ..OutgoingSeries::default()
        },
        OutgoingSeries {
            labels: Some(Labels::from_pairs([("__name__", "b")])),
            histograms: vec![
                (4, Arc::new(histogram(&[3.0, 1.0, 7.0]))),
                (5, Arc::new(histogram(&[0.5, 1.0]))),
                (6, Arc::new(FloatHistogram::default())),
            ],
            ..OutgoingSeries::default()
        },
    ]
}

#[test]
fn a_1_0_request_reads_as_it_was_written() {
    let expected = outgoing();
    let message = encode_v1(&expected);
    let mut request = WriteRequest::new(&message);
    let mut labels = LabelsBuilder::new();
    for one in &expected {
        let Ok(Some(Part::Series(series))) = request.next_part() else { panic!("no series") };
        assert_eq!(series.labels(&mut labels), Ok(true));
        assert_eq!(Some(labels.build()), one.labels);
        let mut found = OutgoingSeries::default();
        series
            .for_each_field(|field| {
                match field {
                    SeriesField::Sample { timestamp, value } => found.samples.push((timestamp, value)),
                    SeriesField::Histogram { timestamp, histogram } => {
                        found.histograms.push((timestamp, Arc::new(*histogram)));
                    }
                    SeriesField::Exemplar(exemplar) => found.exemplars.push(exemplar.read()?),
                }
                Ok::<(), DecodeError>(())
            })
            .expect("valid");
        assert_same(&found, one);
    }
    assert!(matches!(request.next_part(), Ok(None)));
}

#[test]
fn a_2_0_request_reads_as_it_was_written() {
    let expected = outgoing();
    let message = encode_v2(&expected);
    let mut request = WriteRequestV2::new(&message).expect("valid");
    let (mut labels, mut key) = (LabelsBuilder::new(), Vec::new());
    for one in &expected {
        let series = request.next_series().expect("valid").expect("a series");
        assert_eq!(request.labels(series, &mut labels, &mut key), Ok(Ok(())));
        assert_eq!(Some(labels.build()), one.labels);
        let v1 = encode_v1(std::slice::from_ref(one));
        let Ok(Some(Part::Series(same))) = WriteRequest::new(&v1).next_part() else { panic!("no series") };
        assert_eq!(key, same.label_bytes(), "both versions make the same key");
        assert_eq!(request.metadata(series), Ok(one.metadata.as_deref().cloned()));
        let mut found = OutgoingSeries::default();
        series
            .for_each_field(|field| {
                match field {
                    SeriesFieldV2::Sample { timestamp, value, start: 0 } => {
                        found.samples.push((timestamp, value))
                    }
                    SeriesFieldV2::Histogram { timestamp, histogram, start: 0 } => {
                        found.histograms.push((timestamp, Arc::new(*histogram)));
                    }
                    SeriesFieldV2::Exemplar(exemplar) => {
                        found.exemplars.push(request.exemplar(exemplar)?.expect("valid"));
                    }
                    other => panic!("{other:?}"),
                }
                Ok::<(), DecodeError>(())
            })
            .expect("valid");
        assert_same(&found, one);
    }
    assert!(matches!(request.next_series(), Ok(None)));
}

fn assert_same(found: &OutgoingSeries, expected: &OutgoingSeries) {
    let bits = |series: &OutgoingSeries| -> Vec<(i64, u64)> {
        series.samples.iter().map(|(at, value)| (*at, value.to_bits())).collect()
    };
    assert_eq!(bits(found), bits(expected));
    assert_eq!(found.histograms, expected.histograms);
    assert_eq!(found.exemplars, expected.exemplars);
}

#[test]
fn references_into_nothing_are_told() {
    // symbols: "", "__name__", "a"; one series with the given references.
    let request = |references: &[u8]| {
        let mut message = Vec::new();
        for symbol in ["", "__name__", "a"] {
            put_bytes(&mut message, 4, symbol.as_bytes());
        }
        let mut series = Vec::new();
        put_bytes(&mut series, 1, references);
        put_bytes(&mut message, 5, &series);
        message
    };
    for (references, expected) in [
        (&[1, 2][..], Ok(())),
        (&[1, 9], Err(LabelError::UnknownSymbol(9))),
        (&[1], Err(LabelError::OddReferences)),
        (&[0, 2], Err(LabelError::EmptyName)),
        (&[1, 2, 1, 2], Err(LabelError::Duplicate("__name__".to_owned()))),
        (&[2, 2], Err(LabelError::NoMetricName)),
        (&[], Err(LabelError::NoMetricName)),
    ] {
        let message = request(references);
        let mut read = WriteRequestV2::new(&message).expect("valid");
        let series = read.next_series().expect("valid").expect("a series");
        assert_eq!(read.labels(series, &mut LabelsBuilder::new(), &mut Vec::new()), Ok(expected));
    }
    let mut bad_table = Vec::new();
    put_bytes(&mut bad_table, 4, b"x");
    assert!(WriteRequestV2::new(&bad_table).is_err(), "the first symbol must be empty");
}
