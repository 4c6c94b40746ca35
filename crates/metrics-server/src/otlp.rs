//! OpenTelemetry's metrics as Prometheus' series.
//!
//! [`message`] is what clients send, in protobuf or JSON; [`translate`] turns it into series with samples, by the rules of
//! the `otlp` block of the configuration. Nothing here touches the store.

mod json;
pub(crate) mod message;
mod naming;
mod translate;

pub(crate) use json::parse as parse_json;
pub(crate) use naming::Strategy;
pub(crate) use translate::{PointValue, Settings, Translated, translate};
