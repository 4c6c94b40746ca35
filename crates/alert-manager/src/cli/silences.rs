//! `silence add`, `silence query` and `silence expire`

use clap::{Args, Subcommand};
use model::{parse_duration_ms, parse_rfc3339_ns};
use serde_json::{Value, json};
use service::Failure;
use sys::{Clock, SystemClock};

use super::alerts::{matchers_of, pairs};
use super::client::Client;
use super::{Output, Remote, print, print_json, table, text_of};
use crate::matchers;
use crate::silences::{RECURRENCE, SilenceMatcher, UNTIL_RESOLVED, WARN_BEFORE};
use crate::times::rfc3339_ms;

/// `silence`
#[derive(Clone, Debug, Subcommand)]
pub enum SilenceCommand {
    /// Make a silence; prints its id
    Add(Add),
    /// List silences
    Query(Query),
    /// End silences
    Expire(Expire),
    /// Change silences; prints their ids
    Update(Update),
    /// Make silences from a JSON file, as `query -o json` prints them
    Import(Import),
}

/// `silence add`
#[derive(Args, Clone, Debug)]
pub struct Add {
    #[command(flatten)]
    remote: Remote,
    /// Matchers; a first word without an operator is the alert's name
    #[arg(required = true)]
    matchers: Vec<String>,
    /// Who makes it
    #[arg(long, short, env = "USER", default_value = "unknown")]
    author: String,
    /// How long it lasts
    #[arg(long, short, default_value = "1h")]
    duration: String,
    /// Start, RFC 3339; now where not given
    #[arg(long)]
    start: Option<String>,
    /// End, RFC 3339, instead of a duration
    #[arg(long)]
    end: Option<String>,
    /// Why
    #[arg(long, short)]
    comment: String,
    /// Annotation, name=value; may be repeated
    #[arg(long = "annotation")]
    annotations: Vec<String>,
    /// End it once all alerts that it mutes are resolved
    #[arg(long = "until-resolved")]
    until_resolved: bool,
    /// Mute only then: `[days] [HH:MM-HH:MM] [zone]`, several with `;` between them
    #[arg(long)]
    recurrence: Option<String>,
    /// Raise an alert so long before its end, if it still mutes something
    #[arg(long = "warn-before")]
    warn_before: Option<String>,
}

/// `silence update`
#[derive(Args, Clone, Debug)]
pub struct Update {
    #[command(flatten)]
    remote: Remote,
    /// How long it lasts from its start on
    #[arg(long, short)]
    duration: Option<String>,
    /// Start, RFC 3339
    #[arg(long)]
    start: Option<String>,
    /// End, RFC 3339
    #[arg(long)]
    end: Option<String>,
    /// Why
    #[arg(long, short)]
    comment: Option<String>,
    /// The silences' ids
    #[arg(required = true)]
    ids: Vec<String>,
}

/// `silence import`
#[derive(Args, Clone, Debug)]
pub struct Import {
    #[command(flatten)]
    remote: Remote,
    /// Make new silences, also where there are some with these ids
    #[arg(long, short)]
    force: bool,
    /// Accepted: silences are made one after the other
    #[arg(long, short, default_value_t = 8)]
    worker: usize,
    /// The file; the standard input where not given
    file: Option<std::path::PathBuf>,
}

/// `silence query`
#[derive(Args, Clone, Debug)]
pub struct Query {
    #[command(flatten)]
    remote: Remote,
    /// Matchers that a silence must have
    matchers: Vec<String>,
    /// Show expired silences instead
    #[arg(long)]
    expired: bool,
    /// Print ids only
    #[arg(long, short)]
    quiet: bool,
    /// Only by this author
    #[arg(long = "created-by", default_value = "")]
    created_by: String,
}

/// `silence expire`
#[derive(Args, Clone, Debug)]
pub struct Expire {
    #[command(flatten)]
    remote: Remote,
    /// The silences' ids
    #[arg(required = true)]
    ids: Vec<String>,
}

pub(super) async fn run(command: SilenceCommand) -> Result<(), Failure> {
    match command {
        SilenceCommand::Add(command) => add(command).await,
        SilenceCommand::Query(command) => query(command).await,
        SilenceCommand::Update(command) => update(command).await,
        SilenceCommand::Import(command) => import(command).await,
        SilenceCommand::Expire(command) => {
            let client = Client::new(&command.remote)?;
            for id in &command.ids {
                client.delete(&format!("/silence/{id}")).await?;
            }
            if command.remote.output == Output::Json { print_json(&json!(command.ids)) } else { Ok(()) }
        }
    }
}

