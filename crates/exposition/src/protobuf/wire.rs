//! Protobuf's wire format, read field by field.

/// Bytes that are not protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A field's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl Value<'_> {
    pub(super) fn double(self) -> f64 {
        match self {
            Self::Fixed64(bits) => f64::from_bits(bits),
            _ => 0.0,
        }
    }

    pub(super) fn varint(self) -> u64 {
        match self {
            Self::Varint(number) => number,
            _ => 0,
        }
    }

    pub(super) fn zigzag(self) -> i64 {
        zigzag(self.varint())
    }
}

pub(super) fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("text is not valid UTF-8"))
}

/// What is left to read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn remaining(self) -> usize {
        self.0.len()
    }

    /// The next field; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
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
            _ => return Err(Malformed("unknown wire type")),
        };
        Ok(Some((key >> 3, value)))
    }

    /// The next length-prefixed message; `None` at the end.
    pub(super) fn delimited(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let len = self.varint()?;
        self.take(len).map(Some)
    }

    /// The next number of a packed field; `None` at the end.
    pub(super) fn packed_varint(&mut self) -> Result<Option<u64>, Malformed> {
        if self.0.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    /// The next float of a packed field; `None` at the end.
    pub(super) fn packed_double(&mut self) -> Result<Option<f64>, Malformed> {
        if self.0.is_empty() { Ok(None) } else { self.fixed64().map(|bits| Some(f64::from_bits(bits))) }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for (idx, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * idx as u32).min(63);
            if byte & 0x80 == 0 {
                self.0 = &self.0[idx + 1..];
                return Ok(number);
            }
        }
        Err(Malformed("number does not end"))
    }

    fn fixed64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > self.0.len() {
            return Err(Malformed("field is longer than its message"));
        }
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }
}
