//! `docker_sd_configs` and what it shares with `dockerswarm_sd_configs`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use ::config::{Map, Node, Reported};
use http_client::{ClientOptions, HeaderMap, HttpClient, HttpClientConfig, HttpClientError, Url};
use model::Labels;
use serde_json::{Value, json};

use crate::api::Api;
use crate::meta::{Meta, host_port, items, pairs, plain, text};
use crate::refresh::{Refresh, Refreshed};
use crate::target_group::TargetGroup;

const PREFIX: &str = "__meta_docker_";

/// Containers of a Docker daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerConfig {
    /// The daemon.
    pub daemon: Daemon,
    /// The port of containers that expose none.
    pub port: u16,
    /// The address of containers in the host's network.
    pub host_networking_host: String,
    /// Whether only the first network of a container counts.
    pub match_first_network: bool,
}

/// How a Docker daemon is reached and what is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Daemon {
    /// Where it listens.
    pub host: DockerHost,
    /// Names with values, as its API takes them.
    pub filters: Vec<(String, Vec<String>)>,
    /// How often it is asked.
    pub refresh_interval: Duration,
    /// How it is asked.
    pub client: HttpClientConfig,
}

/// Where a Docker daemon listens.
#[derive(Clone, Debug, PartialEq)]
pub enum DockerHost {
    /// A socket of this machine.
    Socket(PathBuf),
    /// A URL.
    Url(Box<Url>),
}

impl DockerConfig {
    pub(crate) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let config = Self {
            daemon: Daemon::read_inline(&map)?,
            port: map.read_or("port", 80, Node::integer)?,
            host_networking_host: map.read_or(
                "host_networking_host",
                "localhost".to_owned(),
                Node::string,
            )?,
            match_first_network: map.read_or("match_first_network", true, Node::bool)?,
        };
        map.finish()?;
        Ok(config)
    }
}

impl Daemon {
    pub(crate) fn read_inline(map: &Map) -> Result<Self, Reported> {
        let host = map.required("host")?.parse_with(parse_host)?;
        let filters = map.read_or("filters", Vec::new(), |list| list.list_of(read_filter))?;
        let refresh_interval = map.read_or("refresh_interval", Duration::from_secs(60), Node::duration)?;
        if refresh_interval.is_zero() {
            return Err(map.error("refresh_interval must be above 0"));
        }
        Ok(Self { host, filters, refresh_interval, client: HttpClientConfig::read_inline(map)? })
    }

    pub(crate) fn api(&self, options: ClientOptions) -> Result<Api, HttpClientError> {
        let (client, base) = match &self.host {
            DockerHost::Url(url) => (HttpClient::new(self.client.clone(), options)?, (**url).clone()),
            DockerHost::Socket(path) => {
                let client = HttpClient::over_socket(self.client.clone(), options, path.clone())?;
                (client, SOCKET_BASE.parse().expect("a constant URL"))
            }
        };
        Ok(Api { client, base, headers: HeaderMap::new() })
    }

    /// The filters as a parameter of the API.
    pub(crate) fn filter_parameter(&self) -> String {
        let one = |(name, values): &(String, Vec<String>)| {
            let values: serde_json::Map<String, Value> =
                values.iter().map(|value| (value.clone(), json!(true))).collect();
            (name.clone(), Value::Object(values))
        };
        Value::Object(self.filters.iter().map(one).collect()).to_string()
    }

    pub(crate) async fn list(&self, api: &Api, path: &str, filters: &str) -> Result<Value, String> {
        let query = [("filters", filters)];
        let query: &[(&str, &str)] = if matches!(filters, "" | "{}") { &[] } else { &query };
        Ok(api.get(path, query, self.refresh_interval).await?.0)
    }

    /// Labels of all networks by their ids.
    pub(crate) async fn networks(
        &self,
        api: &Api,
        prefix: &'static str,
    ) -> Result<HashMap<String, Labels>, String> {
        let networks = self.list(api, "/networks", "").await?;
        let mut labels = HashMap::new();
        for network in items(&networks, "") {
            let mut meta = Meta::new(prefix);
            meta.set("network_id", text(network, "/Id"))
                .set("network_name", text(network, "/Name"))
                .set("network_scope", text(network, "/Scope"))
                .set("network_internal", &truth(network, "/Internal"))
                .set("network_ingress", &truth(network, "/Ingress"))
                .set_all("network_label_", pairs(network, "/Labels"));
            labels.insert(text(network, "/Id").to_owned(), meta.build());
        }
        Ok(labels)
    }
}

/// What stands for the daemon in requests over its socket.
const SOCKET_BASE: &str = "http://docker/";

fn truth(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false).to_string()
}

