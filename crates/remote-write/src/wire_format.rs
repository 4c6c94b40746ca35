//! Protobuf's wire format, read field by field.

use crate::error::DecodeError;

/// A field's value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Value<'a> {
    pub(crate) fn double(self) -> f64 {
        match self {
            Self::Fixed64(bits) => f64::from_bits(bits),
            _ => 0.0,
        }
    }

    pub(crate) fn varint(self) -> u64 {
        match self {
            Self::Varint(number) => number,
            _ => 0,
        }
    }

    pub(crate) fn zigzag(self) -> i64 {
        zigzag(self.varint())
    }

    pub(crate) fn text(self) -> Result<&'a str, DecodeError> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes)
                .map_err(|_| DecodeError { offset: 0, reason: "text is not valid UTF-8" }),
            _ => Err(DecodeError { offset: 0, reason: "text expected" }),
        }
    }
}

pub(crate) fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// What is left to read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next field; `None` at the end.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, DecodeError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(len)?)
            }
            5 => {
                self.take(4)?;
                Value::Fixed32
            }
            _ => return Err(self.error("unknown wire type")),
        };
        Ok(Some((key >> 3, value)))
    }

    /// The next number of a packed field; `None` at the end.
    pub(crate) fn packed_varint(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.at == self.bytes.len() { Ok(None) } else { self.varint().map(Some) }
    }

    /// The next float of a packed field; `None` at the end.
    pub(crate) fn packed_double(&mut self) -> Result<Option<f64>, DecodeError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        self.fixed64().map(|bits| Some(f64::from_bits(bits)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        // Most numbers are lengths and keys of one byte.
        if let Some(byte) = self.bytes.get(self.at)
            && byte & 0x80 == 0
        {
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        let mut number = 0u64;
        for (idx, byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * idx as u32).min(63);
            if byte & 0x80 == 0 {
                self.at += idx + 1;
                return Ok(number);
            }
        }
        Err(self.error("number does not end"))
    }

    fn fixed64(&mut self) -> Result<u64, DecodeError> {
        match self.bytes.get(self.at..self.at + 8).map(<[u8; 8]>::try_from) {
            Some(Ok(bytes)) => {
                self.at += 8;
                Ok(u64::from_le_bytes(bytes))
            }
            _ => Err(self.error("number does not end")),
        }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        let left = self.bytes.len() - self.at;
        let len = usize::try_from(len).ok().filter(|len| *len <= left);
        let len = len.ok_or_else(|| self.error("field is longer than its message"))?;
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn error(&self, reason: &'static str) -> DecodeError {
        DecodeError { offset: self.at, reason }
    }
}

/// Appends a number.
pub(crate) fn put_varint(dst: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        dst.push(number as u8 | 0x80);
        number >>= 7;
    }
    dst.push(number as u8);
}

/// Appends a field that holds a number; 0 is not sent.
pub(crate) fn put_number(dst: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        put_varint(dst, field << 3);
        put_varint(dst, number);
    }
}

/// Appends a field that holds a signed number in zigzag form.
pub(crate) fn put_zigzag(dst: &mut Vec<u8>, field: u64, number: i64) {
    put_number(dst, field, to_zigzag(number));
}

pub(crate) fn to_zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Appends a field that holds a float; 0 is not sent, -0 is.
pub(crate) fn put_double(dst: &mut Vec<u8>, field: u64, number: f64) {
    if number.to_bits() != 0 {
        put_varint(dst, field << 3 | 1);
        dst.extend_from_slice(&number.to_bits().to_le_bytes());
    }
}

/// Appends a field that holds bytes.
pub(crate) fn put_bytes(dst: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(dst, field << 3 | 2);
    put_varint(dst, bytes.len() as u64);
    dst.extend_from_slice(bytes);
}
