//! The service in Grafana's role: the UI, the dashboards and one authenticated way to the servers.
//!
//! Invariants: nothing but the login, the UI's files and the health page is answered without knowing who asks; the proxies
//! reach the configured servers only; what changes anything needs a right and, with a cookie, a header that another site's
//! page cannot send. `docs/api.md` is the contract with the UI.
//!
//! `watchbell` runs it in its own process:
//!
//! ```no_run
//! # async fn example() -> Result<(), service::Failure> {
//! use dashboard_gateway::{DashboardGateway, Options};
//! use service::App as _;
//!
//! let registry = telemetry::Registry::new();
//! let options = Options { dashboard_dirs: vec!["conf/dashboards".into()], ..Options::local("data/grafana".as_ref()) };
//! let gateway = DashboardGateway::new(options, &registry).await?;
//! gateway.start().await?;
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod app;
mod attempts;
mod dashboards;
mod dashboards_api;
mod datasources;
mod error;
mod json;
mod login;
mod logs_api;
mod metrics_api;
mod options;
mod params;
mod program;
mod proxy;
mod routes;
mod sessions;
mod state;
mod status;
mod ui;
mod upstream;
mod users;

pub use app::DashboardGateway;
pub use options::Options;
pub use program::{Flags, GatewayCommand, GatewayProgram};
pub use users::Role;
