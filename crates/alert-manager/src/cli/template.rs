//! `template render`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use service::Failure;
use sys::{Clock, SystemClock};

use super::print;
use crate::data::{AlertData, Data, Pairs, common};
use crate::notify::test_message;
use crate::templates::Templates;

/// `template`
#[derive(Clone, Debug, Subcommand)]
pub enum TemplateCommand {
    /// Render a text with the templates of files
    Render(Render),
}

/// `template render`
#[derive(Args, Clone, Debug)]
pub struct Render {
    /// Template files
    #[arg(long = "template.glob", required = true)]
    globs: Vec<PathBuf>,
    /// The text
    #[arg(long = "template.text", required = true)]
    text: String,
    /// How values are escaped
    #[arg(long = "template.type", value_enum, default_value = "text")]
    kind: Kind,
    /// The data as JSON, as a webhook gets it; a test alert where not given
    #[arg(long = "template.data")]
    data: Option<PathBuf>,
}

/// How values are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Not at all
    Text,
    /// For HTML
    Html,
}

pub(super) fn run(TemplateCommand::Render(command): TemplateCommand) -> Result<(), Failure> {
    let mut files = Vec::new();
    for glob in &command.globs {
        files.extend(crate::glob::expand(glob).map_err(Failure::usage)?);
    }
    let templates = Templates::load(&files).map_err(Failure::usage)?;
    let mut data = test_message("test", "http://localhost:9093", SystemClock::new().now_ns()).data;
    if let Some(path) = &command.data {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let given: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        data = read(&given);
    }
    let value = data.to_value();
    let rendered = match command.kind {
        Kind::Text => templates.text(&command.text, &value),
        Kind::Html => templates.html(&command.text, &value),
    };
    print(&format!("{}\n", rendered.map_err(Failure::runtime)?))
}

/// Data as a webhook has it; what is missing is empty.
fn read(given: &Value) -> Data {
    let pairs = |value: &Value| -> Pairs {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let status = |value: &Value| if value["status"] == "resolved" { "resolved" } else { "firing" };
    let time = |value: &Value| value.as_str().and_then(model::parse_rfc3339_ns);
    let alerts: Vec<AlertData> = given["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|alert| AlertData {
            status: status(alert),
            labels: pairs(&alert["labels"]),
            annotations: pairs(&alert["annotations"]),
            starts_at: time(&alert["startsAt"]),
            ends_at: time(&alert["endsAt"]).filter(|_| status(alert) == "resolved"),
            generator_url: text(alert, "generatorURL"),
            fingerprint: text(alert, "fingerprint"),
        })
        .collect();
    let or_common = |key: &str, of_alert: fn(&AlertData) -> &Pairs| match given.get(key) {
        Some(value) => pairs(value),
        None => common(alerts.iter().map(of_alert)),
    };
    Data {
        receiver: text(given, "receiver"),
        status: status(given),
        notification_reason: "first notification",
        group_labels: pairs(&given["groupLabels"]),
        common_labels: or_common("commonLabels", |alert| &alert.labels),
        common_annotations: or_common("commonAnnotations", |alert| &alert.annotations),
        route_labels: pairs(&given["routeLabels"]),
        external_url: text(given, "externalURL"),
        ack_url: String::new(),
        alerts,
    }
}
