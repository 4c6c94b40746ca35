//! What WAL records hold: series, samples, histograms, exemplars, metadata, tombstones.

use chunk_encoding::{ByteReader, DecodeError, put_be64, put_str, put_uvarint, put_varint};
use model::{BucketSpan, CounterResetHint, Exemplar, FloatHistogram, Labels, MetricMetadata, MetricType};

pub(crate) const SERIES: u8 = 1;
pub(crate) const SAMPLES: u8 = 2;
pub(crate) const TOMBSTONES: u8 = 3;
pub(crate) const EXEMPLARS: u8 = 4;
pub(crate) const MMAP_MARKERS: u8 = 5;
pub(crate) const METADATA: u8 = 6;
pub(crate) const HISTOGRAMS: u8 = 7;
pub(crate) const FLOAT_HISTOGRAMS: u8 = 8;
const CUSTOM_HISTOGRAMS: u8 = 9;
const CUSTOM_FLOAT_HISTOGRAMS: u8 = 10;
/// The schema of custom bucket bounds.
const CUSTOM_SCHEMA: i32 = -53;
/// More spans or buckets than this in one histogram are taken for damage.
const BUCKETS_MAX: usize = 1 << 16;

/// A float sample of the series with this WAL reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RefSample {
    pub(crate) series: u64,
    pub(crate) timestamp: i64,
    pub(crate) value: f64,
}

/// A histogram of the series with this WAL reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RefHistogram {
    pub(crate) series: u64,
    pub(crate) timestamp: i64,
    pub(crate) histogram: FloatHistogram,
}

/// A range of time in which a series' samples are deleted; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefTombstone {
    pub(crate) series: u64,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
}

/// A decoded record.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    Series(Vec<(u64, Labels)>),
    Samples(Vec<RefSample>),
    Tombstones(Vec<RefTombstone>),
    Exemplars(Vec<(u64, Exemplar)>),
    /// Series and the head chunk that holds all its out-of-order samples so far.
    MmapMarkers(Vec<(u64, u64)>),
    Metadata(Vec<(u64, MetricMetadata)>),
    Histograms(Vec<RefHistogram>),
    /// A type that this version does not know: skipped.
    Unknown(u8),
}

/// Decodes one record.
pub(crate) fn decode(record: &[u8]) -> Result<Record, DecodeError> {
    let mut reader = ByteReader::new(record);
    Ok(match reader.byte()? {
        SERIES => Record::Series(many(&mut reader, |r| Ok((r.be64()?, get_labels(r)?)))?),
        SAMPLES => Record::Samples(decode_samples(&mut reader)?),
        TOMBSTONES => Record::Tombstones(many(&mut reader, |r| {
            Ok(RefTombstone { series: r.be64()?, min_time: r.varint()?, max_time: r.varint()? })
        })?),
        EXEMPLARS => Record::Exemplars(decode_exemplars(&mut reader)?),
        MMAP_MARKERS => Record::MmapMarkers(many(&mut reader, |r| Ok((r.be64()?, r.be64()?)))?),
        METADATA => Record::Metadata(many(&mut reader, |r| Ok((r.uvarint()?, get_metadata(r)?)))?),
        HISTOGRAMS | CUSTOM_HISTOGRAMS => {
            Record::Histograms(decode_histograms(&mut reader, get_integer_histogram)?)
        }
        FLOAT_HISTOGRAMS | CUSTOM_FLOAT_HISTOGRAMS => {
            Record::Histograms(decode_histograms(&mut reader, get_float_histogram)?)
        }
        other => Record::Unknown(other),
    })
}

