//! Integers of variable width with a unary prefix, as histogram chunks use them.

use crate::{BitReader, BitWriter, DecodeError};

/// Width of the value behind a prefix of so many ones; the ninth form (eight ones) holds 64 bits.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether `value` lies in the range that `bits` bits hold: one more positive than negative.
#[inline]
pub(crate) fn fits_signed(value: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    value > -half && value <= half
}

/// Undoes the truncation of a signed value to `bits` bits.
#[inline]
pub(crate) fn extend_signed(raw: u64, bits: u32) -> i64 {
    if bits < 64 && raw > 1 << (bits - 1) { raw.wrapping_sub(1 << bits) as i64 } else { raw as i64 }
}

/// Appends a signed integer.
pub(crate) fn put_varbit(writer: &mut BitWriter, dst: &mut Vec<u8>, value: i64) {
    let ones = match value {
        0 => 0,
        _ => (1..8).find(|ones| fits_signed(value, WIDTHS[*ones])).unwrap_or(8),
    };
    put_form(writer, dst, value as u64, ones);
}

/// Appends an unsigned integer.
pub(crate) fn put_varbit_unsigned(writer: &mut BitWriter, dst: &mut Vec<u8>, value: u64) {
    let ones = (0..8).find(|ones| value >> WIDTHS[*ones] == 0).unwrap_or(8);
    put_form(writer, dst, value, ones);
}

fn put_form(writer: &mut BitWriter, dst: &mut Vec<u8>, value: u64, ones: usize) {
    match ones {
        8 => writer.put(dst, 0xff, 8),
        // So many ones and a zero.
        _ => writer.put(dst, (1 << (ones + 1)) - 2, ones as u32 + 1),
    }
    writer.put(dst, value, WIDTHS[ones]);
}

/// Reads a signed integer.
pub(crate) fn get_varbit(reader: &mut BitReader<'_>) -> Result<i64, DecodeError> {
    let width = prefix_width(reader);
    let raw = reader.get(width);
    reader.check()?;
    Ok(if width == 0 { 0 } else { extend_signed(raw, width) })
}

/// Reads an unsigned integer.
pub(crate) fn get_varbit_unsigned(reader: &mut BitReader<'_>) -> Result<u64, DecodeError> {
    let width = prefix_width(reader);
    let raw = reader.get(width);
    reader.check()?;
    Ok(raw)
}

fn prefix_width(reader: &mut BitReader<'_>) -> u32 {
    let ones = reader.peek().leading_ones().min(8);
    reader.skip(if ones == 8 { 8 } else { ones + 1 });
    WIDTHS[ones as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_has_its_width() {
        for (value, bits) in [
            (0, 1),
            (1, 5),
            (4, 5),
            (-3, 5),
            (-4, 9),
            (32, 9),
            (-255, 13),
            (2048, 17),
            (1 << 17, 24),
            (1 << 24, 32),
        ] {
            let (mut out, mut writer) = (Vec::new(), BitWriter::default());
            put_varbit(&mut writer, &mut out, value);
            let mut reader = BitReader::new(&out);
            assert_eq!(get_varbit(&mut reader), Ok(value));
            assert_eq!(reader.position(), bits, "{value}");
        }
    }

    proptest! {
        #[test]
        fn integers_come_back(shift in 0u32..64, raw: i64) {
            let value = raw >> shift;
            let (mut out, mut writer) = (Vec::new(), BitWriter::default());
            put_varbit(&mut writer, &mut out, value);
            put_varbit_unsigned(&mut writer, &mut out, value as u64);
            let mut reader = BitReader::new(&out);
            prop_assert_eq!(get_varbit(&mut reader), Ok(value));
            prop_assert_eq!(get_varbit_unsigned(&mut reader), Ok(value as u64));
        }
    }
}
