//! Bit streams, most significant bit first.

use crate::DecodeError;

/// Appends bits to a byte buffer. The buffer is the caller's; this is only how far its last byte is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitWriter {
    /// Unused low bits of the buffer's last byte: 0 to 7.
    free: u8,
}

impl BitWriter {
    /// What a buffer must have to spare behind the bits that are put, so that it does not grow.
    pub const WORD_BYTES: usize = 8;

    /// Goes on in a buffer whose last byte has `free` unused low bits.
    pub fn resume(free: u8) -> Self {
        Self { free: free & 7 }
    }

    /// Appends the low `count` bits of `value`, at most 64. The buffer grows where it has not [`Self::WORD_BYTES`] to spare.
    #[inline]
    pub fn put(&mut self, dst: &mut Vec<u8>, value: u64, count: u32) {
        debug_assert!(count <= 64, "at most 64 bits at once");
        if count == 0 {
            return;
        }
        let mut aligned = value << (64 - count);
        let mut count = count;
        let free = u32::from(self.free);
        if free > 0 {
            if let Some(last) = dst.last_mut() {
                *last |= (aligned >> (64 - free)) as u8;
            }
            if count <= free {
                self.free = (free - count) as u8;
                return;
            }
            aligned <<= free;
            count -= free;
        }
        let bytes = count.div_ceil(8);
        // A whole word is stored and cut: a copy of a fixed length is one instruction, one of a few bytes a call.
        let length = dst.len() + bytes as usize;
        dst.extend_from_slice(&aligned.to_be_bytes());
        dst.truncate(length);
        self.free = (bytes * 8 - count) as u8;
    }

    /// Appends one bit.
    #[inline]
    pub fn bit(&mut self, dst: &mut Vec<u8>, bit: bool) {
        self.put(dst, u64::from(bit), 1);
    }

    /// Appends a byte, at any bit position.
    #[inline]
    pub fn byte(&mut self, dst: &mut Vec<u8>, byte: u8) {
        self.put(dst, u64::from(byte), 8);
    }
}

/// Reads bits. Reading past the end yields zeros; [`BitReader::check`] tells whether that has happened.
#[derive(Clone, Copy, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// The next bit's position.
    pos: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from the start of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    /// At least 57 bits from the present position on, left-aligned; zeros past the end.
    #[inline]
    pub fn peek(&self) -> u64 {
        let byte = self.pos >> 3;
        let word = match self.data.get(byte..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) => u64::from_be_bytes(*chunk),
            None => self.peek_tail(byte),
        };
        word << (self.pos & 7)
    }

    #[inline]
    fn peek_tail(&self, byte: usize) -> u64 {
        // The last eight bytes, without those that are behind us.
        if let Some(last) = self.data.last_chunk::<8>() {
            let behind = (byte + 8).saturating_sub(self.data.len()) * 8;
            return u64::from_be_bytes(*last).checked_shl(behind as u32).unwrap_or(0);
        }
        self.peek_short(byte)
    }

    #[cold]
    fn peek_short(&self, byte: usize) -> u64 {
        let mut padded = [0; 8];
        let rest = self.data.get(byte..).unwrap_or(&[]);
        padded[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(padded)
    }

    /// Moves on by `count` bits.
    #[inline]
    pub fn skip(&mut self, count: u32) {
        self.pos += count as usize;
    }

    /// The next `count` bits, at most 64.
    #[inline]
    pub fn get(&mut self, count: u32) -> u64 {
        if count == 0 {
            return 0;
        }
        if count <= 57 {
            let value = self.peek() >> (64 - count);
            self.skip(count);
            return value;
        }
        let high = self.get(count - 32);
        (high << 32) | self.get(32)
    }

    /// The next bit.
    #[inline]
    pub fn bit(&mut self) -> bool {
        self.get(1) == 1
    }

    /// The position in bits.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// How many bits are left.
    pub fn bits_left(&self) -> usize {
        (self.data.len() * 8).saturating_sub(self.pos)
    }

    /// An error once more was read than there is.
    #[inline]
    pub fn check(&self) -> Result<(), DecodeError> {
        if self.pos <= self.data.len() * 8 { Ok(()) } else { Err(DecodeError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(items in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..60)) {
            let (mut out, mut writer) = (Vec::new(), BitWriter::default());
            for (value, count) in &items {
                writer.put(&mut out, *value, *count);
            }
            let total: u32 = items.iter().map(|item| item.1).sum();
            prop_assert_eq!(out.len(), total.div_ceil(8) as usize);
            let mut reader = BitReader::new(&out);
            for (value, count) in &items {
                let mask = if *count == 64 { u64::MAX } else { (1 << count) - 1 };
                prop_assert_eq!(reader.get(*count), value & mask);
            }
            prop_assert!(reader.check().is_ok());
            reader.get(64);
            prop_assert_eq!(reader.check(), Err(DecodeError::Truncated));
        }
    }
}