fn parse_host(text: &str) -> Result<DockerHost, String> {
    if let Some(path) = text.strip_prefix("unix://") {
        return Ok(DockerHost::Socket(PathBuf::from(path)));
    }
    let plain = text.strip_prefix("tcp://").map(|rest| format!("http://{rest}"));
    let url = Url::parse(plain.as_deref().unwrap_or(text)).map_err(|error| error.to_string())?;
    let known = matches!(url.scheme(), "http" | "https") && url.has_host();
    if known {
        Ok(DockerHost::Url(Box::new(url)))
    } else {
        Err("must be a unix, tcp, http or https URL".to_owned())
    }
}

fn read_filter(node: &Node) -> Result<(String, Vec<String>), Reported> {
    let map = node.map()?;
    let filter = (map.required("name")?.non_empty_string()?, map.required("values")?.strings()?);
    map.finish()?;
    Ok(filter)
}

/// Asks a daemon for its containers.
#[derive(Debug)]
pub(crate) struct DockerDiscovery {
    pub(crate) config: DockerConfig,
    pub(crate) api: Api,
}

impl Refresh for DockerDiscovery {
    fn kind(&self) -> &'static str {
        "docker"
    }

    fn interval(&self) -> Duration {
        self.config.daemon.refresh_interval
    }

    fn refresh(&mut self) -> Refreshed<'_> {
        Box::pin(async {
            let daemon = &self.config.daemon;
            let filters = daemon.filter_parameter();
            let containers = daemon.list(&self.api, "/containers/json", &filters).await?;
            let networks = daemon.networks(&self.api, PREFIX).await?;
            let containers = items(&containers, "");
            let targets =
                containers.iter().flat_map(|one| self.targets(one, containers, &networks)).collect();
            Ok(vec![TargetGroup { source: "Docker".to_owned(), labels: Labels::empty(), targets }])
        })
    }
}

impl DockerDiscovery {
    fn targets(&self, container: &Value, all: &[Value], networks: &HashMap<String, Labels>) -> Vec<Labels> {
        let Some(name) = container.pointer("/Names/0").and_then(Value::as_str) else { return Vec::new() };
        let mode = text(container, "/HostConfig/NetworkMode");
        let mut common = Meta::new(PREFIX);
        common
            .set("container_id", text(container, "/Id"))
            .set("container_name", name)
            .set("container_network_mode", mode)
            .set("container_image", text(container, "/Image"))
            .set("container_image_id", text(container, "/ImageID"))
            .set_all("container_label_", pairs(container, "/Labels"));
        let mut targets = Vec::new();
        for network in self.networks_of(container, all).values() {
            let (v4, v6) = (text(network, "/IPAddress"), text(network, "/GlobalIPv6Address"));
            let ip = if v4.is_empty() { v6 } else { v4 };
            let mut common = common.clone();
            common.set("network_ip", ip);
            if let Some(labels) = networks.get(text(network, "/NetworkID")) {
                common.merge(labels);
            }
            let before = targets.len();
            for port in items(container, "/Ports").iter().filter(|port| text(port, "/Type") == "tcp") {
                let private = plain(port, "/PrivatePort");
                let mut meta = common.clone();
                meta.set("port_private", &private).address(&host_port(ip, &private));
                if port.pointer("/PublicPort").and_then(Value::as_u64).is_some_and(|port| port > 0) {
                    meta.set("port_public", &plain(port, "/PublicPort"))
                        .set("port_public_ip", text(port, "/IP"));
                }
                targets.push(meta.build());
            }
            if targets.len() == before {
                // In the host's network there is no port to be found.
                let address = match mode {
                    "host" => self.config.host_networking_host.clone(),
                    _ => host_port(ip, self.config.port),
                };
                targets.push(common.clone().address(&address).build());
            }
        }
        targets
    }

    /// A container's networks by name: its own, or those of the container whose network it shares.
    fn networks_of<'v>(&self, container: &'v Value, all: &'v [Value]) -> BTreeMap<&'v str, &'v Value> {
        let mut shown = container;
        // Bounded, so that containers that name each other are not followed for ever.
        for _ in 0..all.len() {
            if !own_networks(shown).is_empty() {
                break;
            }
            let other = text(shown, "/HostConfig/NetworkMode").strip_prefix("container:");
            let Some(next) = other.and_then(|id| all.iter().find(|one| text(one, "/Id") == id)) else {
                break;
            };
            shown = next;
        }
        let mut networks = own_networks(shown);
        if self.config.match_first_network {
            let first = networks.first_key_value().map(|(name, network)| (*name, *network));
            networks = first.into_iter().collect();
        }
        networks
    }
}

fn own_networks(container: &Value) -> BTreeMap<&str, &Value> {
    let map = container.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let present = map.into_iter().flatten().filter(|(_, network)| !network.is_null());
    present.map(|(name, network)| (name.as_str(), network)).collect()
}
