//! The agent on each host: container and host metrics, logs.
//!
//! Invariants: what cannot be read is absent and listed in the status, never 0; a failing collector does not touch the
//! others; a line's position moves only when the server has it or the disk buffer holds it.

#![warn(missing_docs)]

mod api;
mod app;
mod args;
mod containers;
mod exporter;
mod files;
mod glob;
mod host;
mod logs;
mod options;
mod page;
mod program;
mod status;

pub use app::Agent;
pub use args::Flags;
pub use containers::ContainerOptions;
pub use files::Roots;
pub use host::{HostFilters, HostOptions};
pub use options::{AgentOptions, LogSetup};
pub use program::{AgentProgram, Command};
