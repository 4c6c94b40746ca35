//! What the fuzz targets call. Those of the store are its tests', too.

#[path = "../../crates/tsdb/tests/it/arbitrary.rs"]
mod arbitrary;

use chunk_encoding::{HistogramKind, XorState, decode_histograms, decode_xor};
use remote_write::{RawPart, SeriesField, WriteRequest};

/// A log with these records.
pub fn wal(data: &[u8]) {
    arbitrary::wal(data);
}

/// A segment of a log.
pub fn wal_segment(data: &[u8]) {
    arbitrary::wal_segment(data);
}

/// A file of head chunks.
pub fn head_chunks(data: &[u8]) {
    arbitrary::head_chunks(data);
}

/// A block with changes in its files.
pub fn block(data: &[u8]) {
    arbitrary::block(data);
}

/// A chunk of every encoding; an XOR chunk that can be read can be appended to.
pub fn chunks(data: &[u8]) {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    if decode_xor(data, &mut times, &mut values).is_ok()
        && times.len() < usize::from(u16::MAX)
        && let Ok(mut state) = XorState::resume(data)
    {
        let mut chunk = data.to_vec();
        state.append(&mut chunk, 12_345, 1.5);
        let (mut longer_times, mut longer_values) = (Vec::new(), Vec::new());
        decode_xor(&chunk, &mut longer_times, &mut longer_values).expect("what was appended to is whole");
        assert_eq!(longer_times.pop(), Some(12_345));
        assert_eq!(longer_values.pop(), Some(1.5));
        assert_eq!(longer_times, times);
        assert!(longer_values.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    for kind in [HistogramKind::Integer, HistogramKind::Float] {
        decode_histograms(kind, data, &mut Vec::new(), &mut Vec::new()).ok();
    }
}

/// A decompressed request of remote write.
pub fn remote_write(data: &[u8]) {
    let mut labels = model::LabelsBuilder::new();
    let mut request = WriteRequest::new(data);
    while let Ok(Some(part)) = request.next_raw_part() {
        let message = match part {
            RawPart::Series(message) => message,
            RawPart::Metadata(metadata) => {
                metadata.read().ok();
                continue;
            }
        };
        let Ok(series) = message.read() else { continue };
        series.labels(&mut labels).ok();
        let mut samples = Vec::new();
        let walked = series.for_each_field(|field| {
            match field {
                SeriesField::Sample { timestamp, value } => samples.push((timestamp, value.to_bits())),
                SeriesField::Exemplar(exemplar) => drop(exemplar.read()),
                SeriesField::Histogram { .. } => {}
            }
            Ok::<_, remote_write::DecodeError>(())
        });
        if let Some(guess) = message.guess()
            && guess.label_bytes.len() == series.label_bytes().len()
            && walked.is_ok()
        {
            assert_eq!(samples, [(guess.timestamp, guess.value.to_bits())]);
        }
    }
}

/// A packet of the alert managers' membership protocol, and a change that goes along with it.
pub fn peer(data: &[u8]) {
    alert_manager::cluster::check_packet(data);
    alert_manager::cluster::check_change(data);
}
