//! The service in Prometheus' role: scrapes, stores, answers PromQL, evaluates rules, sends alerts.
//!
//! [`App`] puts the parts together; each part is a module that knows none of the others but through [`state::State`].

#![warn(missing_docs)]

mod api;
mod app;
mod cli;
mod config;
mod flags;
mod grpc;
mod host;
mod metrics;
mod otlp;
mod program;
mod query_log;
mod remote_storage;
mod rule_manager;
mod scrape;
mod state;

pub use app::App;
pub use config::{Config, LoadedConfig};
pub use flags::Flags;
pub use program::MetricsServer;
