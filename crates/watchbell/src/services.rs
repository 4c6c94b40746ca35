//! What each service is started with: the arguments that its own binary would get.

use std::process::ExitCode;

use alert_manager::AlertProgram;
use dashboard_gateway::GatewayProgram;
use futures::future::BoxFuture;
use host_agent::AgentProgram;
use log_server::LogServer;
use metrics_server::MetricsServer;
use service::{App, Failure, Process, Program, build_from_arguments};

use crate::aliases::{host_aliases, reachable};
use crate::conf::{self, Conf};
use crate::flags::{Flags, ServiceArguments, ServiceCommand};
use crate::supervisor::Stop;

type Build = fn(Vec<String>, Process) -> BoxFuture<'static, Result<Box<dyn App>, Failure>>;

/// A service to be started.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Its name, also of its threads.
    pub name: &'static str,
    /// Its arguments, the program's name first.
    pub arguments: Vec<String>,
    /// Who of the services stops with it.
    pub(crate) stops_at: Stop,
    /// Makes it.
    pub(crate) build: Build,
}

impl ServiceSpec {
    fn of<P: Program>(name: &'static str, arguments: Vec<String>) -> Self {
        let mut all = vec![P::NAME.to_owned()];
        all.extend(arguments);
        Self { name, arguments: all, stops_at: Stop::All, build: build::<P> }
    }
}

fn build<P: Program>(
    arguments: Vec<String>,
    process: Process,
) -> BoxFuture<'static, Result<Box<dyn App>, Failure>> {
    Box::pin(async move {
        let app = build_from_arguments::<P>(arguments, &process).await?;
        let app: Box<dyn App> = Box::new(app);
        Ok(app)
    })
}

/// Runs one service's own command line: what its binary does.
pub fn run_service(command: ServiceCommand) -> ExitCode {
    match command {
        ServiceCommand::Metrics(own) => as_program::<MetricsServer>(own),
        ServiceCommand::Logs(own) => as_program::<LogServer>(own),
        ServiceCommand::Alerts(own) => as_program::<AlertProgram>(own),
        ServiceCommand::Gateway(own) => as_program::<GatewayProgram>(own),
        ServiceCommand::Agent(own) => as_program::<AgentProgram>(own),
    }
}

fn as_program<P: Program>(own: ServiceArguments) -> ExitCode {
    service::run_arguments::<P>(std::iter::once(P::NAME.to_owned()).chain(own.arguments))
}

/// The five services as `flags` have them; writes the built-in configuration where there is no other.
///
/// # Errors
/// Where `--conf` is no directory or has none of the files, or the data directory cannot be written.
pub fn service_specs(flags: &Flags) -> std::io::Result<Vec<ServiceSpec>> {
    let conf = Conf::open(flags.conf.as_deref(), &flags.data)?;
    if flags.conf.is_some() && !conf.left_out().is_empty() {
        let files = conf.left_out().join(", ");
        tracing::info!(files, "the configuration directory leaves these out: built-in ones serve");
    }
    Ok(vec![
        ServiceSpec::of::<AlertProgram>("alert-manager", alert_manager(flags, &conf)),
        ServiceSpec::of::<MetricsServer>("metrics-server", metrics_server(flags, &conf)),
        ServiceSpec::of::<LogServer>("log-server", log_server(flags, &conf)),
        ServiceSpec {
            stops_at: Stop::Senders,
            ..ServiceSpec::of::<AgentProgram>("host-agent", host_agent(flags, &conf))
        },
        ServiceSpec::of::<GatewayProgram>("dashboard-gateway", dashboard_gateway(flags, &conf)),
    ])
}

fn metrics_server(flags: &Flags, conf: &Conf) -> Vec<String> {
    let config = conf.file(&conf::METRICS);
    let rules = conf.file(&conf::METRIC_RULES);
    let mut arguments = vec![
        format!("--config.file={}", config.display()),
        format!("--config.path-alias=/etc/prometheus/alert.rules={}", rules.display()),
        format!("--storage.tsdb.path={}", flags.data.join("prometheus/data").display()),
        format!("--storage.tsdb.retention.time={}", flags.retention),
        format!("--web.listen-address={}", flags.metrics),
        format!("--web.external-url=http://localhost:{}/", flags.metrics.port()),
        "--web.enable-lifecycle".to_owned(),
        "--web.enable-remote-write-receiver".to_owned(),
    ];
    arguments.extend(host_aliases(flags).into_iter().map(|alias| format!("--web.host-alias={alias}")));
    arguments
}

fn log_server(flags: &Flags, conf: &Conf) -> Vec<String> {
    let config = conf.file(&conf::LOGS);
    vec![
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", flags.data.join("loki").display()),
        format!("--server.http-listen-address={}", flags.logs.ip()),
        format!("--server.http-listen-port={}", flags.logs.port()),
        format!("--ruler.alertmanager-url=http://{}", reachable(flags.alerts)),
        format!("--ruler.storage.local.directory={}", conf.dir("loki-rules").display()),
    ]
}

fn alert_manager(flags: &Flags, conf: &Conf) -> Vec<String> {
    let config = conf.file(&conf::ALERTS);
    vec![
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", flags.data.join("alertmanager").display()),
        format!("--web.listen-address={}", flags.alerts),
        format!("--web.external-url=http://localhost:{}/", flags.alerts.port()),
        "--cluster.listen-address=".to_owned(),
    ]
}

fn host_agent(flags: &Flags, conf: &Conf) -> Vec<String> {
    let mut arguments = vec![
        format!("--web.listen-address={}", flags.agent),
        format!("--storage.path={}", flags.data.join("agent").display()),
    ];
    match conf.agent_file() {
        Some(file) => arguments.push(format!("--config={}", file.display())),
        None => arguments.push(format!("--logs.server=http://{}", reachable(flags.logs))),
    }
    arguments.extend(host_aliases(flags).into_iter().map(|alias| format!("--web.host-alias={alias}")));
    arguments
}

fn dashboard_gateway(flags: &Flags, conf: &Conf) -> Vec<String> {
    vec![
        format!("--web.listen-address={}", flags.gateway),
        format!("--storage.path={}", flags.data.join("grafana").display()),
        format!("--dashboards.path={}", conf.dir("dashboards").display()),
        format!("--metrics.url=http://{}", reachable(flags.metrics)),
        format!("--logs.url=http://{}", reachable(flags.logs)),
        format!("--alerts.url=http://{}", reachable(flags.alerts)),
        format!("--agent.url=http://{}", reachable(flags.agent)),
    ]
}
