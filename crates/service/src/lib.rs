//! The life every service has: flags, listener, TLS and authentication, health, reload, drain, task ownership.
//!
//! Invariants: this crate knows no domain word. A service binds in its constructor (so `:0` works and failures roll back),
//! answers HTTP/1.1, h2c and gRPC on one port, keeps its old configuration when a new one is bad, and stops in order:
//! requests, tasks, cleanups in reverse. Signals are seen only by [`run_main`]. Every task belongs to a [`Lifecycle`].
//!
//! A service's crate has an `App` and a [`Program`]; its `main.rs` is `fn main() -> ExitCode { service::run_main::<P>() }`.
//!
//! ```
//! use std::path::Path;
//! use std::time::Duration;
//! use axum::Router;
//! use axum::routing::get;
//! use futures::future::BoxFuture;
//! use service::{App, Failure, Lifecycle, Listener, Site, SiteOptions};
//!
//! /// Options: what flags and configuration become.
//! struct Options { listen_address: String }
//!
//! struct Echo { lifecycle: Lifecycle, site: Site, listener: parking_lot::Mutex<Option<Listener>> }
//!
//! impl Echo {
//!     async fn new(options: Options, registry: &telemetry::Registry) -> Result<Self, Failure> {
//!         service::check_data_directory(&std::env::temp_dir(), "--storage.path")?;
//!         let lifecycle = Lifecycle::new("echo", registry);
//!         let listener = Listener::bind(&options.listen_address, "--web.listen-address").await?;
//!         let site = Site::new(&lifecycle, SiteOptions::new("echo"))?;
//!         lifecycle.on_stop("store", || async { Ok(()) });
//!         lifecycle.on_reload(|| async { Ok(()) });
//!         Ok(Self { lifecycle, site, listener: parking_lot::Mutex::new(Some(listener)) })
//!     }
//! }
//!
//! impl App for Echo {
//!     fn lifecycle(&self) -> &Lifecycle { &self.lifecycle }
//!     fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
//!         Box::pin(async move {
//!             let Some(listener) = self.listener.lock().take() else { return Ok(()) };
//!             let http = Router::new()
//!                 .route("/hello", get(|| async { "hello" }))
//!                 .route("/api/v1/admin/tsdb/snapshot", service::not_built());
//!             self.site.serve(listener, http, tonic::service::Routes::default());
//!             let stopping = self.lifecycle.stopping().clone();
//!             self.lifecycle.spawn("ticker", async move { stopping.cancelled().await });
//!             self.lifecycle.set_ready();
//!             Ok(())
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Failure> {
//! let registry = telemetry::Registry::new();
//! let app = Echo::new(Options { listen_address: "127.0.0.1:0".to_owned() }, &registry).await?;
//! app.start().await?;
//! let report = app.stop(Duration::from_secs(5)).await;
//! assert!(report.failed.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A handler gets its context like this: `contexts.from_headers(&headers, extensions.get::<Principal>(), CpuClass::Query)?`
//! gives a [`RequestScope`]; `scope.run(work).await` cancels the work when the client leaves or the time is over.

#![warn(missing_docs)]

mod app;
mod auth;
mod body;
mod failure;
mod flags;
mod grpc_health;
mod lifecycle;
mod listen;
mod preflight;
mod prepare;
mod probe;
mod program;
mod request;
mod server;
mod site;
mod status;
mod tls;
mod web_config;

pub use app::App;
pub use auth::basic_credentials;
pub use body::{DecompressError, Encoding, decompress, decompress_gzip, decompress_snappy};
pub use failure::{BoxError, Failure, error_chain};
pub use flags::normalize as normalize_flags;
pub use lifecycle::{Lifecycle, Readiness, StopReport, StopWish};
pub use listen::Listener;
pub use preflight::check_data_directory;
pub use prepare::{Ownership, prepare_data};
pub use probe::probe;
pub use program::{
    NoCommand, Process, Program, build_from_arguments, command_line, run_arguments, run_main,
    run_with_signals,
};
pub use request::{
    CancelGuard, Contexts, RequestError, RequestScope, TENANT_HEADER, Tenancy, inject_context,
};
pub use server::Peer;
pub use site::{OriginPredicate, Site, SiteOptions, not_built};
pub use status::{code_of_grpc, code_of_http, grpc_code, grpc_status, http_status, text, text_error};
pub use web_config::{WebConfig, tls_server};
