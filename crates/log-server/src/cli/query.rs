//! `query` and `instant-query`

use clap::{ArgAction, Args};
use service::Failure;

use super::{Output, ServerArgs, TimeArgs, output};

/// `query`
#[derive(Args, Clone, Debug)]
pub struct QueryArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// Most lines to show
    #[arg(long = "limit", default_value_t = 30)]
    limit: usize,
    /// Step of a metric query
    #[arg(long = "step", value_name = "DURATION")]
    step: Option<String>,
    /// Oldest first
    #[arg(long = "forward", action = ArgAction::SetTrue)]
    forward: bool,
    /// Evaluate a metric query at one time: the end
    #[arg(long = "instant", action = ArgAction::SetTrue)]
    instant: bool,
    /// LogQL
    #[arg(value_name = "QUERY")]
    query: String,
}

/// `instant-query`
#[derive(Args, Clone, Debug)]
pub struct InstantArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// When, as RFC 3339; now where it is not given
    #[arg(long = "now", value_name = "TIME")]
    now: Option<String>,
    /// LogQL
    #[arg(value_name = "QUERY")]
    query: String,
}

impl InstantArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut params = vec![("query", self.query.clone())];
        params.extend(self.now.clone().map(|time| ("time", time)));
        let (text, answer) = self.server.get_json("/loki/api/v1/query", &params).await?;
        let data = &answer["data"];
        output::print(&match self.server.output {
            Output::Json => format!("{text}\n"),
            Output::Jsonl => format!("{data}\n"),
            Output::Default | Output::Raw => output::points(data),
        })
    }
}

impl QueryArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut params = vec![("query", self.query.clone())];
        let path = if self.instant {
            if let Some(to) = &self.time.to {
                params.push(("time", to.clone()));
            }
            "/loki/api/v1/query"
        } else {
            params.extend(self.time.params());
            params.push(("limit", self.limit.to_string()));
            let direction = if self.forward { "forward" } else { "backward" };
            params.push(("direction", direction.to_owned()));
            params.extend(self.step.clone().map(|step| ("step", step)));
            "/loki/api/v1/query_range"
        };
        let (text, answer) = self.server.get_json(path, &params).await?;
        let data = &answer["data"];
        output::print(&match (self.server.output, data["resultType"].as_str()) {
            (Output::Json, _) => format!("{text}\n"),
            (kind, Some("streams")) => output::lines(&data["result"], kind, self.forward),
            (Output::Jsonl, _) => format!("{data}\n"),
            (Output::Default | Output::Raw, _) => output::points(data),
        })
    }
}
