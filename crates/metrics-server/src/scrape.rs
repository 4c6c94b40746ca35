//! Scraping: targets from discovery, a loop for each, their samples into the store.

mod append;
mod buffers;
mod cache;
mod fetch;
mod manager;
mod metrics;
mod pool;
mod schedule;
mod target;
mod target_loop;

pub(crate) use append::Resolution;
pub(crate) use manager::{ScrapeManager, ScrapeOptions};
pub(crate) use metrics::Metrics;
pub(crate) use target::{Outcome, Target, before_relabelling, from_groups};
