//! The `alerting` block.

use std::time::Duration;

use ::config::{Node, Reported};
use discovery::{DiscoveryConfig, read_relabel_rules};
use http_client::HttpClientConfig;
use model::Labels;
use relabel::{NameScheme, Rule};

/// Where alerts go and how they are changed on their way.
#[derive(Clone, Debug, Default)]
pub struct AlertingConfig {
    /// Labels that alerts get where they lack them.
    pub external_labels: Labels,
    /// Rules for all Alertmanagers.
    pub alert_relabel: Vec<Rule>,
    /// The Alertmanagers.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// One entry of `alertmanagers`: a set of Alertmanagers that are found and reached alike.
#[derive(Clone, Debug)]
pub struct AlertmanagerConfig {
    /// How long a request may take.
    pub timeout: Duration,
    /// `http` or `https`.
    pub scheme: String,
    /// What stands before `/api/v2/alerts`.
    pub path_prefix: String,
    /// How they are reached.
    pub client: HttpClientConfig,
    /// How they are found.
    pub discovery: Vec<DiscoveryConfig>,
    /// Rules on their targets.
    pub relabel: Vec<Rule>,
    /// Rules on the alerts that they get.
    pub alert_relabel: Vec<Rule>,
}

impl AlertingConfig {
    /// Reads the block.
    ///
    /// # Errors
    /// Where a key is wrong or unknown.
    pub fn read(node: &Node, external_labels: Labels, scheme: NameScheme) -> Result<Self, Reported> {
        let map = node.map()?;
        let rules = |node: &Node| read_relabel_rules(node, scheme);
        let config = Self {
            external_labels,
            alert_relabel: map.read_or("alert_relabel_configs", Vec::new(), rules)?,
            alertmanagers: map.read_or("alertmanagers", Vec::new(), |list| {
                list.list_of(|node| AlertmanagerConfig::read(node, scheme))
            })?,
        };
        map.finish()?;
        Ok(config)
    }
}

impl AlertmanagerConfig {
    fn read(node: &Node, scheme: NameScheme) -> Result<Self, Reported> {
        if node.is_null() {
            return Err(node.error("empty or null alertmanager section"));
        }
        let map = node.map()?;
        let rules = |node: &Node| read_relabel_rules(node, scheme);
        map.read("api_version", |node| node.one_of(&[("v2", ())]))?;
        map.not_built(&["sigv4"])?;
        let config = Self {
            timeout: map.read_or("timeout", Duration::from_secs(10), Node::duration)?,
            scheme: map.read_or("scheme", "http".to_owned(), |node| {
                node.one_of(&[("http", "http".to_owned()), ("https", "https".to_owned())])
            })?,
            path_prefix: map.read_or("path_prefix", String::new(), Node::string)?,
            client: HttpClientConfig::read_inline(&map)?,
            discovery: DiscoveryConfig::read_inline(&map)?,
            relabel: map.read_or("relabel_configs", Vec::new(), rules)?,
            alert_relabel: map.read_or("alert_relabel_configs", Vec::new(), rules)?,
        };
        map.finish()?;
        Ok(config)
    }
}
