//! The values of one slot of one template.
//!
//! What a column's values have in common stands in its header; its bits lie in the block's packed section, its index bytes in
//! the index section. Any value is found without decoding the others.

use chunk_encoding::{ByteReader, DecodeError, put_uvarint};

use super::tokens::{DIGITS_MAX, HEX_MAX, SLOT_DIGITS, SLOT_HEX_UPPER};
use crate::bitpack::{Packed, pack, width_of};

/// The most entries of a dictionary: an index is one byte.
const DICTIONARY_MAX: usize = 256;

const VALUES_CONSTANT: u8 = 0;
const VALUES_PACKED: u8 = 1;
const VALUES_DICTIONARY: u8 = 2;
const VALUES_NIBBLES: u8 = 3;
const VALUES_SPLIT: u8 = 4;

const LENGTHS_SHORTEST: u8 = 0;
const LENGTHS_FIXED: u8 = 1;
const LENGTHS_EACH: u8 = 2;

/// Values of a split column: their last four digits are packed, what stands before comes from a dictionary.
const SPLIT_AT: u64 = 10_000;
const SPLIT_BITS: u32 = 14;

/// Where encoded columns go.
#[derive(Debug, Default)]
pub(super) struct ColumnSink {
    pub(super) header: Vec<u8>,
    pub(super) index: Vec<u8>,
    pub(super) packed: Vec<u8>,
}

/// The values of a slot in the rows of a template.
#[derive(Debug, Default)]
pub(super) struct ColumnValues {
    /// Numbers of digit slots; unused for hexadecimal ones.
    pub(super) values: Vec<u64>,
    pub(super) lens: Vec<u8>,
    /// Text of hexadecimal slots.
    pub(super) text: Vec<u8>,
}

/// Encodes columns; kept for many, so that nothing is allocated for each.
#[derive(Debug, Default)]
pub(super) struct ColumnEncoder {
    dictionary: Dictionary,
    high: Dictionary,
}

impl ColumnValues {
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.lens.clear();
        self.text.clear();
    }

    fn encode_lengths(&self, slot: u8, sink: &mut ColumnSink) {
        let first = self.lens[0];
        let shortest = |(value, len): (&u64, &u8)| digits_of(*value) == usize::from(*len);
        if slot == SLOT_DIGITS && self.values.iter().zip(&self.lens).all(shortest) {
            sink.header.push(LENGTHS_SHORTEST);
        } else if self.lens.iter().all(|len| *len == first) {
            sink.header.extend_from_slice(&[LENGTHS_FIXED, first]);
        } else {
            sink.header.push(LENGTHS_EACH);
            sink.index.extend_from_slice(&self.lens);
        }
    }

    fn encode_hex(&self, sink: &mut ColumnSink) {
        let longest = self.lens.iter().copied().max().unwrap_or(0);
        sink.header.extend_from_slice(&[VALUES_NIBBLES, longest]);
        let mut at = 0;
        for len in &self.lens {
            let text = &self.text[at..at + usize::from(*len)];
            at += usize::from(*len);
            let nibble = |idx: usize| text.get(idx).map_or(0, |digit| nibble_of(*digit));
            let pairs = (0..usize::from(longest)).step_by(2);
            sink.packed.extend(pairs.map(|idx| nibble(idx) << 4 | nibble(idx + 1)));
        }
    }
}

impl ColumnEncoder {
    pub(super) fn encode(&mut self, slot: u8, column: &ColumnValues, sink: &mut ColumnSink) {
        column.encode_lengths(slot, sink);
        if slot == SLOT_DIGITS {
            self.encode_numbers(&column.values, sink);
        } else {
            column.encode_hex(sink);
        }
    }

    fn encode_numbers(&mut self, values: &[u64], sink: &mut ColumnSink) {
        let least = values.iter().copied().min().unwrap_or(0);
        let most = values.iter().copied().max().unwrap_or(0);
        if least == most {
            sink.header.push(VALUES_CONSTANT);
            put_uvarint(&mut sink.header, least);
            return;
        }
        let width = width_of(most - least);
        let packed_cost = (values.len() * width as usize).div_ceil(8);
        if self.dictionary.fill(values.iter().copied()) && self.dictionary.cost() < packed_cost {
            sink.header.push(VALUES_DICTIONARY);
            self.dictionary.encode(sink);
            return;
        }
        if width > SPLIT_BITS
            && self.high.fill(values.iter().map(|value| value / SPLIT_AT))
            && self.high.cost() + (values.len() * SPLIT_BITS as usize).div_ceil(8) < packed_cost
        {
            sink.header.push(VALUES_SPLIT);
            self.high.encode(sink);
            pack(&mut sink.packed, values.iter().map(|value| value % SPLIT_AT), SPLIT_BITS);
            return;
        }
        sink.header.extend_from_slice(&[VALUES_PACKED, width as u8]);
        put_uvarint(&mut sink.header, least);
        pack(&mut sink.packed, values.iter().map(|value| value - least), width);
    }
}

