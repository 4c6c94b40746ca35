//! Subcommands: a client of a running server, with logcli's flags.

mod client;
mod labels;
mod output;
mod query;
mod tail;

use clap::{Args, ValueEnum};

pub use labels::LabelsArgs;
pub use query::QueryArgs;
pub use tail::TailArgs;

/// Which server, and as whom.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Server to ask
    #[arg(long = "addr", env = "LOKI_ADDR", default_value = "http://localhost:3100", value_name = "URL")]
    addr: String,
    /// Tenant
    #[arg(long = "org-id", env = "LOKI_ORG_ID", value_name = "TENANT")]
    org_id: Option<String>,
    /// User for basic authentication
    #[arg(long = "username", env = "LOKI_USERNAME", value_name = "NAME")]
    username: Option<String>,
    /// Password for basic authentication
    #[arg(long = "password", env = "LOKI_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Form of the output
    #[arg(long = "output", short = 'o', value_enum, default_value = "default")]
    output: Output,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Time, labels and line
    Default,
    /// Lines alone
    Raw,
    /// A JSON object per line
    Jsonl,
    /// The server's answer as it is
    Json,
}

/// Which time.
#[derive(Args, Clone, Debug)]
pub struct TimeArgs {
    /// How far back to look
    #[arg(long = "since", default_value = "1h", value_name = "DURATION")]
    since: String,
    /// Start, as RFC 3339
    #[arg(long = "from", value_name = "TIME")]
    from: Option<String>,
    /// End, as RFC 3339
    #[arg(long = "to", value_name = "TIME")]
    to: Option<String>,
}

impl TimeArgs {
    /// The parameters that say so.
    fn params(&self) -> Vec<(&'static str, String)> {
        let mut params = Vec::new();
        match &self.from {
            Some(from) => params.push(("start", from.clone())),
            None => params.push(("since", self.since.clone())),
        }
        if let Some(to) = &self.to {
            params.push(("end", to.clone()));
        }
        params
    }
}
