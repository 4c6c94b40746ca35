//! Times of a block's rows: groups of 128, each with its first time and bit-packed differences. The groups' heads stand
//! before all differences, so that a time is found, and a count made, without decoding the others.

use std::ops::Range;

use chunk_encoding::{ByteReader, DecodeError, put_uvarint, put_varint};
use model::TimestampNs;

use crate::bitpack::{Packed, pack, width_of};

/// Rows of a group.
pub(crate) const GROUP: usize = 128;
/// Powers of ten that all times of a block may be multiples of: s, ms, µs.
const SCALES: [i64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// Appends times, which must be in order.
pub(crate) fn encode(dst: &mut Vec<u8>, timestamps: &[TimestampNs]) {
    debug_assert!(timestamps.is_sorted(), "rows of a block are in order of time");
    let scale = SCALES.into_iter().find(|scale| timestamps.iter().all(|ts| ts % scale == 0)).unwrap_or(1);
    put_uvarint(dst, scale as u64);
    let divided: Vec<i64>;
    let timestamps = if scale == 1 {
        timestamps
    } else {
        divided = timestamps.iter().map(|ts| ts / scale).collect();
        &divided
    };
    let delta = |pair: &[i64]| pair[1].wrapping_sub(pair[0]) as u64;
    let mut previous = 0i64;
    let mut packed = Vec::with_capacity(timestamps.len() * 4);
    for group in timestamps.chunks(GROUP) {
        put_varint(dst, group[0].wrapping_sub(previous));
        previous = group[0];
        let least = group.windows(2).map(delta).min().unwrap_or(0);
        let most = group.windows(2).map(delta).max().unwrap_or(0);
        let width = width_of(most - least);
        put_uvarint(dst, least);
        dst.push(width as u8);
        pack(&mut packed, group.windows(2).map(|pair| delta(pair) - least), width);
    }
    dst.extend_from_slice(&packed);
}

/// Times that are decoded group by group.
#[derive(Debug)]
pub(crate) struct Times {
    rows: usize,
    scale: i64,
    groups: Vec<Group>,
    packed: Vec<u8>,
}

#[derive(Debug)]
struct Group {
    first: i64,
    least: u64,
    width: u32,
    at: usize,
}

impl Times {
    /// Reads the heads of the groups of `rows` times.
    pub(crate) fn decode(bytes: &[u8], rows: usize) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let scale = reader.uvarint()? as i64;
        // A group takes at least three bytes: no more rows than the bytes can hold are made room for.
        if rows > bytes.len().saturating_mul(GROUP) {
            return Err(DecodeError::Truncated);
        }
        let mut groups = Vec::with_capacity(rows.div_ceil(GROUP));
        let (mut first, mut at) = (0i64, 0);
        for group in 0..rows.div_ceil(GROUP) {
            first = first.wrapping_add(reader.varint()?);
            let least = reader.uvarint()?;
            let width = u32::from(reader.byte()?);
            if width > 64 {
                return Err(DecodeError::Invalid("bit width"));
            }
            groups.push(Group { first, least, width, at });
            let differences = GROUP.min(rows - group * GROUP) - 1;
            at += (differences * width as usize).div_ceil(8);
        }
        let packed = reader.rest();
        if packed.len() < at {
            return Err(DecodeError::Truncated);
        }
        let is_sorted = groups.is_sorted_by_key(|group| group.first.wrapping_mul(scale));
        if !is_sorted {
            return Err(DecodeError::Invalid("order of times"));
        }
        Ok(Self { rows, scale, groups, packed: packed[..at].to_vec() })
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The rows of a group.
    pub(crate) fn rows_of(&self, group: usize) -> Range<usize> {
        group * GROUP..self.rows.min((group + 1) * GROUP)
    }

    /// The first time of a group.
    pub(crate) fn first(&self, group: usize) -> TimestampNs {
        self.groups[group].first.wrapping_mul(self.scale)
    }

    /// Appends the times of a group.
    pub(crate) fn append_group(&self, group: usize, dst: &mut Vec<TimestampNs>) -> Result<(), DecodeError> {
        let Group { first, least, width, at } = &self.groups[group];
        let (deltas, _) = Packed::split(&self.packed[*at..], self.rows_of(group).len() - 1, *width)?;
        let mut value = *first;
        dst.push(value.wrapping_mul(self.scale));
        for delta in deltas.iter() {
            value = value.wrapping_add(least.wrapping_add(delta) as i64);
            dst.push(value.wrapping_mul(self.scale));
        }
        Ok(())
    }

    /// All times.
    pub(crate) fn all(&self) -> Result<Vec<TimestampNs>, DecodeError> {
        let mut timestamps = Vec::with_capacity(self.rows);
        for group in 0..self.groups.len() {
            self.append_group(group, &mut timestamps)?;
        }
        if !timestamps.is_sorted() {
            return Err(DecodeError::Invalid("order of times"));
        }
        Ok(timestamps)
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.packed.len() + self.groups.len() * size_of::<Group>()
    }
}

/// Reads `rows` times back.
#[cfg(test)]
fn decode(bytes: &[u8], rows: usize) -> Result<Vec<TimestampNs>, DecodeError> {
    Times::decode(bytes, rows)?.all()
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
