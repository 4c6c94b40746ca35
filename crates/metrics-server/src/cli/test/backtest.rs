//! `test backtest`: when a rule would have fired, as the server that has the samples works it out.

use clap::Args;
use http_client::Url;
use serde_json::Value;
use service::Failure;

use crate::cli::client::{Client, ClientFlags, parse_server};
use crate::cli::console::print;

/// Which rule, and over which time.
#[derive(Args, Clone, Debug)]
pub(crate) struct BacktestFlags {
    /// The server's URL
    #[arg(value_parser = parse_server)]
    server: Url,
    /// Name of an alerting rule of the server's configuration
    #[arg(required_unless_present = "expr")]
    rule: Option<String>,
    /// The rule's group, where several have a rule of this name
    #[arg(long)]
    group: Option<String>,
    /// An expression in place of a rule
    #[arg(long, conflicts_with = "rule")]
    expr: Option<String>,
    /// How long a result has to be there until it fires; the rule's own by default
    #[arg(long = "for", value_name = "DURATION")]
    hold: Option<String>,
    /// How long an alert goes on firing without a result; the rule's own by default
    #[arg(long = "keep-firing-for", value_name = "DURATION")]
    keep_firing_for: Option<String>,
    /// From when, as seconds since the epoch or RFC 3339; 30 days ago by default
    #[arg(long)]
    start: Option<String>,
    /// Until when; now by default
    #[arg(long)]
    end: Option<String>,
    /// How often the rule is evaluated; its group's interval by default
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientFlags,
}

impl BacktestFlags {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(self.server, &self.client)?;
        let params: Vec<(&str, String)> = [
            ("rule", self.rule),
            ("group", self.group),
            ("expr", self.expr),
            ("for", self.hold),
            ("keep_firing_for", self.keep_firing_for),
            ("start", self.start),
            ("end", self.end),
            ("step", self.step),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let data = client.ask("api/watchbell/v1/rules/backtest", &params).await?;
        if self.json {
            return print(&format!("{data}\n"));
        }
        print(&report(&data))
    }
}

fn report(data: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let name = text(&data["alert"]);
    let mut out = format!(
        "{} from {} to {}, every {} s, for {} s\n",
        if name.is_empty() { text(&data["expr"]) } else { name },
        text(&data["start"]),
        text(&data["end"]),
        data["step"],
        data["for"],
    );
    out.push_str(&format!(
        "fired {} times ({} s in all), only pending {} times\n",
        data["fired"], data["firingSeconds"], data["onlyPending"]
    ));
    let empty = Vec::new();
    let episodes = data["episodes"].as_array().unwrap_or(&empty);
    for episode in episodes {
        let labels = episode["labels"].as_object().into_iter().flatten();
        let labels =
            model::Labels::from_pairs(labels.map(|(name, value)| (name, value.as_str().unwrap_or_default())));
        out.push_str(&format!(
            "  active {}  fired {}  ended {}  {labels}\n",
            text(&episode["activeAt"]),
            text(&episode["firedAt"]),
            text(&episode["endedAt"]),
        ));
    }
    let all = data["fired"].as_u64().unwrap_or(0) + data["onlyPending"].as_u64().unwrap_or(0);
    if all > episodes.len() as u64 {
        out.push_str(&format!("  … and {} more\n", all - episodes.len() as u64));
    }
    out
}
