//! Codecs of Prometheus' chunks and files: bit streams, varints, XOR and histogram chunks, checksums.
//!
//! Invariants: pure functions over slices; output goes into buffers that the caller passes in; decoding of any bytes ends
//! with a [`DecodeError`] or a result, never with a panic and never with more memory than the input can justify.

#![warn(missing_docs)]

mod bits;
mod bytes;
mod error;
mod histogram;
mod varbit;
mod xor;

pub use bits::{BitReader, BitWriter};
pub use bytes::{ByteReader, crc32c, put_be32, put_be64, put_str, put_uvarint, put_varint};
pub use error::DecodeError;
pub use histogram::{CounterResetHeader, CutReason, HistogramAppender, HistogramKind, decode_histograms};
pub use xor::{XorState, decode_xor, decode_xor_until, newest_xor, xor_sample_count};

/// Encoding byte of an XOR chunk in chunk files.
pub const ENCODING_XOR: u8 = 1;
/// Encoding byte of an integer histogram chunk.
pub const ENCODING_HISTOGRAM: u8 = 2;
/// Encoding byte of a float histogram chunk.
pub const ENCODING_FLOAT_HISTOGRAM: u8 = 3;
