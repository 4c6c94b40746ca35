//! The subcommands: a client of the running server, and work on a configuration file.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use service::Failure;

mod alerts;
mod client;
mod explain;
mod routes;
mod silences;
mod template;
mod test_receiver;

/// What the program does besides serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Add and query alerts
    #[command(subcommand)]
    Alert(alerts::AlertCommand),
    /// Add, query and expire silences
    #[command(subcommand)]
    Silence(silences::SilenceCommand),
    /// Show and test the routing of a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Say why an alert is told to whom, or to nobody
    Explain(explain::Explain),
    /// Work with templates
    #[command(subcommand)]
    Template(template::TemplateCommand),
    /// Send a test notification to a receiver and print the provider's answer
    TestReceiver(TestReceiverArgs),
}

/// `config`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the configuration that the server uses
    Show(Remote),
    /// Show and test routes
    #[command(subcommand)]
    Routes(routes::RoutesCommand),
}

/// `cluster`
#[derive(Clone, Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the members
    Show(Remote),
}

/// `test-receiver`
#[derive(Args, Clone, Debug)]
pub struct TestReceiverArgs {
    /// The receiver's name
    pub name: String,
    /// The configuration that defines it
    #[arg(long = "config.file", default_value = "alertmanager.yml")]
    pub config_file: PathBuf,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "simple")]
    pub output: Output,
}

/// Where the server is and how to print.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// The server
    #[arg(long = "alertmanager.url", env = "ALERTMANAGER_URL", default_value = "http://127.0.0.1:9093")]
    pub url: String,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "simple")]
    pub output: Output,
    /// Seconds to wait for the server
    #[arg(long, default_value_t = 30)]
    pub timeout: u64,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table
    Simple,
    /// A table with all columns
    Extended,
    /// JSON, as the API has it
    Json,
}

/// Runs a subcommand.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Alert(command) => alerts::run(command).await,
        Command::Silence(command) => silences::run(command).await,
        Command::Config(ConfigCommand::Show(remote)) => {
            let status = client::Client::new(&remote)?.get("/status", &[]).await?;
            let text = status["config"]["original"].as_str().unwrap_or_default().to_owned();
            if remote.output == Output::Json { print_json(&status["config"]) } else { print(&text) }
        }
        Command::Config(ConfigCommand::Routes(command)) => routes::run(command),
        Command::Cluster(ClusterCommand::Show(remote)) => show_cluster(&remote).await,
        Command::Explain(command) => explain::run(command).await,
        Command::Template(command) => template::run(command),
        Command::TestReceiver(args) => test_receiver::run(args).await,
    }
}

async fn show_cluster(remote: &Remote) -> Result<(), Failure> {
    let status = client::Client::new(remote)?.get("/status", &[]).await?;
    let cluster = &status["cluster"];
    if remote.output == Output::Json {
        return print_json(cluster);
    }
    let mut text =
        format!("Cluster Status: {}\nNode Name: {}\n", text_of(cluster, "status"), text_of(cluster, "name"));
    let peers = cluster["peers"].as_array().into_iter().flatten();
    let row = |peer: &Value| vec![text_of(peer, "name").to_owned(), text_of(peer, "address").to_owned()];
    text.push_str(&table(&["Name", "Address"], &peers.map(row).collect::<Vec<_>>()));
    print(&text)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::runtime)
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Rows as columns of equal width.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let header = header.iter().map(|text| (*text).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The texts of a JSON object as `a="b" c="d"`.
fn shown_pairs(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten();
    let shown: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", crate::matchers::quote(value.as_str().unwrap_or_default())))
        .collect();
    shown.join(" ")
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}
