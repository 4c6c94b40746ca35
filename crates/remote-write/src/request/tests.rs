//! Requests as `prost` writes them, read back.

use proptest::prelude::*;
use prost::Message;
use wire::prometheus as proto;

use super::*;

fn label(name: &str, value: &str) -> proto::Label {
    proto::Label { name: name.to_owned(), value: value.to_owned() }
}

fn request() -> Vec<u8> {
    let series = proto::TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "a")],
        samples: vec![
            proto::Sample { value: 1.5, timestamp: 1000 },
            proto::Sample { value: 0.0, timestamp: -5 },
        ],
        exemplars: vec![proto::Exemplar { labels: vec![label("trace_id", "x")], value: 2.0, timestamp: 7 }],
        histograms: Vec::new(),
    };
    let metadata = proto::MetricMetadata {
        r#type: 2,
        metric_family_name: "up".to_owned(),
        help: "h".to_owned(),
        unit: String::new(),
    };
    proto::WriteRequest { timeseries: vec![series], metadata: vec![metadata] }.encode_to_vec()
}

fn shown(message: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut lines = Vec::new();
    let mut labels = LabelsBuilder::new();
    let mut request = WriteRequest::new(message);
    while let Some(part) = request.next_part()? {
        match part {
            Part::Series(series) => {
                let valid = series.labels(&mut labels)?;
                lines.push(format!("{} {valid} key {}", labels.build(), series.label_bytes().len()));
                series.for_each_field(|field| {
                    lines.push(match field {
                        SeriesField::Sample { timestamp, value } => format!("{timestamp} {value}"),
                        SeriesField::Exemplar(exemplar) => format!("{:?}", exemplar.read()?),
                        SeriesField::Histogram { timestamp, histogram } => {
                            format!("{timestamp} {histogram:?}")
                        }
                    });
                    Ok::<_, DecodeError>(())
                })?;
            }
            Part::Metadata(metadata) => lines.push(format!("{:?}", metadata.read()?)),
        }
    }
    Ok(lines)
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let lines = shown(&request()).expect("valid");
    assert_eq!(
        lines,
        [
            "up{job=\"a\"} true key 26",
            "1000 1.5",
            "-5 0",
            "Exemplar { labels: {trace_id=\"x\"}, value: 2.0, timestamp: 7 }",
            "(\"up\", MetricMetadata { kind: Gauge, unit: \"\", help: \"h\" })",
        ]
    );
}

#[test]
fn scattered_labels_are_no_key_and_repeated_names_are_not_valid() {
    let pair = proto::Label::encode_to_vec(&label("a", "b"));
    let mut series = vec![10, pair.len() as u8];
    series.extend(&pair);
    series.extend([18, 2, 16, 1, 10, pair.len() as u8]);
    series.extend(&pair);
    let mut message = vec![10, series.len() as u8];
    message.extend(&series);
    assert_eq!(shown(&message).expect("readable")[0], "{a=\"b\"} false key 0");
}

#[test]
fn histograms_get_absolute_counts() {
    // count 3, sum 1.5, schema 1, one span of 2 buckets, deltas 2 and -1, timestamp 9.
    let span = [8, 2, 16, 2];
    let mut histogram = vec![8, 3, 25];
    histogram.extend(1.5f64.to_le_bytes());
    histogram.extend([32, 2, 90, span.len() as u8]);
    histogram.extend(span);
    histogram.extend([98, 2, 4, 1, 120, 9]);
    let (timestamp, read) = histogram::read(&histogram).expect("valid");
    assert_eq!((timestamp, read.schema, read.positive_buckets.as_slice()), (9, 1, [2.0, 1.0].as_slice()));
    assert_eq!(read.positive_spans[0].offset, 1);
    histogram.truncate(histogram.len() - 6);
    assert!(histogram::read(&histogram).is_err());
}

fn message_of(series: &proto::TimeSeries) -> Vec<u8> {
    proto::WriteRequest { timeseries: vec![series.clone()], metadata: Vec::new() }.encode_to_vec()
}

fn first(message: &[u8]) -> SeriesMessage<'_> {
    match WriteRequest::new(message).next_raw_part() {
        Ok(Some(RawPart::Series(series))) => series,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_series_with_one_sample_is_seen_from_its_end() {
    for value in [1.5, 0.0, -2.5e-300, f64::INFINITY] {
        let sample = proto::Sample { value, timestamp: 1_700_000_000_123 };
        let mut series = proto::TimeSeries {
            labels: vec![label("__name__", "up"), label("job", "a")],
            samples: vec![sample],
            exemplars: Vec::new(),
            histograms: Vec::new(),
        };
        let message = message_of(&series);
        let guess = first(&message).guess().expect("the usual form");
        assert_eq!((guess.timestamp, guess.value.to_bits()), (sample.timestamp, value.to_bits()));
        assert_eq!(guess.label_bytes, first(&message).read().expect("valid").label_bytes());
        series.samples.push(sample);
        let message = message_of(&series);
        let guess = first(&message).guess().expect("the usual end");
        assert_ne!(guess.label_bytes, first(&message).read().expect("valid").label_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_guess_whose_bytes_are_the_labels_is_right(
        labels in prop::collection::vec(("[a-c\\x12\\x10\\x09]{0,9}", "[a-c\\x12\\x10\\x09]{0,9}"), 0..4),
        samples in prop::collection::vec((prop_oneof![Just(0.0), any::<f64>()], any::<i64>(), any::<bool>()), 0..4),
    ) {
        let time = |time: i64, usual: bool| if usual { time.rem_euclid(1 << 42) } else { time };
        let series = proto::TimeSeries {
            labels: labels.iter().map(|(name, value)| label(name, value)).collect(),
            samples: samples
                .iter()
                .map(|(value, at, usual)| proto::Sample { value: *value, timestamp: time(*at, *usual) })
                .collect(),
            exemplars: Vec::new(),
            histograms: Vec::new(),
        };
        let message = message_of(&series);
        let message = first(&message);
        let read = message.read().expect("valid");
        if let Some(guess) = message.guess()
            && guess.label_bytes == read.label_bytes()
        {
            let mut found = Vec::new();
            read.for_each_field(|field| {
                if let SeriesField::Sample { timestamp, value } = field {
                    found.push((timestamp, value.to_bits()));
                }
                Ok::<_, DecodeError>(())
            }).expect("valid");
            prop_assert_eq!(found, [(guess.timestamp, guess.value.to_bits())]);
        }
    }

    #[test]
    fn no_message_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0usize..100, byte in any::<u8>()) {
        shown(&bytes).ok();
        let mut damaged = request();
        let idx = at % damaged.len();
        damaged[idx] = byte;
        shown(&damaged).ok();
        shown(&damaged[..idx]).ok();
    }
}
