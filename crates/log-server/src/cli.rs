//! Subcommands: a client of a running server, with logcli's flags, and what needs none.

mod client;
mod delete;
mod labels;
mod local;
mod output;
mod query;
mod series;
mod tail;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub use delete::{CancelArgs, CreateArgs, DeleteCommand, ListArgs};
pub use labels::LabelsArgs;
pub use local::{FmtArgs, InspectArgs};
pub use query::{InstantArgs, QueryArgs};
pub use series::{DetectedFieldsArgs, SeriesArgs, StatsArgs, VolumeArgs};
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
    /// Bearer token
    #[arg(long = "bearer-token", env = "LOKI_BEARER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    bearer_token: Option<String>,
    /// File with the bearer token
    #[arg(long = "bearer-token-file", env = "LOKI_BEARER_TOKEN_FILE", value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,
    /// Tags of the query, for the server's log
    #[arg(long = "query-tags", env = "LOKI_QUERY_TAGS", value_name = "TAGS")]
    query_tags: Option<String>,
    /// A further header, NAME=VALUE; may be given several times
    #[arg(long = "header", value_name = "HEADER")]
    header: Vec<String>,
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
