//! Remote write 1.0: reading requests without building strings for series that are known.
//!
//! [`WriteRequest`] walks a decompressed message. The raw bytes of a series' labels ([`Series::label_bytes`]) are a key
//! that a store can look up; only where they are new are they spelled out ([`Series::labels`]). Most series need not even be
//! walked for that: see [`SeriesMessage::guess`]. Nothing here panics on any input, and every text is checked before it is
//! handed out.

#![warn(missing_docs)]

mod error;
mod histogram;
mod request;
mod wire_format;

pub use error::DecodeError;
pub use request::{
    ExemplarMessage, MetadataMessage, Part, RawPart, SampleGuess, Series, SeriesField, SeriesMessage,
    WriteRequest,
};

/// The most bytes that a decompressed request may have.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;
