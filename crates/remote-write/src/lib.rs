//! Remote write 1.0 and 2.0: writing requests, and reading them without building strings for series that are known.
//!
//! [`WriteRequest`] walks a decompressed message. The raw bytes of a series' labels ([`Series::label_bytes`]) are a key
//! that a store can look up; only where they are new are they spelled out ([`Series::labels`]). Most series need not even be
//! walked for that: see [`SeriesMessage::guess`]. Nothing here panics on any input, and every text is checked before it is
//! handed out.
//!
//! A [`RemoteWriter`] sends to one server: bounded queues in shards, one request at a time in each, so that the samples of
//! a series keep their order. It keeps nothing on disk: whoever feeds it knows by [`RemoteWriter::oldest_pending`] from
//! where to read again after a restart.

#![warn(missing_docs)]

mod config;
mod encode;
mod error;
mod histogram;
mod metrics;
mod request;
mod request_v2;
mod sender;
mod wire_format;

pub use config::{MetadataConfig, ProtocolVersion, QueueConfig, RemoteWriteConfig};
pub use encode::{OutgoingSeries, encode_metadata_v1, encode_v1, encode_v2};
pub use error::DecodeError;
pub use metrics::Metrics;
pub use request::{
    ExemplarMessage, MetadataMessage, Part, RawPart, SampleGuess, Series, SeriesField, SeriesMessage,
    WriteRequest,
};
pub use request_v2::{ExemplarV2, LabelError, SeriesFieldV2, SeriesV2, WriteRequestV2};
pub use sender::{Outgoing, OutgoingValue, PushError, RemoteWriter, SenderEnv};

/// The most bytes that a decompressed request may have.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;
