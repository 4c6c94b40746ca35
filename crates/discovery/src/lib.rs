//! Target discovery: `static_configs`, `file_sd_configs` and `http_sd_configs`; a kind that is known to Prometheus and not
//! built here is refused by name.
//!
//! A [`Discovery`] runs one task per configuration and holds the newest groups of all; a failed refresh keeps the last
//! good ones. New kinds implement [`Discoverer`].

#![warn(missing_docs)]

mod config;
mod discoverer;
mod discovery;
mod file;
mod glob;
mod http;
mod metrics;
mod relabel_config;
mod target_group;

pub use config::{DiscoveryConfig, FileConfig, HttpConfig};
pub use discoverer::{Discoverer, Updates};
pub use discovery::{Discovery, DiscoveryEnv};
pub use glob::{expand_glob, is_valid_glob};
pub use metrics::Metrics;
pub use relabel_config::read_relabel_rules;
pub use target_group::{ADDRESS_LABEL, TargetGroup};
