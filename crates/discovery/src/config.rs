//! The discovery keys of a scrape job or an Alertmanager.

use std::path::PathBuf;
use std::time::Duration;

use ::config::{Map, Node, Reported};
use http_client::{HttpClientConfig, Url};

use crate::consul::ConsulConfig;
use crate::dns::DnsConfig;
use crate::docker::DockerConfig;
use crate::dockerswarm::DockerSwarmConfig;
use crate::ec2::Ec2Config;
use crate::glob::is_valid_glob;
use crate::kubernetes::KubernetesConfig;
use crate::target_group::TargetGroup;

/// One configured discovery.
#[derive(Clone, Debug, PartialEq)]
pub enum DiscoveryConfig {
    /// `static_configs`: all entries of a job.
    Static(Vec<TargetGroup>),
    /// An entry of `file_sd_configs`.
    File(FileConfig),
    /// An entry of `http_sd_configs`.
    Http(Box<HttpConfig>),
    /// An entry of `dns_sd_configs`.
    Dns(DnsConfig),
    /// An entry of `docker_sd_configs`.
    Docker(Box<DockerConfig>),
    /// An entry of `dockerswarm_sd_configs`.
    DockerSwarm(Box<DockerSwarmConfig>),
    /// An entry of `consul_sd_configs`.
    Consul(Box<ConsulConfig>),
    /// An entry of `kubernetes_sd_configs`.
    Kubernetes(Box<KubernetesConfig>),
    /// An entry of `ec2_sd_configs`.
    Ec2(Box<Ec2Config>),
}

/// Targets from files.
#[derive(Clone, Debug, PartialEq)]
pub struct FileConfig {
    /// Patterns of files ending in `.json`, `.yml` or `.yaml`.
    pub files: Vec<PathBuf>,
    /// How often files are read whatever their time of change says.
    pub refresh_interval: Duration,
}

/// Targets from an HTTP endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// Whom to ask.
    pub url: Url,
    /// How often.
    pub refresh_interval: Duration,
    /// How.
    pub client: HttpClientConfig,
}

/// Kinds that Prometheus has and that are not built here.
const NOT_BUILT: [&str; 26] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "digitalocean_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
    "xds_sd_configs",
    "zookeeper_sd_configs",
];

impl DiscoveryConfig {
    /// Takes the discovery keys from `map`, whose reader finishes it.
    ///
    /// # Errors
    /// Where a key is wrong, or of a kind that is not built.
    pub fn read_inline(map: &Map) -> Result<Vec<Self>, Reported> {
        map.not_built(&NOT_BUILT)?;
        let mut configs = Vec::new();
        let mut idx = 0;
        let groups = map.read_or("static_configs", Vec::new(), |list| {
            list.list_of(|node| {
                if node.is_null() {
                    return Err(node.error("empty or null section in static_configs"));
                }
                idx += 1;
                TargetGroup::read(node, (idx - 1).to_string())
            })
        })?;
        if !groups.is_empty() {
            configs.push(Self::Static(groups));
        }
        let files = map.read_or("file_sd_configs", Vec::new(), |list| list.list_of(FileConfig::read))?;
        configs.extend(files.into_iter().map(Self::File));
        let urls = map.read_or("http_sd_configs", Vec::new(), |list| list.list_of(HttpConfig::read))?;
        configs.extend(urls.into_iter().map(|config| Self::Http(Box::new(config))));
        read_all(map, "dns_sd_configs", DnsConfig::read, Self::Dns, &mut configs)?;
        let boxed = |config| Self::Docker(Box::new(config));
        read_all(map, "docker_sd_configs", DockerConfig::read, boxed, &mut configs)?;
        let boxed = |config| Self::DockerSwarm(Box::new(config));
        read_all(map, "dockerswarm_sd_configs", DockerSwarmConfig::read, boxed, &mut configs)?;
        let boxed = |config| Self::Consul(Box::new(config));
        read_all(map, "consul_sd_configs", ConsulConfig::read, boxed, &mut configs)?;
        let boxed = |config| Self::Kubernetes(Box::new(config));
        read_all(map, "kubernetes_sd_configs", KubernetesConfig::read, boxed, &mut configs)?;
        let boxed = |config| Self::Ec2(Box::new(config));
        read_all(map, "ec2_sd_configs", Ec2Config::read, boxed, &mut configs)?;
        Ok(configs)
    }

    /// The kind's name, as metrics and logs show it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::File(_) => "file",
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Docker(_) => "docker",
            Self::DockerSwarm(_) => "dockerswarm",
            Self::Consul(_) => "consul",
            Self::Kubernetes(_) => "kubernetes",
            Self::Ec2(_) => "ec2",
        }
    }
}

/// Reads the entries of one kind.
fn read_all<T>(
    map: &Map,
    key: &str,
    read: impl FnMut(&Node) -> Result<T, Reported>,
    wrap: impl FnMut(T) -> DiscoveryConfig,
    configs: &mut Vec<DiscoveryConfig>,
) -> Result<(), Reported> {
    let entries = map.read_or(key, Vec::new(), |list| list.list_of(read))?;
    configs.extend(entries.into_iter().map(wrap));
    Ok(())
}

impl FileConfig {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let files = map.required("files")?.list_of(|node| {
            let path = node.file_path()?;
            let text = path.to_string_lossy();
            let known = [".json", ".yml", ".yaml"].iter().any(|ending| text.to_lowercase().ends_with(ending));
            if !known || !is_valid_glob(&text) {
                return Err(
                    node.error("must end in .json, .yml or .yaml and may have one * in its last element")
                );
            }
            Ok(path)
        })?;
        if files.is_empty() {
            return Err(node.error("at least one file is needed"));
        }
        let refresh_interval = map.read_or("refresh_interval", Duration::from_secs(300), Node::duration)?;
        map.finish()?;
        Ok(Self { files, refresh_interval })
    }
}

impl HttpConfig {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let url = map.required("url")?.parse_with(|text| {
            let url = Url::parse(text).map_err(|error| error.to_string())?;
            let known = matches!(url.scheme(), "http" | "https") && url.has_host();
            if known { Ok(url) } else { Err("must be a http or https URL with a host".to_owned()) }
        })?;
        let refresh_interval = map.read_or("refresh_interval", Duration::from_secs(60), Node::duration)?;
        if refresh_interval.is_zero() {
            return Err(map.error("refresh_interval must be above 0"));
        }
        let client = HttpClientConfig::read_inline(&map)?;
        map.finish()?;
        Ok(Self { url, refresh_interval, client })
    }
}