/// Places of a dictionary's table: a power of two, four times as many as values at most.
const TABLE_BITS: u32 = 10;

/// Distinct values and, for each row, which of them it has.
#[derive(Debug)]
struct Dictionary {
    values: Vec<u64>,
    idx: Vec<u8>,
    counts: Vec<u32>,
    /// For each place the number of its value, where `filled` says that it is of this filling.
    table: Box<[u8; 1 << TABLE_BITS]>,
    filled: Box<[u32; 1 << TABLE_BITS]>,
    filling: u32,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            idx: Vec::new(),
            counts: Vec::new(),
            table: Box::new([0; 1 << TABLE_BITS]),
            filled: Box::new([0; 1 << TABLE_BITS]),
            filling: 0,
        }
    }
}

impl Dictionary {
    /// Takes the values of a column; false where there are too many distinct ones.
    fn fill(&mut self, rows: impl Iterator<Item = u64>) -> bool {
        self.values.clear();
        self.idx.clear();
        self.counts.clear();
        if self.filling == u32::MAX {
            self.filled.fill(0);
            self.filling = 0;
        }
        self.filling += 1;
        for value in rows {
            let Some(idx) = self.number(value) else { return false };
            self.counts[usize::from(idx)] += 1;
            self.idx.push(idx);
        }
        true
    }

    fn number(&mut self, value: u64) -> Option<u8> {
        let mut place = (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - TABLE_BITS)) as usize;
        while self.filled[place] == self.filling {
            let idx = self.table[place];
            if self.values[usize::from(idx)] == value {
                return Some(idx);
            }
            place = (place + 1) % (1 << TABLE_BITS);
        }
        let next = u8::try_from(self.values.len()).ok()?;
        self.filled[place] = self.filling;
        self.table[place] = next;
        self.values.push(value);
        self.counts.push(0);
        Some(next)
    }

    /// Bytes that the dictionary and its compressed index take, by the index's entropy.
    fn cost(&self) -> usize {
        let rows = self.idx.len() as f64;
        let bits: f64 = self.counts.iter().map(|n| f64::from(*n) * (rows / f64::from(*n)).log2()).sum();
        let values: usize =
            self.values.iter().map(|value| width_of(*value).div_ceil(7).max(1) as usize).sum();
        values + (bits / 8.0) as usize
    }

    fn encode(&self, sink: &mut ColumnSink) {
        put_uvarint(&mut sink.header, self.values.len() as u64);
        for value in &self.values {
            put_uvarint(&mut sink.header, *value);
        }
        sink.index.extend_from_slice(&self.idx);
    }
}

/// A column's header, read back, with the places of its parts.
#[derive(Debug)]
pub(super) struct Column {
    slot: u8,
    rows: usize,
    lengths: Lengths,
    values: Values,
}

#[derive(Debug)]
enum Lengths {
    Shortest,
    Fixed(usize),
    /// Where the lengths lie in the index section.
    Each {
        at: usize,
    },
}

#[derive(Debug)]
enum Values {
    Constant(u64),
    Packed { least: u64, width: u32, at: usize },
    Dictionary { values: Vec<u64>, at: usize },
    Split { high: Vec<u64>, index_at: usize, packed_at: usize },
    Nibbles { stride: usize, at: usize },
}

/// What stands for the values of a column's rows: equal where and only where the numbers are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Codes<'a> {
    Constant,
    /// With how many there can be.
    Packed(Packed<'a>, usize),
    Index(&'a [u8], usize),
}

impl Codes<'_> {
    /// All codes are less.
    pub(super) fn end(&self) -> usize {
        match self {
            Self::Constant => 1,
            Self::Packed(_, end) | Self::Index(_, end) => *end,
        }
    }

    /// The code of a row; `None` where it points beyond the dictionary.
    pub(super) fn of(&self, row: usize) -> Option<usize> {
        match self {
            Self::Constant => Some(0),
            Self::Packed(packed, _) => Some(packed.get(row) as usize),
            Self::Index(idx, end) => Some(usize::from(*idx.get(row)?)).filter(|code| code < end),
        }
    }
}