fn many<T>(
    reader: &mut ByteReader<'_>,
    mut item: impl FnMut(&mut ByteReader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    while !reader.is_empty() {
        items.push(item(reader)?);
    }
    Ok(items)
}

fn decode_samples(reader: &mut ByteReader<'_>) -> Result<Vec<RefSample>, DecodeError> {
    let mut samples = Vec::new();
    get_samples(reader, &mut samples)?;
    Ok(samples)
}

/// Decodes a record of samples, and only such, into `samples`, which is emptied first. `false` for other records.
pub(crate) fn decode_samples_into(record: &[u8], samples: &mut Vec<RefSample>) -> Result<bool, DecodeError> {
    samples.clear();
    let mut reader = ByteReader::new(record);
    if reader.byte()? != SAMPLES {
        return Ok(false);
    }
    get_samples(&mut reader, samples)?;
    Ok(true)
}

fn get_samples(reader: &mut ByteReader<'_>, samples: &mut Vec<RefSample>) -> Result<(), DecodeError> {
    if reader.is_empty() {
        return Ok(());
    }
    let (base_series, base_time) = (reader.be64()?, reader.be64()? as i64);
    samples.reserve(reader.rest().len() / 10);
    while !reader.is_empty() {
        samples.push(RefSample {
            series: base_series.wrapping_add(reader.varint()? as u64),
            timestamp: base_time.wrapping_add(reader.varint()?),
            value: f64::from_bits(reader.be64()?),
        });
    }
    Ok(())
}

fn decode_exemplars(reader: &mut ByteReader<'_>) -> Result<Vec<(u64, Exemplar)>, DecodeError> {
    if reader.is_empty() {
        return Ok(Vec::new());
    }
    let (base_series, base_time) = (reader.be64()?, reader.be64()? as i64);
    many(reader, |r| {
        let series = base_series.wrapping_add(r.varint()? as u64);
        let timestamp = base_time.wrapping_add(r.varint()?);
        let value = f64::from_bits(r.be64()?);
        Ok((series, Exemplar { labels: get_labels(r)?, value, timestamp }))
    })
}

fn decode_histograms(
    reader: &mut ByteReader<'_>,
    get: impl Fn(&mut ByteReader<'_>) -> Result<FloatHistogram, DecodeError>,
) -> Result<Vec<RefHistogram>, DecodeError> {
    if reader.is_empty() {
        return Ok(Vec::new());
    }
    let (base_series, base_time) = (reader.be64()?, reader.be64()? as i64);
    many(reader, |r| {
        let series = base_series.wrapping_add(r.varint()? as u64);
        let timestamp = base_time.wrapping_add(r.varint()?);
        Ok(RefHistogram { series, timestamp, histogram: get(r)? })
    })
}

/// Appends a series to a series record (which starts with [`SERIES`]).
pub(crate) fn put_series<'a>(
    dst: &mut Vec<u8>,
    series: u64,
    labels: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
) {
    put_be64(dst, series);
    put_uvarint(dst, labels.len() as u64);
    for (name, value) in labels {
        put_str(dst, name);
        put_str(dst, value);
    }
}

/// Encodes a samples record.
pub(crate) fn put_samples(dst: &mut Vec<u8>, samples: impl IntoIterator<Item = RefSample>) {
    dst.push(SAMPLES);
    let mut base: Option<(u64, i64)> = None;
    for sample in samples {
        let (series, timestamp) = *base.get_or_insert_with(|| {
            put_be64(dst, sample.series);
            put_be64(dst, sample.timestamp as u64);
            (sample.series, sample.timestamp)
        });
        let series = zigzag(sample.series.wrapping_sub(series) as i64);
        let time = zigzag(sample.timestamp.wrapping_sub(timestamp));
        if series < 1 << 21 && time < 1 << 14 {
            // As good as always: three parts in one word, put together without a branch per byte.
            let (series, series_bytes) = short_varint(series);
            let (time, time_bytes) = short_varint(time);
            let head = series | time << (8 * series_bytes);
            let length = dst.len() + series_bytes as usize + time_bytes as usize;
            dst.extend_from_slice(&head.to_le_bytes());
            dst.truncate(length);
        } else {
            put_uvarint(dst, series);
            put_uvarint(dst, time);
        }
        put_be64(dst, sample.value.to_bits());
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// A varint of at most three bytes as a little-endian word, and its length.
fn short_varint(number: u64) -> (u64, u32) {
    let bytes = u32::from(number >= 1 << 7) + u32::from(number >= 1 << 14) + 1;
    let spread = number & 0x7f | (number & 0x3f80) << 1 | (number & 0x1f_c000) << 2;
    // A one in the top bit of every byte but the last.
    (spread | (0x80_8080 & ((1 << (8 * (bytes - 1))) - 1)), bytes)
}

/// Encodes a tombstones record.
pub(crate) fn put_tombstones(dst: &mut Vec<u8>, stones: &[RefTombstone]) {
    dst.push(TOMBSTONES);
    for stone in stones {
        put_be64(dst, stone.series);
        put_varint(dst, stone.min_time);
        put_varint(dst, stone.max_time);
    }
}

/// Encodes an exemplars record.
pub(crate) fn put_exemplars(dst: &mut Vec<u8>, exemplars: &[(u64, Exemplar)]) {
    dst.push(EXEMPLARS);
    let Some((base_series, first)) = exemplars.first() else { return };
    put_be64(dst, *base_series);
    put_be64(dst, first.timestamp as u64);
    for (series, exemplar) in exemplars {
        put_varint(dst, series.wrapping_sub(*base_series) as i64);
        put_varint(dst, exemplar.timestamp.wrapping_sub(first.timestamp));
        put_be64(dst, exemplar.value.to_bits());
        put_uvarint(dst, exemplar.labels.len() as u64);
        for (name, value) in exemplar.labels.iter() {
            put_str(dst, name);
            put_str(dst, value);
        }
    }
}

/// Encodes a record of memory-map markers (out-of-order log).
pub(crate) fn put_mmap_markers(dst: &mut Vec<u8>, markers: &[(u64, u64)]) {
    dst.push(MMAP_MARKERS);
    for (series, chunk) in markers {
        put_be64(dst, *series);
        put_be64(dst, *chunk);
    }
}

/// Encodes a metadata record.
pub(crate) fn put_metadata(dst: &mut Vec<u8>, items: &[(u64, MetricMetadata)]) {
    dst.push(METADATA);
    for (series, metadata) in items {
        put_uvarint(dst, *series);
        dst.push(metric_type_byte(metadata.kind));
        put_uvarint(dst, 2);
        for (name, value) in [("UNIT", &metadata.unit), ("HELP", &metadata.help)] {
            put_str(dst, name);
            put_str(dst, value);
        }
    }
}

/// Encodes histograms as float histogram records, those with custom bounds in a record of their own.
pub(crate) fn put_histograms(histograms: &[RefHistogram], mut write: impl FnMut(&[u8])) {
    for custom in [false, true] {
        let mut dst = vec![if custom { CUSTOM_FLOAT_HISTOGRAMS } else { FLOAT_HISTOGRAMS }];
        let mut base: Option<(u64, i64)> = None;
        for item in histograms.iter().filter(|item| (item.histogram.schema == CUSTOM_SCHEMA) == custom) {
            let (series, timestamp) = *base.get_or_insert_with(|| {
                put_be64(&mut dst, item.series);
                put_be64(&mut dst, item.timestamp as u64);
                (item.series, item.timestamp)
            });
            put_varint(&mut dst, item.series.wrapping_sub(series) as i64);
            put_varint(&mut dst, item.timestamp.wrapping_sub(timestamp));
            put_float_histogram(&mut dst, &item.histogram);
        }
        if base.is_some() {
            write(&dst);
        }
    }
}

fn get_labels(reader: &mut ByteReader<'_>) -> Result<Labels, DecodeError> {
    let count = reader.length()?;
    if count > reader.rest().len() {
        return Err(DecodeError::Truncated);
    }
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((reader.str()?, reader.str()?));
    }
    // Written by others, too: only sorted sets may take the short way.
    let sorted = pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs.iter().all(|pair| !pair.1.is_empty());
    Ok(if sorted { Labels::from_sorted(pairs) } else { Labels::from_pairs(pairs) })
}

fn get_metadata(reader: &mut ByteReader<'_>) -> Result<MetricMetadata, DecodeError> {
    let mut metadata = MetricMetadata { kind: metric_type(reader.byte()?), ..MetricMetadata::default() };
    for _ in 0..reader.length()? {
        let (name, value) = (reader.str()?, reader.str()?);
        match name {
            "UNIT" => value.clone_into(&mut metadata.unit),
            "HELP" => value.clone_into(&mut metadata.help),
            _ => {}
        }
    }
    Ok(metadata)
}

fn metric_type_byte(kind: MetricType) -> u8 {
    match kind {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

fn metric_type(byte: u8) -> MetricType {
    match byte {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}

fn hint_byte(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn hint(byte: u8) -> CounterResetHint {
    match byte {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn put_float_histogram(dst: &mut Vec<u8>, histogram: &FloatHistogram) {
    dst.push(hint_byte(histogram.counter_reset_hint));
    put_varint(dst, i64::from(histogram.schema));
    for field in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        put_be64(dst, field.to_bits());
    }
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        put_uvarint(dst, spans.len() as u64);
        for span in spans {
            put_varint(dst, i64::from(span.offset));
            put_uvarint(dst, u64::from(span.length));
        }
    }
    for buckets in [&histogram.positive_buckets, &histogram.negative_buckets] {
        put_uvarint(dst, buckets.len() as u64);
        buckets.iter().for_each(|bucket| put_be64(dst, bucket.to_bits()));
    }
    if histogram.schema == CUSTOM_SCHEMA {
        put_uvarint(dst, histogram.custom_values.len() as u64);
        histogram.custom_values.iter().for_each(|bound| put_be64(dst, bound.to_bits()));
    }
}

fn get_float_histogram(reader: &mut ByteReader<'_>) -> Result<FloatHistogram, DecodeError> {
    let float = |r: &mut ByteReader<'_>| r.be64().map(f64::from_bits);
    let mut histogram = get_head(reader)?;
    histogram.zero_count = float(reader)?;
    histogram.count = float(reader)?;
    histogram.sum = float(reader)?;
    histogram.positive_spans = get_list(reader, get_span)?;
    histogram.negative_spans = get_list(reader, get_span)?;
    histogram.positive_buckets = get_list(reader, float)?;
    histogram.negative_buckets = get_list(reader, float)?;
    if histogram.schema == CUSTOM_SCHEMA {
        histogram.custom_values = get_list(reader, float)?;
    }
    Ok(histogram)
}

fn get_integer_histogram(reader: &mut ByteReader<'_>) -> Result<FloatHistogram, DecodeError> {
    let mut histogram = get_head(reader)?;
    histogram.zero_count = reader.uvarint()? as f64;
    histogram.count = reader.uvarint()? as f64;
    histogram.sum = f64::from_bits(reader.be64()?);
    histogram.positive_spans = get_list(reader, get_span)?;
    histogram.negative_spans = get_list(reader, get_span)?;
    histogram.positive_buckets = get_differences(reader)?;
    histogram.negative_buckets = get_differences(reader)?;
    if histogram.schema == CUSTOM_SCHEMA {
        histogram.custom_values = get_list(reader, |r| r.be64().map(f64::from_bits))?;
    }
    Ok(histogram)
}

fn get_head(reader: &mut ByteReader<'_>) -> Result<FloatHistogram, DecodeError> {
    let counter_reset_hint = hint(reader.byte()?);
    let schema = i32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("schema"))?;
    let zero_threshold = f64::from_bits(reader.be64()?);
    Ok(FloatHistogram { counter_reset_hint, schema, zero_threshold, ..FloatHistogram::default() })
}

fn get_span(reader: &mut ByteReader<'_>) -> Result<BucketSpan, DecodeError> {
    let offset = i32::try_from(reader.varint()?);
    let length = u32::try_from(reader.uvarint()?);
    match (offset, length) {
        (Ok(offset), Ok(length)) => Ok(BucketSpan { offset, length }),
        _ => Err(DecodeError::Invalid("histogram spans")),
    }
}

fn get_list<T>(
    reader: &mut ByteReader<'_>,
    get: impl Fn(&mut ByteReader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.length()?;
    if count > BUCKETS_MAX || count > reader.rest().len() {
        return Err(DecodeError::Truncated);
    }
    (0..count).map(|_| get(reader)).collect()
}

fn get_differences(reader: &mut ByteReader<'_>) -> Result<Vec<f64>, DecodeError> {
    let mut total = 0i64;
    let differences = get_list(reader, |r| r.varint())?;
    let running = |difference: i64| {
        total = total.wrapping_add(difference);
        total as f64
    };
    Ok(differences.into_iter().map(running).collect())
}
