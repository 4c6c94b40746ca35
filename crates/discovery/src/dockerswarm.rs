//! `dockerswarm_sd_configs`: services, tasks or nodes of a swarm.

use std::collections::HashMap;
use std::time::Duration;

use ::config::{Node, Reported};
use model::Labels;
use serde_json::Value;

use crate::api::Api;
use crate::docker::Daemon;
use crate::meta::{Meta, host_port, items, pairs, plain, text};
use crate::refresh::{Refresh, Refreshed};
use crate::target_group::TargetGroup;

const PREFIX: &str = "__meta_dockerswarm_";

/// A swarm.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerSwarmConfig {
    /// A manager of it.
    pub daemon: Daemon,
    /// What is found.
    pub role: SwarmRole,
    /// The port of what publishes none.
    pub port: u16,
}

/// What is found in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwarmRole {
    /// Virtual addresses of services.
    Services,
    /// Tasks.
    Tasks,
    /// Nodes.
    Nodes,
}

impl DockerSwarmConfig {
    pub(crate) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let config = Self {
            daemon: Daemon::read_inline(&map)?,
            role: map.required("role")?.one_of(&[
                ("services", SwarmRole::Services),
                ("tasks", SwarmRole::Tasks),
                ("nodes", SwarmRole::Nodes),
            ])?,
            port: map.read_or("port", 80, Node::integer)?,
        };
        map.finish()?;
        Ok(config)
    }
}

/// Asks a manager.
#[derive(Debug)]
pub(crate) struct DockerSwarmDiscovery {
    pub(crate) config: DockerSwarmConfig,
    pub(crate) api: Api,
}

impl Refresh for DockerSwarmDiscovery {
    fn kind(&self) -> &'static str {
        "dockerswarm"
    }

    fn interval(&self) -> Duration {
        self.config.daemon.refresh_interval
    }

    fn refresh(&mut self) -> Refreshed<'_> {
        Box::pin(async {
            let targets = match self.config.role {
                SwarmRole::Services => self.services().await?,
                SwarmRole::Tasks => self.tasks().await?,
                SwarmRole::Nodes => self.nodes().await?,
            };
            Ok(vec![TargetGroup { source: "DockerSwarm".to_owned(), labels: Labels::empty(), targets }])
        })
    }
}

impl DockerSwarmDiscovery {
    async fn services(&self) -> Result<Vec<Labels>, String> {
        let daemon = &self.config.daemon;
        let services = daemon.list(&self.api, "/services", &daemon.filter_parameter()).await?;
        let networks = daemon.networks(&self.api, PREFIX).await?;
        let mut targets = Vec::new();
        for service in items(&services, "") {
            let mut common = service_labels(service);
            common
                .set(
                    "service_task_container_hostname",
                    text(service, "/Spec/TaskTemplate/ContainerSpec/Hostname"),
                )
                .set("service_task_container_image", text(service, "/Spec/TaskTemplate/ContainerSpec/Image"))
                .set("service_updating_status", text(service, "/UpdateStatus/State"));
            for address in items(service, "/Endpoint/VirtualIPs") {
                let mut common = common.clone();
                if let Some(labels) = networks.get(text(address, "/NetworkID")) {
                    common.merge(labels);
                }
                let ip = ip_of(text(address, "/Addr"));
                let before = targets.len();
                for port in tcp_ports(service, "/Endpoint/Ports") {
                    let mut meta = common.clone();
                    meta.set("service_endpoint_port_name", text(port, "/Name"))
                        .set("service_endpoint_port_publish_mode", text(port, "/PublishMode"))
                        .address(&host_port(ip, plain(port, "/PublishedPort")));
                    targets.push(meta.build());
                }
                if targets.len() == before {
                    targets.push(common.address(&host_port(ip, self.config.port)).build());
                }
            }
        }
        Ok(targets)
    }

