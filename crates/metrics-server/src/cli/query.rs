//! `query instant` and `query range`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use http_client::{ClientOptions, HttpClient, HttpClientConfig, Request, StatusCode, Url};
use serde_json::Value;
use service::Failure;

use super::print;

const ANSWER_BYTES_MAX: u64 = 1 << 30;
const TIMEOUT: Duration = Duration::from_secs(130);

/// `query`
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// Evaluate an expression at one time
    Instant {
        /// The server's URL
        server: Url,
        /// The expression
        expr: String,
        /// When, as seconds since the epoch or RFC 3339; now by default
        #[arg(long)]
        time: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Evaluate an expression over a range of time
    Range {
        /// The server's URL
        server: Url,
        /// The expression
        expr: String,
        /// From when, as seconds since the epoch or RFC 3339
        #[arg(long)]
        start: String,
        /// Until when
        #[arg(long)]
        end: String,
        /// The step, such as 15s
        #[arg(long, default_value = "1m")]
        step: String,
        #[command(flatten)]
        output: Output,
    },
}

/// How an answer is printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct Output {
    /// Form of the answer
    #[arg(long, short, default_value = "promql")]
    output: Form,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// One line a sample
    Promql,
    /// The API's result as JSON
    Json,
}

impl QueryCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (server, path, mut params, output) = match self {
            Self::Instant { server, expr, time, output } => {
                let mut params = vec![("query", expr)];
                params.extend(time.map(|time| ("time", time)));
                (server, "query", params, output)
            }
            Self::Range { server, expr, start, end, step, output } => (
                server,
                "query_range",
                vec![("query", expr), ("start", start), ("end", end), ("step", step)],
                output,
            ),
        };
        let data = ask(&server, path, &mut params).await?;
        let text = match output.output {
            Form::Json => format!("{}\n", data["result"]),
            Form::Promql => lines(&data),
        };
        print(&text)
    }
}

async fn ask(server: &Url, path: &str, params: &mut Vec<(&str, String)>) -> Result<Value, Failure> {
    let mut url = server.clone();
    url.set_path(&format!("{}/api/v1/{path}", server.path().trim_end_matches('/')));
    for (name, value) in params.drain(..) {
        url.query_pairs_mut().append_pair(name, &value);
    }
    let options = ClientOptions {
        user_agent: concat!("watchbell-metrics/", env!("CARGO_PKG_VERSION")).to_owned(),
        gzip: true,
        ..ClientOptions::default()
    };
    let client = HttpClient::new(HttpClientConfig::default(), options).map_err(Failure::runtime)?;
    let failed = |error: http_client::HttpClientError| Failure::runtime(error.chain());
    let mut response = client.send(Request::get(url, TIMEOUT)).await.map_err(failed)?;
    let status = response.status();
    let mut body = Vec::new();
    response.read_body(ANSWER_BYTES_MAX, &mut body).await.map_err(failed)?;
    let mut answer: Value = serde_json::from_slice(&body).map_err(|error| {
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        Failure::runtime(format!("{status}: {error}: {text}"))
    })?;
    if status != StatusCode::OK || answer["status"] != "success" {
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        return Err(Failure::runtime(format!("{}: {}", text("errorType"), text("error"))));
    }
    Ok(answer["data"].take())
}

/// One line a sample, as promtool prints them.
fn lines(data: &Value) -> String {
    let result = &data["result"];
    let value = |point: &Value| format!("{} @[{}]", point[1].as_str().unwrap_or_default(), point[0]);
    let empty = Vec::new();
    let rows = result.as_array().unwrap_or(&empty);
    match data["resultType"].as_str() {
        Some("scalar") => format!("scalar: {}\n", value(result)),
        Some("string") => format!("{}\n", value(result)),
        Some("vector") => {
            rows.iter().map(|row| format!("{} => {}\n", series(row), value(&row["value"]))).collect()
        }
        _ => rows
            .iter()
            .map(|row| {
                let points = row["values"].as_array().unwrap_or(&empty);
                let points: Vec<String> = points.iter().map(value).collect();
                format!("{} =>\n{}\n", series(row), points.join("\n"))
            })
            .collect(),
    }
}

fn series(row: &Value) -> String {
    let empty = serde_json::Map::new();
    let labels = row["metric"].as_object().unwrap_or(&empty);
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    model::Labels::from_pairs(pairs).to_string()
}
