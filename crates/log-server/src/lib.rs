//! The service in Loki's role: lines in over HTTP and gRPC, queries, tails and rules out.
//!
//! Invariants: a line is acknowledged when it is durable; what a tenant may do is bounded by its limits, and an answer that
//! refuses names the limit and its key; queries run on threads of their own, within the request's time and memory; data of
//! another system's layout are never written to. `main` is thin: [`App`] is the composition root, which `watchbell` runs in
//! its own process, too.

#![warn(missing_docs)]

mod api;
mod app;
mod cli;
mod config;
mod entry_queries;
mod error;
mod flags;
mod grpc;
mod ingest;
mod live;
mod metrics;
mod patterns;
mod program;
mod ruler;
mod server;
mod tenants;

pub use app::{App, Dependencies, Options};
pub use cli::{
    CancelArgs, CreateArgs, DeleteCommand, DetectedFieldsArgs, FmtArgs, InspectArgs, InstantArgs, LabelsArgs,
    ListArgs, Output, QueryArgs, SeriesArgs, ServerArgs, StatsArgs, TailArgs, TimeArgs, VolumeArgs,
};
pub use config::{Config, Limits, LoadedConfig, RulerConfig, ServerConfig, load as load_config};
pub use error::ApiError;
pub use flags::Flags;
pub use program::{LogServer, LogsCommand};