async fn add(command: Add) -> Result<(), Failure> {
    let time = |flag: &str, text: &str| {
        parse_rfc3339_ns(text)
            .ok_or_else(|| Failure::usage(format!("{flag} {text}: a time in RFC 3339 is needed")))
    };
    let start = match &command.start {
        Some(text) => time("--start", text)?,
        None => SystemClock::new().now_ns(),
    };
    let end = match &command.end {
        Some(text) => time("--end", text)?,
        None => {
            let ms = parse_duration_ms(&command.duration)
                .map_err(|error| Failure::usage(format!("--duration {}: {error}", command.duration)))?;
            start.saturating_add(ms.saturating_mul(1_000_000))
        }
    };
    let mut annotations = pairs(&command.annotations, false)?;
    if command.until_resolved {
        annotations.insert(UNTIL_RESOLVED.to_owned(), "true".into());
    }
    for (key, value) in [(RECURRENCE, command.recurrence), (WARN_BEFORE, command.warn_before)] {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value.into());
        }
    }
    let matchers: Vec<Value> = matchers_of(&command.matchers)?
        .iter()
        .map(SilenceMatcher::of)
        .map(|m| json!({ "name": m.name, "value": m.value, "isRegex": m.is_regex, "isEqual": m.is_equal }))
        .collect();
    let body = json!({
        "matchers": matchers,
        "startsAt": rfc3339_ms(start),
        "endsAt": rfc3339_ms(end),
        "createdBy": command.author,
        "comment": command.comment,
        "annotations": annotations,
    });
    let made = Client::new(&command.remote)?.post("/silences", &body).await?;
    if command.remote.output == Output::Json {
        return print_json(&made);
    }
    print(&format!("{}\n", text_of(&made, "silenceID")))
}

async fn update(command: Update) -> Result<(), Failure> {
    let client = Client::new(&command.remote)?;
    let mut ids = Vec::new();
    for id in &command.ids {
        let mut silence = client.get(&format!("/silence/{id}"), &[]).await?;
        if let Some(start) = &command.start {
            silence["startsAt"] = start.as_str().into();
        }
        if let Some(duration) = &command.duration {
            let ms = parse_duration_ms(duration)
                .map_err(|error| Failure::usage(format!("--duration {duration}: {error}")))?;
            let start = parse_rfc3339_ns(text_of(&silence, "startsAt"))
                .ok_or_else(|| Failure::usage("--start: a time in RFC 3339 is needed"))?;
            silence["endsAt"] = rfc3339_ms(start.saturating_add(ms.saturating_mul(1_000_000))).into();
        }
        if let Some(end) = &command.end {
            silence["endsAt"] = end.as_str().into();
        }
        if let Some(comment) = &command.comment {
            silence["comment"] = comment.as_str().into();
        }
        let made = client.post("/silences", &silence).await?;
        ids.push(text_of(&made, "silenceID").to_owned());
    }
    shown_ids(&ids, command.remote.output)
}

fn shown_ids(ids: &[String], output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return print_json(&json!(ids));
    }
    print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())
}

async fn import(command: Import) -> Result<(), Failure> {
    let text = match &command.file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?,
        None => std::io::read_to_string(std::io::stdin()).map_err(Failure::runtime)?,
    };
    let silences: Vec<Value> = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("a list of silences as JSON is needed: {error}")))?;
    let client = Client::new(&command.remote)?;
    let (mut ids, mut failed) = (Vec::new(), 0);
    for mut silence in silences {
        if command.force {
            silence["id"] = "".into();
        }
        match client.post("/silences", &silence).await {
            Ok(made) => ids.push(text_of(&made, "silenceID").to_owned()),
            Err(error) => {
                failed += 1;
                tracing::error!(error = %error, "silence not imported");
            }
        }
    }
    shown_ids(&ids, command.remote.output)?;
    if failed > 0 {
        return Err(Failure::runtime(format!("{failed} silences could not be imported")));
    }
    Ok(())
}

async fn query(command: Query) -> Result<(), Failure> {
    let mut parameters = vec![
        ("active", (!command.expired).to_string()),
        ("pending", (!command.expired).to_string()),
        ("expired", command.expired.to_string()),
    ];
    for matcher in matchers_of(&command.matchers)? {
        parameters.push(("filter", matchers::show(&matcher)));
    }
    let mut silences = Client::new(&command.remote)?.get("/silences", &parameters).await?;
    if let (Some(list), false) = (silences.as_array_mut(), command.created_by.is_empty()) {
        list.retain(|silence| text_of(silence, "createdBy") == command.created_by);
    }
    if command.remote.output == Output::Json {
        return print_json(&silences);
    }
    let list = silences.as_array().cloned().unwrap_or_default();
    if command.quiet {
        let ids: Vec<&str> = list.iter().map(|silence| text_of(silence, "id")).collect();
        return print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>());
    }
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|silence| {
            let shown = silence["matchers"].as_array().into_iter().flatten().map(shown_matcher);
            vec![
                text_of(silence, "id").to_owned(),
                shown.collect::<Vec<String>>().join(" "),
                text_of(&silence["status"], "state").to_owned(),
                text_of(silence, "endsAt").to_owned(),
                text_of(silence, "createdBy").to_owned(),
                text_of(silence, "comment").to_owned(),
            ]
        })
        .collect();
    print(&table(&["ID", "Matchers", "State", "Ends At", "Created By", "Comment"], &rows))
}

fn shown_matcher(matcher: &Value) -> String {
    let matcher = SilenceMatcher {
        name: text_of(matcher, "name").to_owned(),
        value: text_of(matcher, "value").to_owned(),
        is_regex: matcher["isRegex"] == true,
        is_equal: matcher["isEqual"] != false,
    };
    matchers::show(&matcher.to_matcher())
}