    async fn tasks(&self) -> Result<Vec<Labels>, String> {
        let daemon = &self.config.daemon;
        let tasks = daemon.list(&self.api, "/tasks", &daemon.filter_parameter()).await?;
        let services = daemon.list(&self.api, "/services", "").await?;
        let services: HashMap<&str, &Value> =
            items(&services, "").iter().map(|service| (text(service, "/ID"), service)).collect();
        let nodes = daemon.list(&self.api, "/nodes", "").await?;
        let nodes: HashMap<&str, &Value> =
            items(&nodes, "").iter().map(|node| (text(node, "/ID"), node)).collect();
        let networks = daemon.networks(&self.api, PREFIX).await?;
        let mut targets = Vec::new();
        for task in items(&tasks, "") {
            let service = services.get(text(task, "/ServiceID")).copied();
            let node = nodes.get(text(task, "/NodeID")).copied();
            let mut common = Meta::new(PREFIX);
            common
                .set("task_id", text(task, "/ID"))
                .set("task_desired_state", text(task, "/DesiredState"))
                .set("task_state", text(task, "/Status/State"))
                .set("task_slot", &task["Slot"].as_i64().unwrap_or(0).to_string())
                .set("task_container_id", text(task, "/Status/ContainerStatus/ContainerID"))
                .set_all("container_label_", pairs(task, "/Spec/ContainerSpec/Labels"));
            if let Some(service) = service {
                common.merge(&service_labels(service).build());
            }
            if let Some(node) = node {
                common.merge(&node_labels(node).build());
            }
            let node_address = node.map_or("", |node| text(node, "/Status/Addr"));
            for port in tcp_ports(task, "/Status/PortStatus/Ports") {
                let mut meta = common.clone();
                meta.set("task_port_publish_mode", text(port, "/PublishMode"))
                    .address(&host_port(node_address, plain(port, "/PublishedPort")));
                targets.push(meta.build());
            }
            for attachment in items(task, "/NetworksAttachments") {
                let mut common = common.clone();
                if let Some(labels) = networks.get(text(attachment, "/Network/ID")) {
                    common.merge(labels);
                }
                let addresses = items(attachment, "/Addresses").iter().filter_map(Value::as_str);
                targets.extend(addresses.flat_map(|address| self.attached(&common, ip_of(address), service)));
            }
        }
        Ok(targets)
    }

    /// A task's targets at one of its own addresses.
    fn attached(&self, common: &Meta, ip: &str, service: Option<&Value>) -> Vec<Labels> {
        let ports = service.into_iter().flat_map(|service| tcp_ports(service, "/Endpoint/Ports"));
        let target = |port: &Value| {
            let mut meta = common.clone();
            meta.set("task_port_publish_mode", text(port, "/PublishMode"))
                .address(&host_port(ip, plain(port, "/PublishedPort")));
            meta.build()
        };
        let mut targets: Vec<Labels> = ports.map(target).collect();
        if targets.is_empty() {
            targets.push(common.clone().address(&host_port(ip, self.config.port)).build());
        }
        targets
    }

    async fn nodes(&self) -> Result<Vec<Labels>, String> {
        let daemon = &self.config.daemon;
        let nodes = daemon.list(&self.api, "/nodes", &daemon.filter_parameter()).await?;
        let target = |node: &Value| {
            let mut meta = node_labels(node);
            meta.set("node_engine_version", text(node, "/Description/Engine/EngineVersion"))
                .address(&host_port(text(node, "/Status/Addr"), self.config.port));
            if let Some(manager) = node.pointer("/ManagerStatus").filter(|manager| !manager.is_null()) {
                let is_leader = manager["Leader"].as_bool().unwrap_or(false);
                meta.set("node_manager_leader", if is_leader { "true" } else { "false" })
                    .set("node_manager_reachability", text(manager, "/Reachability"))
                    .set("node_manager_address", text(manager, "/Addr"));
            }
            meta.build()
        };
        Ok(items(&nodes, "").iter().map(target).collect())
    }
}

fn service_labels(service: &Value) -> Meta {
    let mode = match service.pointer("/Spec/Mode") {
        Some(mode) if mode.get("Global").is_some_and(|global| !global.is_null()) => "global",
        Some(mode) if mode.get("Replicated").is_some_and(|replicated| !replicated.is_null()) => "replicated",
        _ => "",
    };
    let mut meta = Meta::new(PREFIX);
    meta.set("service_id", text(service, "/ID"))
        .set("service_name", text(service, "/Spec/Name"))
        .set("service_mode", mode)
        .set_all("service_label_", pairs(service, "/Spec/Labels"));
    meta
}

fn node_labels(node: &Value) -> Meta {
    let mut meta = Meta::new(PREFIX);
    meta.set("node_id", text(node, "/ID"))
        .set("node_role", text(node, "/Spec/Role"))
        .set("node_availability", text(node, "/Spec/Availability"))
        .set("node_hostname", text(node, "/Description/Hostname"))
        .set("node_platform_architecture", text(node, "/Description/Platform/Architecture"))
        .set("node_platform_os", text(node, "/Description/Platform/OS"))
        .set("node_status", text(node, "/Status/State"))
        .set("node_address", text(node, "/Status/Addr"))
        .set_all("node_label_", pairs(node, "/Spec/Labels"));
    meta
}

fn tcp_ports<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    items(value, pointer).iter().filter(|port| text(port, "/Protocol") == "tcp")
}

/// The address of `10.0.0.2/24`.
fn ip_of(network: &str) -> &str {
    network.split_once('/').map_or(network, |(ip, _)| ip)
}
