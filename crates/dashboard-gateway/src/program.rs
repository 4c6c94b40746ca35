//! The gateway as a program: its flags, in Grafana's environment too.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use config::Secret;
use service::{Failure, Process, Program};
use telemetry::Registry;

use crate::app::DashboardGateway;
use crate::options::{Options, parse_url};
use crate::users::{Role, leave_reset};

/// `watchbell-gateway`
#[derive(Debug)]
pub struct GatewayProgram;

/// Flags; where Grafana's images have an environment variable for it, that counts too.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// Address to listen on [env: GF_SERVER_HTTP_ADDR, GF_SERVER_HTTP_PORT] [default: :3000]
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    listen_address: Option<String>,
    /// URL under which browsers reach the gateway, with a path where it lies below one
    #[arg(long = "web.external-url", value_name = "URL", env = "GF_SERVER_ROOT_URL")]
    external_url: Option<String>,
    /// Prometheus' web configuration file, for TLS
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Directory for users, sessions and dashboards
    #[arg(
        long = "storage.path",
        value_name = "DIR",
        env = "GF_PATHS_DATA",
        default_value = "/var/lib/grafana"
    )]
    storage_path: PathBuf,
    /// Directory of dashboards in Grafana's JSON; may be given more than once
    #[arg(long = "dashboards.path", value_name = "DIR", default_value = "/etc/watchbell/dashboards", num_args = 1, action = clap::ArgAction::Append)]
    dashboards: Vec<PathBuf>,
    /// Metrics server, or any server with Prometheus' API
    #[arg(
        long = "metrics.url",
        value_name = "URL",
        env = "WATCHBELL_METRICS_URL",
        default_value = "http://prometheus:9090",
        hide_env_values = true
    )]
    metrics_url: String,
    /// Log server, or any server with Loki's API
    #[arg(
        long = "logs.url",
        value_name = "URL",
        env = "WATCHBELL_LOGS_URL",
        default_value = "http://loki:3100",
        hide_env_values = true
    )]
    logs_url: String,
    /// Alert manager, or any server with Alertmanager's API
    #[arg(
        long = "alerts.url",
        value_name = "URL",
        env = "WATCHBELL_ALERTS_URL",
        default_value = "http://alertmanager:9093",
        hide_env_values = true
    )]
    alerts_url: String,
    /// Agent whose report the Status page shows; may be given more than once
    #[arg(long = "agent.url", value_name = "URL", default_value = "http://cadvisor:8080", num_args = 1, action = clap::ArgAction::Append)]
    agent_urls: Vec<String>,
}

/// Subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum GatewayCommand {
    /// Give a user a new, generated password and print it; also while the gateway runs
    ResetPassword {
        /// The user
        #[arg(long, default_value = "admin")]
        user: String,
        /// Directory of the gateway's data
        #[arg(
            long = "storage.path",
            value_name = "DIR",
            env = "GF_PATHS_DATA",
            default_value = "/var/lib/grafana"
        )]
        storage_path: PathBuf,
    },
}

impl Flags {
    /// Flags and environment into settings.
    pub fn options(self, env: impl Fn(&str) -> Option<String>) -> Result<Options, Failure> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let listen_address = self.listen_address.clone().unwrap_or_else(|| listen_address_of(&env));
        let external_url = match self.external_url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => Some(parse_url("--web.external-url", &grafana_url(url))?),
            None => None,
        };
        let agent_urls =
            self.agent_urls.iter().map(|url| parse_url("--agent.url", url)).collect::<Result<_, _>>()?;
        Ok(Options {
            listen_address,
            listen_flag: "--web.listen-address",
            data_dir: self.storage_path,
            external_url,
            metrics_url: parse_url("--metrics.url", &self.metrics_url)?,
            logs_url: parse_url("--logs.url", &self.logs_url)?,
            alerts_url: parse_url("--alerts.url", &self.alerts_url)?,
            agent_urls,
            dashboard_dirs: self.dashboards,
            admin_user: env("GF_SECURITY_ADMIN_USER").unwrap_or_else(|| "admin".to_owned()),
            admin_password: admin_password(&env)?,
            anonymous: anonymous(&env),
            web_config: self.web_config,
        })
    }
}

