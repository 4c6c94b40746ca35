//! The alert manager: alerts are grouped, routed, muted, told and remembered.
//!
//! What is decided (groups, repeats, inhibition, silences, intervals) is decided by [`dispatch::Dispatcher`], a state machine
//! without I/O; [`manager::Manager`] gives it time, store and receivers. A notification counts as sent once the
//! notification log on disk says so, so that a restart tells nobody twice.

pub mod acks;
pub mod alert;
pub mod api;
mod app;
mod cli;
pub mod cluster;
pub mod config;
pub mod data;
pub mod dispatch;
pub mod explain;
mod flags;
mod glob;
pub mod health;
pub mod heartbeats;
pub mod history;
pub mod import;
pub mod inhibitor;
pub mod letter;
mod link_keys;
pub mod manager;
pub mod matchers;
pub mod metrics;
pub mod notification_log;
pub mod notify;
pub mod outbox;
mod program;
pub mod routing;
pub mod silences;
pub mod state;
pub mod templates;
pub mod time_interval;
pub mod times;

pub use app::AlertManager;
pub use flags::{ClusterFlags, Flags};
pub use program::AlertProgram;
