//! `config routes show` and `config routes test`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::Labels;
use serde_json::{Value, json};
use service::Failure;

use super::{Output, print, print_json};
use crate::config::{Config, Route};
use crate::matchers::{MatcherMode, MatcherSet};
use crate::routing;

/// `config routes`
#[derive(Clone, Debug, Subcommand)]
pub enum RoutesCommand {
    /// Show the routing tree
    Show(Show),
    /// Say to which receivers an alert with these labels goes
    Test(Test),
}

/// `config routes show`
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// The configuration
    #[arg(long = "config.file", default_value = "alertmanager.yml")]
    config_file: PathBuf,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "simple")]
    output: Output,
}

/// `config routes test`
#[derive(Args, Clone, Debug)]
pub struct Test {
    /// The configuration
    #[arg(long = "config.file", default_value = "alertmanager.yml")]
    config_file: PathBuf,
    /// Labels, name=value
    labels: Vec<String>,
    /// Fail unless these receivers, separated by commas, are the ones
    #[arg(long = "verify.receivers", value_delimiter = ',')]
    verify: Vec<String>,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "simple")]
    output: Output,
}

pub(super) fn run(command: RoutesCommand) -> Result<(), Failure> {
    match command {
        RoutesCommand::Show(show) => {
            let config = Config::load(&show.config_file, MatcherMode::default())?;
            if show.output == Output::Json {
                return print_json(&as_json(&config.routes, 0));
            }
            let mut out = String::from("Routing tree:\n.\n");
            draw(&config.routes, 0, "", &mut out);
            print(&out)
        }
        RoutesCommand::Test(test) => {
            let config = Config::load(&test.config_file, MatcherMode::default())?;
            let mut pairs = Vec::new();
            for word in &test.labels {
                let pair = word.split_once('=');
                let (name, value) =
                    pair.ok_or_else(|| Failure::usage(format!("{word:?} is not of the form name=value")))?;
                pairs.push((name, value.trim_matches('"')));
            }
            let labels = Labels::from_pairs(pairs);
            let found = routing::matching(&config.routes, &labels);
            let receivers: Vec<&str> =
                found.iter().map(|idx| config.routes[*idx].receiver.as_str()).collect();
            if test.output == Output::Json {
                print_json(&json!(receivers))?;
            } else {
                print(&format!("{}\n", receivers.join(",")))?;
            }
            if !test.verify.is_empty() && test.verify != receivers {
                let expected = test.verify.join(",");
                return Err(Failure::runtime(format!(
                    "expected receivers did not match: {expected} is wanted"
                )));
            }
            Ok(())
        }
    }
}

fn label(route: &Route, is_root: bool) -> String {
    let matchers: &MatcherSet = &route.matchers;
    let shown = if is_root { "default-route".to_owned() } else { matchers.to_string() };
    let continues = if route.continues { "  continue: true" } else { "" };
    format!("{shown}{continues}  receiver: {}", route.receiver)
}

fn draw(routes: &[Route], idx: usize, indent: &str, out: &mut String) {
    let route = &routes[idx];
    if idx == 0 {
        out.push_str(&format!("└── {}\n", label(route, true)));
    }
    let inner = format!("{indent}    ");
    for (position, child) in route.children.iter().enumerate() {
        let last = position + 1 == route.children.len();
        out.push_str(&format!(
            "{inner}{} {}\n",
            if last { "└──" } else { "├──" },
            label(&routes[*child], false)
        ));
        draw(routes, *child, &format!("{inner}{}", if last { "" } else { "│" }), out);
    }
}

fn as_json(routes: &[Route], idx: usize) -> Value {
    let route = &routes[idx];
    json!({
        "matchers": route.matchers.to_string(),
        "receiver": route.receiver,
        "continue": route.continues,
        "routes": route.children.iter().map(|child| as_json(routes, *child)).collect::<Vec<Value>>(),
    })
}
