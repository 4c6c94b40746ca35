//! Times of a block's rows: groups of 128, each with its first time and bit-packed differences.

use chunk_encoding::{ByteReader, DecodeError, put_uvarint, put_varint};
use model::TimestampNs;

use crate::bitpack::{Packed, pack, width_of};

const GROUP: usize = 128;
/// Powers of ten that all times of a block may be multiples of: s, ms, µs.
const SCALES: [i64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// Appends times, which must be in order.
pub(crate) fn encode(dst: &mut Vec<u8>, timestamps: &[TimestampNs]) {
    debug_assert!(timestamps.is_sorted(), "rows of a block are in order of time");
    let scale = SCALES.into_iter().find(|scale| timestamps.iter().all(|ts| ts % scale == 0)).unwrap_or(1);
    put_uvarint(dst, scale as u64);
    let mut previous = 0i64;
    for group in timestamps.chunks(GROUP) {
        put_varint(dst, (group[0] / scale).wrapping_sub(previous));
        previous = group[0] / scale;
        let delta = |pair: &[i64]| (pair[1] / scale).wrapping_sub(pair[0] / scale) as u64;
        let least = group.windows(2).map(delta).min().unwrap_or(0);
        let most = group.windows(2).map(delta).max().unwrap_or(0);
        let width = width_of(most - least);
        put_uvarint(dst, least);
        dst.push(width as u8);
        pack(dst, group.windows(2).map(|pair| delta(pair) - least), width);
    }
}

/// Reads `rows` times back.
pub(crate) fn decode(bytes: &[u8], rows: usize) -> Result<Vec<TimestampNs>, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let scale = reader.uvarint()? as i64;
    // A group takes at least three bytes: no more rows than the bytes can hold are made room for.
    if rows > bytes.len().saturating_mul(GROUP) {
        return Err(DecodeError::Truncated);
    }
    let mut timestamps = Vec::with_capacity(rows);
    let mut first = 0i64;
    while timestamps.len() < rows {
        let count = GROUP.min(rows - timestamps.len());
        first = first.wrapping_add(reader.varint()?);
        let least = reader.uvarint()?;
        let width = u32::from(reader.byte()?);
        let (deltas, rest) = Packed::split(reader.rest(), count - 1, width)?;
        let mut value = first;
        timestamps.push(value.wrapping_mul(scale));
        for delta in deltas.iter() {
            value = value.wrapping_add(least.wrapping_add(delta) as i64);
            timestamps.push(value.wrapping_mul(scale));
        }
        reader = ByteReader::new(rest);
    }
    if !timestamps.is_sorted() {
        return Err(DecodeError::Invalid("order of times"));
    }
    Ok(timestamps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(mut timestamps: Vec<i64>) {
        timestamps.sort_unstable();
        let mut bytes = Vec::new();
        encode(&mut bytes, &timestamps);
        assert_eq!(decode(&bytes, timestamps.len()), Ok(timestamps));
    }

    #[test]
    fn extremes_come_back() {
        check(vec![]);
        check(vec![i64::MIN, i64::MAX]);
        check(vec![i64::MIN, -1, 0, 1, i64::MAX]);
        check(vec![5_000_000_000; 300]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_times_come_back(timestamps in proptest::collection::vec(any::<i64>(), 0..400)) {
            check(timestamps);
        }

        #[test]
        fn any_bytes_are_times_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80), rows in 0usize..2000) {
            decode(&bytes, rows).ok();
        }

        #[test]
        fn times_of_a_unit_come_back(start in 0i64..1 << 40, deltas in proptest::collection::vec(0i64..5000, 0..300)) {
            let mut at = start;
            check(deltas.iter().map(|delta| { at += delta; at * 1_000_000 }).collect());
        }
    }
}
