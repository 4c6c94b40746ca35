//! XOR chunks (encoding 1): delta of delta for timestamps, XOR with the predecessor for values.
//!
//! Bytes 0 and 1 hold the number of samples; what is behind them is a bit stream.

use crate::varbit::{extend_signed, fits_signed};
use crate::{BitReader, BitWriter, ByteReader, DecodeError, put_varint};

/// What has to be known of an open chunk to append to it: one half of a cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct XorState {
    timestamp: i64,
    value_bits: u64,
    delta: u64,
    count: u16,
    window: XorWindow,
    writer: BitWriter,
}

/// Where the last XOR that was stored with its position had its significant bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XorWindow {
    /// Zeros before; 0xff before there is a window.
    leading: u8,
    /// Zeros behind.
    trailing: u8,
}

impl XorWindow {
    /// No window yet: the first change brings its own.
    pub(crate) const NONE: Self = Self { leading: 0xff, trailing: 0 };

    /// How many bits of a value lie in it; more than a value has where there is no window yet.
    #[inline]
    fn significant(self) -> u32 {
        if self.leading == 0xff { 65 } else { 64 - u32::from(self.leading) - u32::from(self.trailing) }
    }

    /// A window from the low 11 bits: five for the zeros before, six for the significant bits, where 0 stands for 64.
    #[inline]
    fn parse(bits: u16) -> Result<Self, DecodeError> {
        let leading = (bits >> 6) as u8 & 31;
        let significant = match bits as u8 & 63 {
            0 => 64,
            length => length,
        };
        if leading + significant > 64 {
            return Err(DecodeError::Invalid("XOR window"));
        }
        Ok(Self { leading, trailing: 64 - leading - significant })
    }

    /// Appends `bits` as the XOR with `previous`.
    #[inline]
    pub(crate) fn put(&mut self, writer: &mut BitWriter, dst: &mut Vec<u8>, bits: u64, previous: u64) {
        let xor = bits ^ previous;
        if xor == 0 {
            writer.bit(dst, false);
            return;
        }
        let leading = (xor.leading_zeros() as u8).min(31);
        let trailing = xor.trailing_zeros() as u8;
        if self.leading != 0xff && leading >= self.leading && trailing >= self.trailing {
            let significant = 64 - u32::from(self.leading) - u32::from(self.trailing);
            put_two(writer, dst, (0b10, 2), (xor >> self.trailing, significant));
            return;
        }
        *self = Self { leading, trailing };
        let significant = 64 - u32::from(leading) - u32::from(trailing);
        // 64 significant bits wrap to 0 in the six bits of the length.
        let control = (0b11 << 11) | (u64::from(leading) << 6) | u64::from(significant & 63);
        put_two(writer, dst, (control, 13), (xor >> trailing, significant));
    }

    /// Reads a value that was stored as the XOR with `previous`.
    #[inline]
    pub(crate) fn get(&mut self, reader: &mut BitReader<'_>, previous: u64) -> Result<u64, DecodeError> {
        let head = reader.peek();
        if head >> 63 == 0 {
            reader.skip(1);
            return Ok(previous);
        }
        if head >> 62 == 0b10 {
            reader.skip(2);
            if self.leading == 0xff {
                return Err(DecodeError::Invalid("XOR window"));
            }
        } else {
            *self = Self::parse((head >> 51) as u16)?;
            reader.skip(13);
        }
        let significant = 64 - u32::from(self.leading) - u32::from(self.trailing);
        Ok(previous ^ (reader.get(significant) << self.trailing))
    }
}

/// Appends two values, each with its number of bits and none above them: at once where a word holds both.
#[inline]
fn put_two(writer: &mut BitWriter, dst: &mut Vec<u8>, first: (u64, u32), second: (u64, u32)) {
    if first.1 + second.1 <= 64 {
        writer.put(dst, first.0 << second.1 | second.0, first.1 + second.1);
    } else {
        writer.put(dst, first.0, first.1);
        writer.put(dst, second.0, second.1);
    }
}

impl XorState {
    /// The most bytes by which a chunk grows with one sample, with what its writer wants to spare.
    pub const SAMPLE_BYTES_MAX: usize = 20 + BitWriter::WORD_BYTES;

