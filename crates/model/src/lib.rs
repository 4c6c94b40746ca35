//! Pure values that every crate speaks in: labels, matchers, samples, histograms, log entries, time, sizes, error codes.
//!
//! Invariants: no I/O, no clock, no wire format. Types here are not `Serialize`; a service converts at its edge.

#![warn(missing_docs)]

mod duration;
mod error_code;
mod float;
mod histogram;
mod labels;
mod log_entry;
mod matcher;
mod quote;
mod sample;
mod size;
mod tenant;
mod time;

pub use duration::{ParseDurationError, format_duration_ms, parse_duration_ms, parse_go_duration_ns};
pub use error_code::ErrorCode;
pub use float::{
    STALE_NAN, compensated_add, format_float, format_float_g, is_stale_nan, parse_float, write_float,
};
pub use histogram::{
    BucketSpan, CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, HistogramBucket, HistogramError,
    HistogramMerge, HistogramSum,
};
pub use labels::{
    BUCKET_LABEL, Labels, LabelsBuilder, METRIC_NAME_LABEL, QUANTILE_LABEL, is_legacy_label_name,
};
pub use log_entry::LogEntry;
pub use matcher::{MatchOp, Matcher};
pub use quote::Quoted;
pub use sample::{Exemplar, MetricMetadata, MetricType, Sample};
pub use size::{ByteSize, ParseByteSizeError};
pub use tenant::TenantId;
pub use time::{TimeRange, TimestampMs, TimestampNs, format_rfc3339_ns, parse_rfc3339_ns};
