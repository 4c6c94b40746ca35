//! Why bytes could not be decoded.

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("data ends too early")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("varint is longer than 64 bits")]
    VarintTooLong,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A value that the format does not allow.
    #[error("invalid {0}")]
    Invalid(&'static str),
}
