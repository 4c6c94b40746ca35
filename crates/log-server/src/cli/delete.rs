//! `delete`: requests to delete lines.

use clap::{ArgAction, Args, Subcommand};
use http_client::Method;
use serde_json::Value;
use service::Failure;

use super::{Output, ServerArgs, output};

const PATH: &str = "/loki/api/v1/delete";

/// `delete`
#[derive(Clone, Debug, Subcommand)]
pub enum DeleteCommand {
    /// Ask for lines to be deleted
    Create(CreateArgs),
    /// List requests
    List(ListArgs),
    /// Take a request back
    Cancel(CancelArgs),
}

/// `delete create`
#[derive(Args, Clone, Debug)]
pub struct CreateArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Start: RFC 3339 or seconds since the epoch
    #[arg(long = "from", value_name = "TIME")]
    from: String,
    /// End; now where it is not given
    #[arg(long = "to", value_name = "TIME")]
    to: Option<String>,
    /// The longest range of a request
    #[arg(long = "max-interval", value_name = "DURATION")]
    max_interval: Option<String>,
    /// Log query that the lines match
    #[arg(value_name = "QUERY")]
    query: String,
}

/// `delete list`
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// `delete cancel`
#[derive(Args, Clone, Debug)]
pub struct CancelArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Also after the time in which it can be taken back
    #[arg(long = "force", action = ArgAction::SetTrue)]
    force: bool,
    /// The request
    #[arg(value_name = "ID")]
    id: String,
}

impl DeleteCommand {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.run().await,
            Self::List(args) => args.run().await,
            Self::Cancel(args) => args.run().await,
        }
    }
}

impl CreateArgs {
    async fn run(self) -> Result<(), Failure> {
        let mut params = vec![("query", self.query.clone()), ("start", self.from.clone())];
        params.extend(self.to.clone().map(|to| ("end", to)));
        params.extend(self.max_interval.clone().map(|interval| ("max_interval", interval)));
        self.server.send(Method::POST, PATH, &params).await?;
        output::print("delete request created\n")
    }
}

impl ListArgs {
    async fn run(self) -> Result<(), Failure> {
        let (text, answer) = self.server.get_json(PATH, &[]).await?;
        if matches!(self.server.output, Output::Json | Output::Jsonl) {
            return output::print(&format!("{text}\n"));
        }
        let mut shown = String::new();
        for request in answer.as_array().into_iter().flatten() {
            let text = |name: &str| request[name].as_str().unwrap_or("").to_owned();
            let time = |name: &str| {
                let seconds = request[name].as_i64().unwrap_or(0);
                model::format_rfc3339_ns(seconds.saturating_mul(1_000_000_000))
            };
            shown.push_str(&format!(
                "{}  {}  {} .. {}  created {}  {}\n",
                text("request_id"),
                text("status"),
                time("start_time"),
                time("end_time"),
                time("created_at"),
                text("query")
            ));
        }
        if answer.as_array().is_none_or(Vec::is_empty) {
            shown.push_str("no delete requests\n");
        }
        output::print(&shown)
    }
}

impl CancelArgs {
    async fn run(self) -> Result<(), Failure> {
        let mut params = vec![("request_id", self.id.clone())];
        if self.force {
            params.push(("force", Value::from(true).to_string()));
        }
        self.server.send(Method::DELETE, PATH, &params).await?;
        output::print("delete request cancelled\n")
    }
}
