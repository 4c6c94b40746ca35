//! What the Docker API says about each container, as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use model::parse_rfc3339_ns;

/// Docker writes the year 1 for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A container's health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// There is no check.
    None,
    /// It has not decided yet.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

impl Health {
    /// As a list shows it: `Up 5 minutes (healthy)`.
    fn in_status(status: &str) -> Self {
        match status.rsplit_once('(').map(|(_, health)| health) {
            Some("healthy)") => Self::Healthy,
            Some("unhealthy)") => Self::Unhealthy,
            Some("health: starting)") => Self::Starting,
            _ => Self::None,
        }
    }
}

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerInfo {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// Without the leading slash.
    pub(crate) name: String,
    /// The image as the container was given it.
    pub(crate) image: String,
    /// Docker labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Environment, `NAME=value`.
    pub(crate) env: Vec<String>,
    /// When it was made, in ns.
    pub(crate) created_ns: i64,
    /// As Docker writes it: a line's `container_created_at`.
    pub(crate) created_at: String,
    /// When it was last started and last ended, in ns.
    pub(crate) started_ns: Option<i64>,
    pub(crate) finished_ns: Option<i64>,
    /// `running`, `exited`, `restarting`, `paused`, `created`, `dead`, `removing`.
    pub(crate) state: String,
    /// The main process as the machine sees it.
    pub(crate) pid: Option<u32>,
    /// Of the last run; `None` where it has not ended yet or is not known.
    pub(crate) exit_code: Option<i64>,
    /// How often Docker's restart policy started it again.
    pub(crate) restart_count: Option<u64>,
    /// Whether the last run ended for want of memory.
    pub(crate) oom_killed: bool,
    pub(crate) health: Health,
    /// Whether its log has one stream without frames.
    pub(crate) tty: bool,
    /// Whether it uses another container's network, whose series would be shown twice.
    pub(crate) shares_network: bool,
    /// How often Docker reported an out-of-memory kill while we were looking.
    pub(crate) oom_events: u64,
    /// Bytes of its writable layer, where they have been asked for.
    pub(crate) writable_bytes: Option<f64>,
}

/// All containers, and whether Docker answers at present.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inventory {
    /// By id.
    pub(crate) containers: BTreeMap<String, Arc<ContainerInfo>>,
    /// Whether this is the present state; otherwise the last one known.
    pub(crate) connected: bool,
    /// Docker's version.
    pub(crate) docker_version: String,
    /// The machine's name as Docker knows it.
    pub(crate) host_name: Option<String>,
    /// Whether containers have no cgroups of their own, as under rootless Docker on version 1.
    pub(crate) without_groups: bool,
}

impl ContainerInfo {
    /// What a list tells: enough for names, should the inspection fail.
    pub(crate) fn from_summary(summary: &ContainerSummary) -> Option<Self> {
        let id = summary.id.clone()?;
        let names = summary.names.as_deref().unwrap_or_default();
        // Links to other containers give further names with a second slash.
        let name = names.iter().map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'));
        let created_ns = summary.created.unwrap_or(0).saturating_mul(1_000_000_000);
        Some(Self {
            name: name.unwrap_or(&id[..id.len().min(12)]).to_owned(),
            id,
            image: summary.image.clone().unwrap_or_default(),
            labels: summary.labels.clone().unwrap_or_default().into_iter().collect(),
            env: Vec::new(),
            created_ns,
            created_at: String::new(),
            started_ns: None,
            finished_ns: None,
            state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
            pid: None,
            exit_code: None,
            restart_count: None,
            oom_killed: false,
            health: Health::in_status(summary.status.as_deref().unwrap_or("")),
            tty: false,
            shares_network: false,
            oom_events: 0,
            writable_bytes: summary.size_rw.map(|bytes| bytes as f64),
        })
    }

    /// What an inspection tells.
    pub(crate) fn from_inspection(inspection: ContainerInspectResponse) -> Option<Self> {
        let id = inspection.id?;
        let state = inspection.state.unwrap_or_default();
        let config = inspection.config.unwrap_or_default();
        let network_mode =
            inspection.host_config.and_then(|host_config| host_config.network_mode).unwrap_or_default();
        let time =
            |text: Option<String>| text.filter(|text| text != NEVER).and_then(|t| parse_rfc3339_ns(&t));
        let created_at = inspection.created.unwrap_or_default();
        let status = state.status.map(|status| status.to_string()).unwrap_or_default();
        let ended = matches!(status.as_str(), "exited" | "dead" | "restarting" | "removing");
        let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
        Some(Self {
            name: inspection.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            id,
            image: config.image.unwrap_or_default(),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            env: config.env.unwrap_or_default(),
            created_ns: parse_rfc3339_ns(&created_at).unwrap_or(0),
            created_at,
            started_ns: time(state.started_at),
            finished_ns: time(state.finished_at),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            exit_code: state.exit_code.filter(|_| ended),
            restart_count: inspection.restart_count.and_then(|count| u64::try_from(count).ok()),
            oom_killed: state.oom_killed.unwrap_or(false),
            health: match health.as_deref() {
                Some("starting") => Health::Starting,
                Some("healthy") => Health::Healthy,
                Some("unhealthy") => Health::Unhealthy,
                _ => Health::None,
            },
            state: status,
            tty: config.tty.unwrap_or(false),
            shares_network: network_mode.starts_with("container:"),
            oom_events: 0,
            writable_bytes: None,
        })
    }

    /// Whether a list that shows `listed` leaves nothing to ask: what else may have changed comes with an event.
    pub(crate) fn is_as_listed(&self, listed: &Self) -> bool {
        self.name == listed.name && self.state == listed.state && self.health == listed.health
    }

    /// Whether it has processes.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    /// The compose project, if it belongs to one.
    pub(crate) fn compose_project(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.project").map(String::as_str)
    }

    /// The compose service, if it is one's.
    pub(crate) fn compose_service(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.service").map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_read_from_a_list() {
        for (status, health) in [
            ("Up 5 minutes (healthy)", Health::Healthy),
            ("Up 5 minutes (unhealthy)", Health::Unhealthy),
            ("Up 1 second (health: starting)", Health::Starting),
            ("Up 5 minutes", Health::None),
            ("Exited (0) 3 minutes ago", Health::None),
            ("Up 5 minutes (Paused)", Health::None),
        ] {
            assert_eq!(Health::in_status(status), health, "{status}");
        }
    }
}
