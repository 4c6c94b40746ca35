//! All that crosses a process boundary: what `proto/` generates (checked in; `cargo run -p xtask --features codegen -- codegen`
//! writes it anew) and the JSON objects that more than one service speaks.
//!
//! Invariant: nothing below layer 4 knows this crate; services convert to their own types at the edge.

mod alerts;
mod generated;
pub mod otlp;
pub mod rpc;

pub use alerts::PostableAlert;
pub use generated::{delivery, health, logs, loki, metrics, prometheus};
