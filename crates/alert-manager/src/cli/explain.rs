//! `explain`

use clap::Args;
use serde_json::{Value, json};
use service::Failure;

use super::client::Client;
use super::{Output, Remote, alerts, print, print_json, shown_pairs, text_of};

/// `explain`
#[derive(Args, Clone, Debug)]
pub struct Explain {
    #[command(flatten)]
    remote: Remote,
    /// The alert's labels, name=value; a first word without = is its name
    #[arg(required = true)]
    labels: Vec<String>,
    /// At what time, RFC 3339; now where not given
    #[arg(long)]
    at: Option<String>,
    /// Show the messages that would be sent
    #[arg(long)]
    render: bool,
}

pub(super) async fn run(command: Explain) -> Result<(), Failure> {
    let mut body = json!({ "labels": alerts::pairs(&command.labels, true)?, "render": command.render });
    if let Some(at) = command.at {
        body["at"] = at.into();
    }
    let answer = Client::own(&command.remote)?.post("/explain", &body).await?;
    if command.remote.output == Output::Json {
        return print_json(&answer);
    }
    let mut out = format!("{}\n", text_of(&answer, "verdict"));
    for (key, word) in [("silencedBy", "silence"), ("inhibitedBy", "inhibited by alert")] {
        for id in words(&answer[key]) {
            out.push_str(&format!("{word}: {id}\n"));
        }
    }
    if let Some(owner) = answer["acknowledgedBy"].as_str() {
        out.push_str(&format!("acknowledged by: {owner}\n"));
    }
    for route in answer["routes"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "route: {}\n  receiver: {}\n  group: {}\n",
            words(&route["path"]).join(" > "),
            text_of(route, "receiver"),
            shown_pairs(&route["groupLabels"])
        ));
        for (key, word) in [("mutedBy", "muted by interval"), ("inactive", "not in active interval")] {
            for name in words(&route[key]) {
                out.push_str(&format!("  {word}: {name}\n"));
            }
        }
        for integration in route["integrations"].as_array().into_iter().flatten() {
            let last = integration["lastTold"].as_str().unwrap_or("never");
            out.push_str(&format!("  {}: last told: {last}\n", text_of(integration, "integration")));
        }
        for rendered in route["rendered"].as_array().into_iter().flatten() {
            out.push_str(&format!(
                "  {} would send: {:#}\n",
                text_of(rendered, "integration"),
                rendered["requests"]
            ));
        }
    }
    print(&out)
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
