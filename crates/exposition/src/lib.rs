//! Prometheus' exposition formats: text 0.0.4 and 1.0.0, OpenMetrics 1.0 and delimited protobuf.
//!
//! Reading is by pull: [`Parser::next_entry`] hands out slices of the body and never allocates for a sample. The bytes of
//! a series ([`SampleEntry::series`]) are a key that a scraper can look up; only where they are new does it have to ask
//! [`SeriesText::labels`] for the labels they spell. Writing serves agents and federation. Nothing here panics on any input.

#![warn(missing_docs)]

mod entry;
mod error;
mod float;
mod format;
mod open_metrics;
mod parser;
mod protobuf;
mod series;
mod text;
mod writer;

pub use entry::{Entry, ExemplarEntry, HistogramEntry, MetadataKind, SampleEntry};
pub use error::ExpositionError;
pub use float::format_g;
pub use format::{Escaping, Format, UnknownContentType, accept_header, negotiate};
pub use parser::{ParseOptions, Parser};
pub use series::SeriesText;
pub use writer::Writer;
