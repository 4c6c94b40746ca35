//! Alerts to Alertmanagers (API v2).
//!
//! Every alert goes to every Alertmanager that is discovered, each with a bounded queue and one task of its own: a slow or
//! dead one holds up nobody. There is no retry: whoever raises alerts sends them again while they last. A full queue drops
//! its oldest alerts and counts them.

#![warn(missing_docs)]

mod alert;
mod config;
mod metrics;
mod queue;
mod sender;
mod target;

pub use alert::Alert;
pub use config::{AlertingConfig, AlertmanagerConfig};
pub use metrics::Metrics;
pub use sender::{AlertSender, SenderOptions};