/// The sections that columns refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnData<'a> {
    pub(super) index: &'a [u8],
    pub(super) packed: &'a [u8],
}

/// What a slot's text has to be for a search to go on: it holds certain digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotTest<'a> {
    /// The digits as a number, and ten to the power of how many they are.
    value: u64,
    modulus: u64,
    /// Whether more digits may stand before and after.
    open_before: bool,
    open_after: bool,
    /// What a hexadecimal word has to contain; `None` where no such word can be meant.
    word: Option<&'a [u8]>,
}

impl Column {
    /// Reads a header. `index_at` and `packed_at` say where the column's parts begin, and are moved behind them.
    pub(super) fn decode(
        reader: &mut ByteReader<'_>,
        slot: u8,
        rows: usize,
        index_at: &mut usize,
        packed_at: &mut usize,
    ) -> Result<Self, DecodeError> {
        let mut index = |len: usize| {
            *index_at += len;
            *index_at - len
        };
        let mut packed = |len: usize| {
            *packed_at += len;
            *packed_at - len
        };
        let lengths = match reader.byte()? {
            LENGTHS_SHORTEST if slot == SLOT_DIGITS => Lengths::Shortest,
            LENGTHS_FIXED => Lengths::Fixed(usize::from(reader.byte()?)),
            LENGTHS_EACH => Lengths::Each { at: index(rows) },
            _ => return Err(DecodeError::Invalid("form of lengths")),
        };
        if matches!(lengths, Lengths::Fixed(len) if len == 0 || len > len_max(slot)) {
            return Err(DecodeError::Invalid("length of a slot"));
        }
        let kind = reader.byte()?;
        if (kind == VALUES_NIBBLES) == (slot == SLOT_DIGITS) {
            return Err(DecodeError::Invalid("form of values"));
        }
        let values = match kind {
            VALUES_CONSTANT => Values::Constant(reader.uvarint()?),
            VALUES_PACKED => {
                let width = u32::from(reader.byte()?);
                if width > 64 {
                    return Err(DecodeError::Invalid("bit width"));
                }
                let least = reader.uvarint()?;
                Values::Packed { least, width, at: packed((rows * width as usize).div_ceil(8)) }
            }
            VALUES_DICTIONARY => Values::Dictionary { values: dictionary(reader)?, at: index(rows) },
            VALUES_SPLIT => Values::Split {
                high: dictionary(reader)?,
                index_at: index(rows),
                packed_at: packed((rows * SPLIT_BITS as usize).div_ceil(8)),
            },
            VALUES_NIBBLES => {
                let longest = usize::from(reader.byte()?);
                if longest == 0
                    || longest > HEX_MAX
                    || matches!(lengths, Lengths::Fixed(len) if len > longest)
                {
                    return Err(DecodeError::Invalid("length of a slot"));
                }
                let stride = longest.div_ceil(2);
                Values::Nibbles { stride, at: packed(rows * stride) }
            }
            _ => return Err(DecodeError::Invalid("form of values")),
        };
        Ok(Self { slot, rows, lengths, values })
    }

    /// Whether any row may pass a test, as far as the header tells.
    pub(super) fn may_pass(&self, test: &SlotTest<'_>) -> bool {
        match &self.values {
            Values::Constant(value) => test.number(*value),
            Values::Packed { least, width, .. } => {
                let most = least.saturating_add(if *width == 64 { u64::MAX } else { (1 << width) - 1 });
                test.number_between(*least, most)
            }
            Values::Dictionary { values, .. } => values.iter().any(|value| test.number(*value)),
            Values::Split { high, .. } => high.iter().any(|high| {
                let least = high.saturating_mul(SPLIT_AT);
                test.number_between(least, least.saturating_add(SPLIT_AT - 1))
            }),
            Values::Nibbles { stride, .. } => test.word.is_some_and(|word| word.len() <= stride * 2),
        }
    }

    /// Whether a row's number tells its text: nothing but the number's own digits is in it.
    pub(super) fn is_determined(&self) -> bool {
        self.slot == SLOT_DIGITS && !matches!(self.lengths, Lengths::Each { .. })
    }

