//! Integers of a fixed number of bits, least significant bit first.

use chunk_encoding::DecodeError;

/// The bits that `value` needs.
pub(crate) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Appends values of at most `width` bits.
pub(crate) fn pack(dst: &mut Vec<u8>, values: impl Iterator<Item = u64>, width: u32) {
    let (mut buffer, mut filled) = (0u128, 0u32);
    for value in values {
        buffer |= u128::from(value) << filled;
        filled += width;
        if filled >= 64 {
            dst.extend_from_slice(&(buffer as u64).to_le_bytes());
            buffer >>= 64;
            filled -= 64;
        }
    }
    dst.extend_from_slice(&buffer.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Packed values that can be read at any place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a> {
    bytes: &'a [u8],
    width: u32,
    len: usize,
}

impl<'a> Packed<'a> {
    /// Takes the bytes of `len` values off the front of `bytes`; returns the rest as well.
    pub(crate) fn split(bytes: &'a [u8], len: usize, width: u32) -> Result<(Self, &'a [u8]), DecodeError> {
        if width > 64 {
            return Err(DecodeError::Invalid("bit width"));
        }
        let bits = len.checked_mul(width as usize).ok_or(DecodeError::Truncated)?;
        let (own, rest) = bytes.split_at_checked(bits.div_ceil(8)).ok_or(DecodeError::Truncated)?;
        Ok((Self { bytes: own, width, len }, rest))
    }

    /// The value at `idx`, which must be less than the number of values.
    pub(crate) fn get(&self, idx: usize) -> u64 {
        debug_assert!(idx < self.len, "index beyond the packed values");
        let bit = idx * self.width as usize;
        let from = bit / 8;
        // Eight bytes hold it, wherever it begins in the first of them.
        if self.width <= 57
            && let Some(bytes) = self.bytes.get(from..).and_then(|rest| rest.first_chunk::<8>())
        {
            return u64::from_le_bytes(*bytes) >> (bit % 8) & ((1 << self.width) - 1);
        }
        let mut window = [0u8; 16];
        let available = self.bytes.len().saturating_sub(from).min(9);
        window[..available].copy_from_slice(&self.bytes[from..from + available]);
        let value = (u128::from_le_bytes(window) >> (bit % 8)) as u64;
        if self.width == 64 { value } else { value & ((1 << self.width) - 1) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len).map(|idx| self.get(idx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]
        #[test]
        fn values_of_any_width_come_back(width in 0u32..=64, seeds in proptest::collection::vec(proptest::num::u64::ANY, 0..50)) {
            let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            let values: Vec<u64> = seeds.iter().map(|seed| seed & mask).collect();
            let mut bytes = Vec::new();
            pack(&mut bytes, values.iter().copied(), width);
            bytes.push(0xEE);
            let (packed, rest) = Packed::split(&bytes, values.len(), width).unwrap();
            assert_eq!((packed.iter().collect::<Vec<_>>(), rest), (values, [0xEE].as_slice()));
        }
    }
}