    /// Starts a chunk: clears `chunk` and writes its empty header.
    pub fn start(chunk: &mut Vec<u8>) -> Self {
        chunk.clear();
        chunk.extend_from_slice(&[0, 0]);
        Self {
            timestamp: 0,
            value_bits: 0,
            delta: 0,
            count: 0,
            window: XorWindow::NONE,
            writer: BitWriter::default(),
        }
    }

    /// The state with which `chunk` can be appended to.
    pub fn resume(chunk: &[u8]) -> Result<Self, DecodeError> {
        let mut state = Self::start(&mut Vec::new());
        let end = state.walk(chunk, |_, _| true)?;
        let free = (8 - end % 8) % 8;
        state.writer = BitWriter::resume(free as u8);
        if end.div_ceil(8) != chunk.len() {
            return Err(DecodeError::Invalid("chunk length"));
        }
        // What is appended is added to these bits.
        if chunk.last().is_some_and(|last| last & ((1 << free) - 1) as u8 != 0) {
            return Err(DecodeError::Invalid("chunk padding"));
        }
        Ok(state)
    }

    /// Appends a sample. The caller has to see to the order; at most 65535 samples fit.
    #[inline]
    pub fn append(&mut self, chunk: &mut Vec<u8>, timestamp: i64, value: f64) {
        debug_assert!(self.count < u16::MAX, "a chunk holds at most 65535 samples");
        let bits = value.to_bits();
        match self.count {
            0 => {
                put_varint(chunk, timestamp);
                self.writer.put(chunk, bits, 64);
            }
            1 => {
                self.delta = timestamp.wrapping_sub(self.timestamp) as u64;
                self.put_delta(chunk);
                self.window.put(&mut self.writer, chunk, bits, self.value_bits);
            }
            _ => {
                let delta = timestamp.wrapping_sub(self.timestamp) as u64;
                let change = delta.wrapping_sub(self.delta) as i64;
                self.put_change(chunk, change);
                self.delta = delta;
                self.window.put(&mut self.writer, chunk, bits, self.value_bits);
            }
        }
        self.timestamp = timestamp;
        self.value_bits = bits;
        self.count += 1;
        chunk[..2].copy_from_slice(&self.count.to_be_bytes());
    }

    /// The newest sample's time; 0 where there is none.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The newest sample's value.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.value_bits)
    }

    /// The number of samples.
    pub fn count(&self) -> u16 {
        self.count
    }

    fn put_delta(&mut self, chunk: &mut Vec<u8>) {
        // The first value takes whole bytes, so the varint starts at a byte boundary.
        crate::put_uvarint(chunk, self.delta);
    }

    #[inline]
    fn put_change(&mut self, chunk: &mut Vec<u8>, change: i64) {
        let (prefix, prefix_bits, bits) = match change {
            0 => (0, 1, 0),
            _ if fits_signed(change, 14) => (0b10, 2, 14),
            _ if fits_signed(change, 17) => (0b110, 3, 17),
            _ if fits_signed(change, 20) => (0b1110, 4, 20),
            _ => (0b1111, 4, 64),
        };
        if bits == 64 {
            self.writer.put(chunk, prefix, prefix_bits);
            self.writer.put(chunk, change as u64, 64);
        } else {
            let low = change as u64 & ((1 << bits) - 1);
            self.writer.put(chunk, prefix << bits | low, prefix_bits + bits);
        }
    }

    /// Decodes `chunk`, leaves the state behind its last sample and returns the number of bits used. `each` says whether
    /// to go on: where it ends the walk, the state is of no use.
    #[inline]
    fn walk(&mut self, chunk: &[u8], mut each: impl FnMut(i64, f64) -> bool) -> Result<usize, DecodeError> {
        let (header, stream) = chunk.split_first_chunk::<2>().ok_or(DecodeError::Truncated)?;
        let total = u16::from_be_bytes(*header);
        let mut used = 0;
        if total > 0 {
            let mut head = ByteReader::new(stream);
            self.timestamp = head.varint()?;
            self.value_bits = head.be64()?;
            if !each(self.timestamp, self.value()) {
                return Ok(0);
            }
            if total > 1 {
                self.delta = head.uvarint()?;
                self.timestamp = self.timestamp.wrapping_add(self.delta as i64);
            }
            used = stream.len() - head.rest().len();
        }
        let mut reader = BitReader::new(&stream[used..]);
        if total > 1 {
            self.value_bits = self.window.get(&mut reader, self.value_bits)?;
            reader.check()?;
            if !each(self.timestamp, self.value()) {
                return Ok(0);
            }
        }
        let (mut timestamp, mut bits, mut delta) = (self.timestamp, self.value_bits, self.delta);
        let mut window = self.window;
        for _ in 2..total {
            let head = reader.peek();
            let significant = window.significant();
            if head >> 62 == 0 {
                // As long after its predecessor as that one after its own, and the same value.
                reader.skip(2);
            } else if head >> 61 == 0b010 && significant <= SIGNIFICANT_AT_ONCE {
                // The same again, and a value in the known window: all of it was read at once.
                bits ^= ((head << 3) >> (64 - significant)) << window.trailing;
                reader.skip(3 + significant);
            } else if head >> 61 == 0b011 {
                // The same again, and a value that brings its window.
                window = XorWindow::parse((head >> 50) as u16)?;
                reader.skip(14);
                bits ^= reader.get(window.significant()) << window.trailing;
            } else {
                delta = delta.wrapping_add(get_change(&mut reader) as u64);
                bits = window.get(&mut reader, bits)?;
            }
            timestamp = timestamp.wrapping_add(delta as i64);
            reader.check()?;
            if !each(timestamp, f64::from_bits(bits)) {
                return Ok(0);
            }
        }
        (self.timestamp, self.value_bits, self.delta, self.count) = (timestamp, bits, delta, total);
        self.window = window;
        Ok((2 + used) * 8 + reader.position())
    }
}

