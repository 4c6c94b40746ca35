//! `alert add` and `alert query`

use clap::{Args, Subcommand};
use model::Matcher;
use serde_json::{Map, Value, json};
use service::Failure;

use super::client::Client;
use super::{Output, Remote, print, print_json, shown_pairs, table, text_of};
use crate::matchers::{self, MatcherMode};

/// `alert`
#[derive(Clone, Debug, Subcommand)]
pub enum AlertCommand {
    /// Send an alert
    Add(Add),
    /// List alerts
    Query(Query),
}

/// `alert add`
#[derive(Args, Clone, Debug)]
pub struct Add {
    #[command(flatten)]
    remote: Remote,
    /// Labels, name=value; a first word without = is the alert's name
    #[arg(required = true)]
    labels: Vec<String>,
    /// Annotation, name=value; may be repeated
    #[arg(long = "annotation")]
    annotations: Vec<String>,
    /// Start, RFC 3339
    #[arg(long)]
    start: Option<String>,
    /// End, RFC 3339
    #[arg(long)]
    end: Option<String>,
    /// Where the alert comes from
    #[arg(long = "generator-url", default_value = "")]
    generator_url: String,
}

/// `alert query`
#[derive(Args, Clone, Debug)]
pub struct Query {
    #[command(flatten)]
    remote: Remote,
    /// Matchers; a first word without an operator is the alert's name
    matchers: Vec<String>,
    /// Show inhibited alerts
    #[arg(long, short)]
    inhibited: bool,
    /// Show silenced alerts
    #[arg(long, short)]
    silenced: bool,
    /// Show active alerts
    #[arg(long, short)]
    active: bool,
    /// Only alerts for receivers that match
    #[arg(long, short, default_value = "")]
    receiver: String,
}

/// Words as matchers; a first one without an operator names the alert.
pub(super) fn matchers_of(words: &[String]) -> Result<Vec<Matcher>, Failure> {
    let mut all = Vec::new();
    for (idx, word) in words.iter().enumerate() {
        if idx == 0 && !word.contains(['=', '~']) {
            all.push(Matcher::new("alertname", model::MatchOp::Equal, word.clone()));
            continue;
        }
        all.extend(matchers::parse(word, MatcherMode::default()).map_err(Failure::usage)?.0);
    }
    Ok(all)
}

pub(super) fn pairs(words: &[String], first_is_name: bool) -> Result<Map<String, Value>, Failure> {
    let mut map = Map::new();
    for (idx, word) in words.iter().enumerate() {
        match word.split_once('=') {
            Some((name, value)) => {
                let value =
                    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
                map.insert(name.to_owned(), value.into());
            }
            None if idx == 0 && first_is_name => {
                drop(map.insert("alertname".to_owned(), word.as_str().into()))
            }
            None => return Err(Failure::usage(format!("{word:?} is not of the form name=value"))),
        }
    }
    Ok(map)
}

pub(super) async fn run(command: AlertCommand) -> Result<(), Failure> {
    match command {
        AlertCommand::Add(add) => {
            let mut alert = json!({
                "labels": pairs(&add.labels, true)?,
                "annotations": pairs(&add.annotations, false)?,
            });
            for (key, value) in [("startsAt", add.start), ("endsAt", add.end)] {
                if let Some(value) = value {
                    alert[key] = value.into();
                }
            }
            if !add.generator_url.is_empty() {
                alert["generatorURL"] = add.generator_url.into();
            }
            Client::new(&add.remote)?.post("/alerts", &json!([alert])).await?;
            if add.remote.output == Output::Json { print_json(&json!([alert])) } else { Ok(()) }
        }
        AlertCommand::Query(query) => list(query).await,
    }
}

async fn list(query: Query) -> Result<(), Failure> {
    // Without a switch: what is not kept back, as amtool has it.
    let none = !(query.inhibited || query.silenced || query.active);
    let mut parameters = vec![
        ("active", (query.active || none).to_string()),
        ("inhibited", query.inhibited.to_string()),
        ("silenced", query.silenced.to_string()),
        ("receiver", query.receiver),
    ];
    for matcher in matchers_of(&query.matchers)? {
        parameters.push(("filter", matchers::show(&matcher)));
    }
    let alerts = Client::new(&query.remote)?.get("/alerts", &parameters).await?;
    if query.remote.output == Output::Json {
        return print_json(&alerts);
    }
    let extended = query.remote.output == Output::Extended;
    let rows: Vec<Vec<String>> = alerts
        .as_array()
        .into_iter()
        .flatten()
        .map(|alert| {
            let labels = &alert["labels"];
            if extended {
                vec![
                    shown_pairs(labels),
                    shown_pairs(&alert["annotations"]),
                    text_of(alert, "startsAt").to_owned(),
                    text_of(alert, "endsAt").to_owned(),
                    text_of(alert, "generatorURL").to_owned(),
                    text_of(&alert["status"], "state").to_owned(),
                ]
            } else {
                vec![
                    text_of(labels, "alertname").to_owned(),
                    text_of(alert, "startsAt").to_owned(),
                    text_of(&alert["annotations"], "summary").to_owned(),
                    text_of(&alert["status"], "state").to_owned(),
                ]
            }
        })
        .collect();
    let header: &[&str] = if extended {
        &["Labels", "Annotations", "Starts At", "Ends At", "Generator URL", "State"]
    } else {
        &["Alertname", "Starts At", "Summary", "State"]
    };
    print(&table(header, &rows))
}