/// Grafana's placeholders, as its own default has them.
fn grafana_url(url: &str) -> String {
    url.replace("%(protocol)s", "http").replace("%(domain)s", "localhost").replace("%(http_port)s", "3000")
}

fn listen_address_of(env: &impl Fn(&str) -> Option<String>) -> String {
    let host = env("GF_SERVER_HTTP_ADDR").unwrap_or_default();
    let port = env("GF_SERVER_HTTP_PORT").unwrap_or_else(|| "3000".to_owned());
    format!("{host}:{port}")
}

fn admin_password(env: &impl Fn(&str) -> Option<String>) -> Result<Option<Secret>, Failure> {
    const NAME: &str = "GF_SECURITY_ADMIN_PASSWORD";
    if let Some(password) = env(NAME) {
        return Ok(Some(Secret::new(password)));
    }
    let Some(file) = env("GF_SECURITY_ADMIN_PASSWORD__FILE") else { return Ok(None) };
    let read = Secret::read_file(Path::new(&file));
    let secret =
        read.map_err(|error| Failure::usage(format!("{NAME}__FILE: cannot read {file}: {error}")))?;
    if secret.is_empty() {
        return Err(Failure::usage(format!("{NAME}__FILE: {file} is empty")));
    }
    Ok(Some(secret))
}

fn anonymous(env: &impl Fn(&str) -> Option<String>) -> Option<Role> {
    let on = env("GF_AUTH_ANONYMOUS_ENABLED").is_some_and(|value| value == "true");
    on.then(|| match env("GF_AUTH_ANONYMOUS_ORG_ROLE").as_deref() {
        Some("Admin") => Role::Admin,
        Some("Editor") => Role::Editor,
        _ => Role::Viewer,
    })
}

impl Program for GatewayProgram {
    const NAME: &'static str = "watchbell-gateway";
    const ABOUT: &'static str =
        "Shows dashboards, logs and alerts, and is the one authenticated way to the servers behind it";
    type Flags = Flags;
    type Command = GatewayCommand;
    type App = DashboardGateway;

    fn health_url(flags: &Flags) -> String {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let address = flags.listen_address.clone().unwrap_or_else(|| listen_address_of(&env));
        let port = address.rsplit(':').next().unwrap_or("3000");
        let scheme = if flags.web_config.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{port}/-/healthy")
    }

    async fn build(flags: Flags, process: &Process) -> Result<DashboardGateway, Failure> {
        let options = flags.options(|name| std::env::var(name).ok())?;
        let registry = Registry::new();
        process.logging.register_metrics(&registry);
        let app = DashboardGateway::new(options, &registry).await?;
        if let Some((user, password)) = app.first_login() {
            say(&format!("First login: user {user}, password {password} (until it is changed)\n"))?;
        }
        Ok(app)
    }

    async fn command(command: GatewayCommand) -> Result<(), Failure> {
        let GatewayCommand::ResetPassword { user, storage_path } = command;
        let left = tokio::task::spawn_blocking(move || {
            service::check_data_directory(&storage_path, "--storage.path")?;
            leave_reset(&storage_path, &user)
                .map(|password| (user, password))
                .map_err(|error| Failure::runtime(error.message))
        });
        let (user, password) = left.await.map_err(Failure::runtime)??;
        say(&format!(
            "New password of {user}: {password}\nA running gateway takes it within seconds, another one at its start.\n"
        ))
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        let document = config::Document::load(file)?;
        let loaded = document.read(service::WebConfig::read)?;
        Ok(loaded.warnings.iter().map(ToString::to_string).collect())
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::runtime)
}
