//! Big-endian integers, LEB128 varints, length-prefixed strings, CRC-32C: what Prometheus' files are made of.

use crate::DecodeError;

/// CRC-32C (Castagnoli) of `data`.
pub fn crc32c(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
}

/// Appends a big-endian u32.
pub fn put_be32(dst: &mut Vec<u8>, value: u32) {
    dst.extend_from_slice(&value.to_be_bytes());
}

/// Appends a big-endian u64.
pub fn put_be64(dst: &mut Vec<u8>, value: u64) {
    dst.extend_from_slice(&value.to_be_bytes());
}

/// Appends an unsigned varint.
pub fn put_uvarint(dst: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        dst.push(value as u8 | 0x80);
        value >>= 7;
    }
    dst.push(value as u8);
}

/// Appends a signed (zigzag) varint.
pub fn put_varint(dst: &mut Vec<u8>, value: i64) {
    put_uvarint(dst, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a string behind its length as an unsigned varint.
pub fn put_str(dst: &mut Vec<u8>, text: &str) {
    put_uvarint(dst, text.len() as u64);
    dst.extend_from_slice(text.as_bytes());
}

/// Reads values off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// Reads from the start of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A big-endian u32.
    pub fn be32(&mut self) -> Result<u32, DecodeError> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*first))
    }

    /// A big-endian u64.
    #[inline]
    pub fn be64(&mut self) -> Result<u64, DecodeError> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*first))
    }

    /// An unsigned varint.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u64, DecodeError> {
        match self.rest {
            [a, rest @ ..] if *a < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*a))
            }
            [a, b, rest @ ..] if *b < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*a & 0x7f) | u64::from(*b) << 7)
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (idx, byte) in self.rest.iter().enumerate().take(10) {
            if idx == 9 && *byte > 1 {
                return Err(DecodeError::VarintTooLong);
            }
            value |= u64::from(byte & 0x7f) << (7 * idx);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[idx + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { DecodeError::Truncated } else { DecodeError::VarintTooLong })
    }

    /// A signed (zigzag) varint.
    #[inline]
    pub fn varint(&mut self) -> Result<i64, DecodeError> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// An unsigned varint that counts or measures something in memory.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.uvarint()?).map_err(|_| DecodeError::Invalid("length"))
    }

    /// A string behind its length.
    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::NotUtf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_have_gos_bytes() {
        for (value, bytes) in [(0u64, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])]
        {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            assert_eq!(out, bytes);
        }
        for (value, bytes) in [(0i64, vec![0]), (-1, vec![1]), (1, vec![2]), (-65, vec![0x81, 1])] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes);
        }
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(ByteReader::new(&[0xff; 10]).uvarint(), Err(DecodeError::VarintTooLong));
        assert_eq!(ByteReader::new(&[0x80]).uvarint(), Err(DecodeError::Truncated));
    }

    proptest! {
        #[test]
        fn numbers_and_text_come_back(a: u64, b: i64, c: u32, text in ".{0,20}") {
            let mut out = Vec::new();
            put_uvarint(&mut out, a);
            put_varint(&mut out, b);
            put_be32(&mut out, c);
            put_be64(&mut out, a);
            put_str(&mut out, &text);
            let mut reader = ByteReader::new(&out);
            prop_assert_eq!(reader.uvarint(), Ok(a));
            prop_assert_eq!(reader.varint(), Ok(b));
            prop_assert_eq!(reader.be32(), Ok(c));
            prop_assert_eq!(reader.be64(), Ok(a));
            prop_assert_eq!(reader.str(), Ok(&*text));
            prop_assert!(reader.is_empty());
        }
    }
}
