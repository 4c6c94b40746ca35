//! A job of `scrape_configs`.

use std::time::Duration;

use ::config::{Node, Reported};
use discovery::{ADDRESS_LABEL, DiscoveryConfig, read_relabel_rules};
use exposition::Format;
use http_client::HttpClientConfig;
use relabel::Rule;

use super::global::{Global, ScrapeDefaults, read_protocol};

/// A job. Equal jobs need not be restarted by a reload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScrapeConfig {
    pub(crate) job_name: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) fallback_protocol: Option<Format>,
    pub(crate) scrape: ScrapeDefaults,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps_staleness: bool,
    pub(crate) metrics_path: String,
    pub(crate) scheme: String,
    pub(crate) params: Vec<(String, Vec<String>)>,
    pub(crate) enable_compression: bool,
    pub(crate) relabel: Vec<Rule>,
    pub(crate) metric_relabel: Vec<Rule>,
    pub(crate) client: HttpClientConfig,
    pub(crate) discovery: Vec<DiscoveryConfig>,
}

impl ScrapeConfig {
    pub(crate) fn read(node: &Node, global: &Global) -> Result<Self, Reported> {
        if node.is_null() {
            return Err(node.error("empty or null scrape config section"));
        }
        let map = node.map()?;
        let job_name = map.required("job_name")?.non_empty_string()?;
        let interval = map.read("scrape_interval", Node::duration)?.filter(|interval| !interval.is_zero());
        let interval = interval.unwrap_or(global.scrape_interval);
        let timeout = map.read("scrape_timeout", Node::duration)?.filter(|timeout| !timeout.is_zero());
        let timeout = match timeout {
            Some(timeout) if timeout > interval => {
                return Err(map.error(format_args!(
                    "scrape timeout greater than scrape interval for scrape config with job name {job_name:?}"
                )));
            }
            Some(timeout) => timeout,
            None => global.scrape_timeout.min(interval),
        };
        let scheme = global.name_scheme;
        let rules = |node: &Node| read_relabel_rules(node, scheme);
        map.without_meaning(
            &["native_histogram_bucket_limit", "native_histogram_min_bucket_factor"],
            "native histograms are stored as they are exposed",
        );
        map.read("metric_name_validation_scheme", |node| {
            node.one_of(&[("utf8", ()), ("legacy", ()), ("", ())])
        })?;
        let config = Self {
            interval,
            timeout,
            fallback_protocol: map.read("fallback_scrape_protocol", read_protocol)?,
            scrape: ScrapeDefaults::read_inline(&map, &global.scrape)?,
            honor_labels: map.read_or("honor_labels", false, Node::bool)?,
            honor_timestamps: map.read_or("honor_timestamps", true, Node::bool)?,
            track_timestamps_staleness: map.read_or("track_timestamps_staleness", false, Node::bool)?,
            metrics_path: map.read_or("metrics_path", "/metrics".to_owned(), Node::string)?,
            scheme: map.read_or("scheme", "http".to_owned(), |node| {
                node.one_of(&[("http", "http".to_owned()), ("https", "https".to_owned())])
            })?,
            params: map.read_or("params", Vec::new(), |node| {
                node.map()?
                    .entries()
                    .into_iter()
                    .map(|(name, values)| Ok((name, values.strings()?)))
                    .collect()
            })?,
            enable_compression: map.read_or("enable_compression", true, Node::bool)?,
            relabel: map.read_or("relabel_configs", Vec::new(), rules)?,
            metric_relabel: map.read_or("metric_relabel_configs", Vec::new(), rules)?,
            client: HttpClientConfig::read_inline(&map)?,
            discovery: DiscoveryConfig::read_inline(&map)?,
            job_name,
        };
        config.check_targets(node)?;
        map.finish()?;
        Ok(config)
    }

    /// A target with a path is a mistake unless rules may take it apart.
    fn check_targets(&self, node: &Node) -> Result<(), Reported> {
        if !self.relabel.is_empty() {
            return Ok(());
        }
        for config in &self.discovery {
            let DiscoveryConfig::Static(groups) = config else { continue };
            let addresses =
                groups.iter().flat_map(|group| &group.targets).map(|target| target.value(ADDRESS_LABEL));
            for address in addresses {
                if address.contains('/') {
                    return Err(node.error(format_args!(
                        "{address:?} is not a valid hostname: write host:port and set metrics_path for the path"
                    )));
                }
            }
        }
        Ok(())
    }
}
