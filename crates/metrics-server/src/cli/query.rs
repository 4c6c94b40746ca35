//! `query`.

mod analyze;
mod shown;

use clap::{Args, Subcommand, ValueEnum};
use http_client::Url;
use model::{TimestampMs, parse_duration_ms};
use serde_json::Value;
use service::Failure;

use super::client::{Client, ClientFlags, parse_server};
use super::console::{FAILED, complain, now_ms, parse_time, print};

/// How far series and labels are looked for where no time is given: the original's.
const WIDE_MS: i64 = 9999 * 3_600_000;

/// `query`
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// Evaluate an expression at one time
    Instant {
        /// The server's URL
        #[arg(value_parser = parse_server)]
        server: Url,
        /// The expression
        expr: String,
        /// When, as seconds since the epoch or RFC 3339; now by default
        #[arg(long)]
        time: Option<String>,
        #[command(flatten)]
        flags: QueryFlags,
    },
    /// Evaluate an expression over a range of time
    Range {
        /// The server's URL
        #[arg(value_parser = parse_server)]
        server: Url,
        /// The expression
        expr: String,
        /// From when, as seconds since the epoch or RFC 3339; 5 minutes before the end by default
        #[arg(long)]
        start: Option<String>,
        /// Until when; now by default
        #[arg(long)]
        end: Option<String>,
        /// The step, such as 15s; a 250th of the range by default
        #[arg(long, value_parser = step)]
        step: Option<i64>,
        #[command(flatten)]
        flags: QueryFlags,
    },
    /// List series
    Series {
        /// The server's URL
        #[arg(value_parser = parse_server)]
        server: Url,
        /// Selector of series; may be given several times
        #[arg(long = "match", value_name = "SELECTOR", required = true)]
        selectors: Vec<String>,
        #[command(flatten)]
        times: Times,
        #[command(flatten)]
        flags: QueryFlags,
    },
    /// List a label's values, or all label names where no label is given
    Labels {
        /// The server's URL
        #[arg(value_parser = parse_server)]
        server: Url,
        /// The label
        name: Option<String>,
        /// Selector of series; may be given several times
        #[arg(long = "match", value_name = "SELECTOR")]
        selectors: Vec<String>,
        #[command(flatten)]
        times: Times,
        #[command(flatten)]
        flags: QueryFlags,
    },
    /// Show how many buckets of histograms are in use
    Analyze(analyze::AnalyzeFlags),
}

/// Flags of all queries.
#[derive(Args, Clone, Debug)]
pub struct QueryFlags {
    /// Form of the answer
    #[arg(long = "format", short = 'o', alias = "output", default_value = "promql")]
    form: Form,
    #[command(flatten)]
    client: ClientFlags,
}

/// A range of time.
#[derive(Args, Clone, Debug)]
pub struct Times {
    /// From when, as seconds since the epoch or RFC 3339
    #[arg(long)]
    start: Option<String>,
    /// Until when
    #[arg(long)]
    end: Option<String>,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// One line a sample
    Promql,
    /// The API's result as JSON
    Json,
}

fn step(text: &str) -> Result<i64, String> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && seconds.is_finite()) {
        return Ok((seconds * 1000.0) as i64);
    }
    parse_duration_ms(text).map_err(|error| error.to_string())
}

/// A time in the form that the API takes.
fn seconds(ms: TimestampMs) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn time_or(text: Option<&str>, what: &str, default: TimestampMs) -> Result<TimestampMs, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(default) };
    parse_time(text).map_err(|failure| {
        complain(&format!("error parsing {what}: {failure}\n"));
        Failure::told(FAILED)
    })
}

impl QueryCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Instant { server, expr, time, flags } => {
                let time = time_or(time.as_deref(), "evaluation time", now_ms())?;
                let client = Client::new(server, &flags.client)?;
                let params = [("query", expr), ("time", seconds(time))];
                print_result(&client.ask("api/v1/query", &params).await?, flags.form)
            }
            Self::Range { server, expr, start, end, step, flags } => {
                let end = time_or(end.as_deref(), "end time", now_ms())?;
                let start = time_or(start.as_deref(), "start time", end - 300_000)?;
                if start >= end {
                    complain("start time is not before end time\n");
                    return Err(Failure::told(FAILED));
                }
                let default_step = ((end - start) / 250_000).max(1) * 1000;
                let step = step.filter(|step| *step > 0).unwrap_or(default_step);
                let client = Client::new(server, &flags.client)?;
                let times = [("start", seconds(start)), ("end", seconds(end)), ("step", seconds(step))];
                let params: Vec<_> = std::iter::once(("query", expr)).chain(times).collect();
                print_result(&client.ask("api/v1/query_range", &params).await?, flags.form)
            }
            Self::Series { server, selectors, times, flags } => {
                let client = Client::new(server, &flags.client)?;
                let data = client.ask("api/v1/series", &times.params(selectors)?).await?;
                print_list(&data, flags.form, shown::label_set)
            }
            Self::Labels { server, name, selectors, times, flags } => {
                let client = Client::new(server, &flags.client)?;
                let path = match &name {
                    Some(name) => format!("api/v1/label/{name}/values"),
                    None => "api/v1/labels".to_owned(),
                };
                let data = client.ask(&path, &times.params(selectors)?).await?;
                print_list(&data, flags.form, |value| value.as_str().unwrap_or_default().to_owned())
            }
            Self::Analyze(flags) => flags.run().await,
        }
    }
}

impl Times {
    fn params(&self, selectors: Vec<String>) -> Result<Vec<(&'static str, String)>, Failure> {
        let now = now_ms();
        let start = time_or(self.start.as_deref(), "start time", now - WIDE_MS)?;
        let end = time_or(self.end.as_deref(), "end time", now + WIDE_MS)?;
        let mut params = vec![("start", seconds(start)), ("end", seconds(end))];
        params.extend(selectors.into_iter().map(|selector| ("match[]", selector)));
        Ok(params)
    }
}

fn print_result(data: &Value, form: Form) -> Result<(), Failure> {
    print(&match form {
        Form::Json => format!("{}\n", data["result"]),
        Form::Promql => format!("{}\n", shown::result(data)),
    })
}

fn print_list(data: &Value, form: Form, line: impl Fn(&Value) -> String) -> Result<(), Failure> {
    let rows = data.as_array().into_iter().flatten();
    print(&match form {
        Form::Json => format!("{data}\n"),
        Form::Promql => rows.map(|row| format!("{}\n", line(row))).collect(),
    })
}
