//! The command line of `watchbell`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use service::Ownership;

/// All of Watchbell in one process: metrics, logs, alerts, dashboards and the agent for this machine.
#[derive(Debug, Parser)]
#[command(name = "watchbell", version, about)]
pub struct Arguments {
    /// The flags.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where data and configuration lie and what listens where.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// Directory of all data
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Directory with the compose deployment's configuration files [default: ./conf where it exists, else built-in ones]
    #[arg(long, value_name = "DIR")]
    pub conf: Option<PathBuf>,
    /// Address of the UI
    #[arg(long = "listen.gateway", value_name = "ADDRESS", default_value = "0.0.0.0:3000")]
    pub gateway: SocketAddr,
    /// Address of the metrics server
    #[arg(long = "listen.metrics", value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub metrics: SocketAddr,
    /// Address of the log server
    #[arg(long = "listen.logs", value_name = "ADDRESS", default_value = "127.0.0.1:3100")]
    pub logs: SocketAddr,
    /// Address of the alert manager
    #[arg(long = "listen.alerts", value_name = "ADDRESS", default_value = "127.0.0.1:9093")]
    pub alerts: SocketAddr,
    /// Address of the agent
    #[arg(long = "listen.agent", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub agent: SocketAddr,
    /// Number added to every port: for a second instance, or where ports are taken
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port_offset: u16,
    /// How long metrics are kept
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    pub retention: String,
    /// Lowest level that is logged: debug, info, warn, error
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "warn")]
    pub log_level: String,
    /// Form of the log lines
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt", value_parser = ["logfmt", "json"])]
    pub log_format: String,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the data directories of the compose deployment and give each to its user
    PrepareData {
        /// Directory of all data
        dir: PathBuf,
        /// NAME=UID:GID, one for each service
        #[arg(required = true)]
        owners: Vec<Ownership>,
    },
    /// Ask the running gateway whether it is healthy
    Healthcheck,
    /// Write shell completions
    Completions {
        /// Shell to write completions for
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
    /// A service's own command line.
    #[command(flatten)]
    Service(ServiceCommand),
}

/// Each service's own command line: what its binary does.
#[derive(Clone, Debug, Subcommand)]
pub enum ServiceCommand {
    /// All that watchbell-metrics does: serve alone, query, check-config ...
    Metrics(ServiceArguments),
    /// All that watchbell-logs does: serve alone, query, tail, labels ...
    Logs(ServiceArguments),
    /// All that watchbell-alerts does: serve alone, alert, silence, test-receiver ...
    Alerts(ServiceArguments),
    /// All that watchbell-gateway does: serve alone, reset-password ...
    Gateway(ServiceArguments),
    /// All that watchbell-agent does: serve alone, check-config ...
    Agent(ServiceArguments),
}

/// What goes to a service's own command line, its `--help` too.
#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ServiceArguments {
    /// Arguments of the service
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<String>,
}

impl Flags {
    /// The flags with `--port-offset` added to each port.
    ///
    /// # Errors
    /// Where a port would be beyond 65535, with the flag's name.
    pub fn with_offset(mut self) -> Result<Self, String> {
        let offset = self.port_offset;
        for (flag, address) in [
            ("--listen.gateway", &mut self.gateway),
            ("--listen.metrics", &mut self.metrics),
            ("--listen.logs", &mut self.logs),
            ("--listen.alerts", &mut self.alerts),
            ("--listen.agent", &mut self.agent),
        ] {
            let port = address.port().checked_add(offset);
            let port =
                port.ok_or_else(|| format!("{flag} with --port-offset {offset} is beyond port 65535"))?;
            address.set_port(port);
        }
        self.port_offset = 0;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_moves_every_port_once() {
        let arguments =
            Arguments::parse_from(["watchbell", "--port-offset", "100", "--listen.agent", "127.0.0.1:9000"]);
        let flags = arguments.flags.with_offset().unwrap().with_offset().unwrap();
        let ports = [flags.gateway, flags.metrics, flags.logs, flags.alerts, flags.agent]
            .map(|address| address.port());
        assert_eq!(ports, [3100, 9190, 3200, 9193, 9100]);
        let arguments = Arguments::parse_from(["watchbell", "--port-offset", "60000"]);
        assert!(arguments.flags.with_offset().unwrap_err().contains("--listen.metrics"));
    }
}