    /// Small numbers that stand for the column's values; `None` where there are none.
    pub(super) fn codes<'a>(&self, data: ColumnData<'a>) -> Option<Codes<'a>> {
        const BITS_MAX: u32 = 16;
        match &self.values {
            Values::Constant(_) => Some(Codes::Constant),
            Values::Packed { width, at, .. } if *width <= BITS_MAX => {
                Some(Codes::Packed(self.bits(data, *at, *width)?, 1 << width))
            }
            Values::Dictionary { values, at } => {
                Some(Codes::Index(data.index.get(*at..at + self.rows)?, values.len()))
            }
            Values::Packed { .. } | Values::Split { .. } | Values::Nibbles { .. } => None,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let dictionary = match &self.values {
            Values::Dictionary { values, .. } | Values::Split { high: values, .. } => values.len() * 8,
            Values::Constant(_) | Values::Packed { .. } | Values::Nibbles { .. } => 0,
        };
        size_of::<Self>() + dictionary
    }

    fn bits<'a>(&self, data: ColumnData<'a>, at: usize, width: u32) -> Option<Packed<'a>> {
        Packed::split(data.packed.get(at..)?, self.rows, width).ok().map(|(packed, _)| packed)
    }

    /// The number of a row; `None` where the sections are too short or the index points nowhere.
    pub(super) fn number(&self, data: ColumnData<'_>, row: usize) -> Option<u64> {
        match &self.values {
            Values::Constant(value) => Some(*value),
            Values::Packed { least, width, at } => {
                Some(least.wrapping_add(self.bits(data, *at, *width)?.get(row)))
            }
            Values::Dictionary { values, at } => values.get(usize::from(*data.index.get(at + row)?)).copied(),
            Values::Split { high, index_at, packed_at } => {
                let high = high.get(usize::from(*data.index.get(index_at + row)?))?;
                let low = self.bits(data, *packed_at, SPLIT_BITS)?.get(row);
                Some(high.wrapping_mul(SPLIT_AT).wrapping_add(low))
            }
            Values::Nibbles { .. } => None,
        }
    }

    /// The length of a row's text.
    pub(super) fn len(&self, data: ColumnData<'_>, row: usize) -> Option<usize> {
        match self.lengths {
            Lengths::Shortest => self.number(data, row).map(digits_of),
            Lengths::Fixed(len) => Some(len),
            Lengths::Each { at } => data.index.get(at + row).map(|len| usize::from(*len)),
        }
    }

    /// Appends a row's text.
    pub(super) fn append(&self, data: ColumnData<'_>, row: usize, dst: &mut Vec<u8>) -> Option<()> {
        if let Values::Nibbles { stride, at } = self.values {
            let len = self.len(data, row)?;
            let from = at + row * stride;
            let nibbles = data.packed.get(from..from + stride)?;
            if len > stride * 2 {
                return None;
            }
            let letter = if self.slot == SLOT_HEX_UPPER { b'A' } else { b'a' };
            dst.extend((0..len).map(|idx| {
                let nibble = nibbles[idx / 2] >> (4 * (1 - idx % 2)) & 15;
                if nibble < 10 { b'0' + nibble } else { letter + nibble - 10 }
            }));
            return Some(());
        }
        let mut value = self.number(data, row)?;
        let mut text = [b'0'; 20];
        let mut start = text.len();
        while value > 0 {
            start -= 1;
            text[start] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        let len = match self.lengths {
            Lengths::Shortest => (text.len() - start).max(1),
            Lengths::Fixed(len) => len,
            Lengths::Each { at } => usize::from(*data.index.get(at + row)?),
        };
        // Digits beyond the length would be lost, and a length beyond the buffer was never written.
        if len > text.len() || text.len() - start > len {
            return None;
        }
        dst.extend_from_slice(&text[text.len() - len..]);
        Some(())
    }

    /// Adds the rows whose text may pass a test to `rows`; `None` where the sections are too short.
    pub(super) fn candidates(
        &self,
        data: ColumnData<'_>,
        test: &SlotTest<'_>,
        rows: &mut Vec<u32>,
    ) -> Option<()> {
        match &self.values {
            Values::Nibbles { stride, at } => {
                let bytes = data.packed.get(*at..at + self.rows * stride)?;
                if let Some(word) = test.word {
                    nibble_candidates(bytes, *stride, word, rows);
                }
            }
            Values::Constant(value) => {
                if test.number(*value) {
                    rows.extend(0..self.rows as u32);
                }
            }
            Values::Dictionary { values, at } => {
                let passes: Vec<bool> = values.iter().map(|value| test.number(*value)).collect();
                if passes.contains(&true) {
                    let idx = data.index.get(*at..at + self.rows)?;
                    let passes = |row: &u32| passes.get(usize::from(idx[*row as usize])) == Some(&true);
                    rows.extend((0..self.rows as u32).filter(passes));
                }
            }
            Values::Packed { least, width, at } => {
                let most = least.saturating_add(if *width == 64 { u64::MAX } else { (1 << width) - 1 });
                if !test.number_between(*least, most) {
                    return Some(());
                }
                let packed = self.bits(data, *at, *width)?;
                let exact = test.exact();
                for row in 0..self.rows {
                    let value = least.wrapping_add(packed.get(row));
                    if exact.map_or_else(|| test.number(value), |exact| exact == value) {
                        rows.push(row as u32);
                    }
                }
            }
            Values::Split { high, index_at, packed_at } => {
                let idx = data.index.get(*index_at..index_at + self.rows)?;
                let packed = self.bits(data, *packed_at, SPLIT_BITS)?;
                let passes: Vec<bool> = high
                    .iter()
                    .map(|high| {
                        let least = high.saturating_mul(SPLIT_AT);
                        test.number_between(least, least.saturating_add(SPLIT_AT - 1))
                    })
                    .collect();
                for row in 0..self.rows {
                    let idx = usize::from(idx[row]);
                    let value = || high[idx].wrapping_mul(SPLIT_AT).wrapping_add(packed.get(row));
                    if passes.get(idx) == Some(&true) && test.number(value()) {
                        rows.push(row as u32);
                    }
                }
            }
        }
        Some(())
    }
}

