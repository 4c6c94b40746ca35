//! `check`.

mod config;
mod lint;
mod metrics;
mod rules;
mod targets;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use http_client::{Request, StatusCode, Url};
use service::{Failure, WebConfig};

use super::client::{Client, ClientFlags, parse_server};
use super::console::{FAILED, LINT, complain, print};

const SERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// `check`
#[derive(Debug, Subcommand)]
pub enum CheckCommand {
    /// Check configuration files with the rule files and other files that they name
    Config(config::ConfigFlags),
    /// Check rule files, or the standard input
    Rules(rules::RulesFlags),
    /// Check web configuration files with their certificates
    #[command(name = "web-config")]
    WebConfig {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Check metrics from the standard input for consistency and style
    ///
    /// For example: curl -s http://localhost:9090/metrics | watchbell-metrics check metrics
    Metrics(metrics::MetricsFlags),
    /// Show which targets a job finds, and what relabelling makes of them
    #[command(name = "service-discovery")]
    ServiceDiscovery(targets::DiscoveryFlags),
    /// Ask a server whether it is healthy
    Healthy(ServerFlags),
    /// Ask a server whether it is ready
    Ready(ServerFlags),
}

/// Which server.
#[derive(Args, Clone, Debug)]
pub struct ServerFlags {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://localhost:9090", value_parser = parse_server)]
    url: Url,
    #[command(flatten)]
    client: ClientFlags,
}

/// How checks went.
#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    /// Something is wrong, be it only style.
    failed: bool,
    /// Something is wrong that a server would refuse.
    has_errors: bool,
}

impl Verdict {
    fn join(&mut self, other: Self) {
        self.failed |= other.failed;
        self.has_errors |= other.has_errors;
    }

    /// How the process ends; style alone counts only where `lint_fatal`.
    fn outcome(self, lint_fatal: bool) -> Result<(), Failure> {
        match self {
            Self { failed: true, has_errors: true } => Err(Failure::told(FAILED)),
            Self { failed: true, .. } if lint_fatal => Err(Failure::told(LINT)),
            _ => Ok(()),
        }
    }
}

impl CheckCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Config(flags) => flags.run(),
            Self::Rules(flags) => flags.run(),
            Self::WebConfig { files } => web_config(&files),
            Self::Metrics(flags) => flags.run(),
            Self::ServiceDiscovery(flags) => flags.run().await,
            Self::Healthy(flags) => flags.ask("-/healthy").await,
            Self::Ready(flags) => flags.ask("-/ready").await,
        }
    }
}

fn web_config(files: &[PathBuf]) -> Result<(), Failure> {
    let mut verdict = Verdict::default();
    for file in files {
        let file = file.as_path();
        match WebConfig::check(file) {
            Ok(warnings) => {
                for warning in warnings {
                    print(&format!("  WARNING: {warning}\n"))?;
                }
                complain(&format!("{} SUCCESS\n", file.display()));
            }
            Err(failure) => {
                complain(&format!("{} FAILED: {failure}\n", file.display()));
                verdict.join(Verdict { failed: true, has_errors: true });
            }
        }
    }
    verdict.outcome(false)
}

impl ServerFlags {
    async fn ask(&self, path: &str) -> Result<(), Failure> {
        let client = Client::new(self.url.clone(), &self.client)?;
        let (status, body) = client.send(Request::get(client.url(path), SERVER_TIMEOUT)).await?;
        if status != StatusCode::OK {
            return Err(Failure::runtime(format!(
                "check failed: URL={}, status={}",
                ::config::mask_url_password(client.url(path).as_str()),
                status.as_u16()
            )));
        }
        complain(&format!("  SUCCESS:  {}\n", String::from_utf8_lossy(&body)));
        Ok(())
    }
}