/// A look ahead gives at least 57 bits: three of them say that the window is used, the others are the value's.
const SIGNIFICANT_AT_ONCE: u32 = 54;

#[inline]
fn get_change(reader: &mut BitReader<'_>) -> i64 {
    let head = reader.peek();
    if head >> 63 == 0 {
        reader.skip(1);
        return 0;
    }
    let (prefix, bits) = match head.leading_ones() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => {
            reader.skip(4);
            return reader.get(64) as i64;
        }
    };
    reader.skip(prefix + bits);
    extend_signed((head << prefix) >> (64 - bits), bits)
}

/// Appends all samples of an XOR chunk to the two columns. After an error they hold what came before it.
pub fn decode_xor(chunk: &[u8], timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), DecodeError> {
    decode_xor_until(chunk, i64::MAX, timestamps, values)
}

/// As [`decode_xor`], but for samples after `until`: they are not looked at.
pub fn decode_xor_until(
    chunk: &[u8],
    until: i64,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    // Each sample but the first takes at least two bits, so a damaged count cannot ask for much memory.
    let count = usize::from(xor_sample_count(chunk)).min(chunk.len() * 4);
    let start = timestamps.len();
    debug_assert_eq!(start, values.len(), "the columns belong together");
    timestamps.resize(start + count, 0);
    values.resize(start + count, 0.0);
    // Written into room that is there: nothing is checked for growth in the loop.
    let mut room = timestamps[start..].iter_mut().zip(&mut values[start..]);
    let mut left = count;
    let mut state = XorState::start(&mut Vec::new());
    let walked = state.walk(chunk, |timestamp, value| {
        if timestamp > until {
            return false;
        }
        let Some(slot) = room.next() else { return false };
        (*slot.0, *slot.1) = (timestamp, value);
        left -= 1;
        true
    });
    timestamps.truncate(start + count - left);
    values.truncate(start + count - left);
    walked.map(|_| ())
}

/// The newest sample of an XOR chunk that is not after `until`, and how many were looked at for it.
pub fn newest_xor(chunk: &[u8], until: i64) -> Result<(Option<(i64, f64)>, u64), DecodeError> {
    let (mut newest, mut read) = (None, 0);
    let mut state = XorState::start(&mut Vec::new());
    state.walk(chunk, |timestamp, value| {
        if timestamp > until {
            return false;
        }
        newest = Some((timestamp, value));
        read += 1;
        true
    })?;
    Ok((newest, read))
}

/// How many samples a chunk says it has (any encoding).
pub fn xor_sample_count(chunk: &[u8]) -> u16 {
    chunk.first_chunk().map_or(0, |header| u16::from_be_bytes(*header))
}

#[cfg(test)]
mod tests;