impl<'a> SlotTest<'a> {
    /// A test for at most [`DIGITS_MAX`] digits.
    pub(crate) fn new(digits: &[u8], open_before: bool, open_after: bool, word: Option<&'a [u8]>) -> Self {
        debug_assert!(digits.len() <= DIGITS_MAX, "more digits than a slot has");
        let value = digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        Self { value, modulus: 10u64.pow(digits.len() as u32), open_before, open_after, word }
    }

    /// The only number that passes, whatever zeros stand before it.
    fn exact(&self) -> Option<u64> {
        (!self.open_before && !self.open_after).then_some(self.value)
    }

    /// Whether a number between the two may pass.
    fn number_between(&self, least: u64, most: u64) -> bool {
        // A number that holds digits is not smaller than they are.
        self.value <= most && self.exact().is_none_or(|exact| exact >= least)
    }

    /// Whether a number, with any zeros before it, may have the digits.
    fn number(&self, mut value: u64) -> bool {
        if let Some(exact) = self.exact() {
            return value == exact;
        }
        if !self.open_after {
            return value % self.modulus == self.value;
        }
        // Zeros alone may stand before any number.
        if self.value == 0 {
            return true;
        }
        while value >= self.value {
            if value % self.modulus == self.value {
                return true;
            }
            value /= 10;
        }
        false
    }
}

/// Rows of `stride` bytes in which the word's digits stand, at an even or an odd place.
fn nibble_candidates(bytes: &[u8], stride: usize, word: &[u8], rows: &mut Vec<u32>) {
    let nibbles: Vec<u8> = word.iter().map(|digit| nibble_of(*digit)).collect();
    let from = rows.len();
    for skip in 0..2 {
        // Whole bytes only: what is left of the word at either end is seen when the line is looked at.
        let inner: Vec<u8> =
            nibbles.get(skip..).unwrap_or(&[]).chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect();
        if inner.is_empty() {
            rows.extend(0..(bytes.len() / stride) as u32);
            return;
        }
        for at in memchr::memmem::find_iter(bytes, &inner) {
            rows.push((at / stride) as u32);
            // Overlapping places that `find_iter` passes over begin in the same or the next row.
            let end = at + inner.len() - 1;
            rows.extend((at / stride) as u32 + 1..=(end / stride) as u32);
        }
    }
    rows[from..].sort_unstable();
}

fn dictionary(reader: &mut ByteReader<'_>) -> Result<Vec<u64>, DecodeError> {
    let len = reader.length()?;
    if len == 0 || len > DICTIONARY_MAX {
        return Err(DecodeError::Invalid("length of a dictionary"));
    }
    (0..len).map(|_| reader.uvarint()).collect()
}

fn len_max(slot: u8) -> usize {
    if slot == SLOT_DIGITS { DIGITS_MAX } else { HEX_MAX }
}

fn digits_of(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn nibble_of(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10) & 15,
    }
}
