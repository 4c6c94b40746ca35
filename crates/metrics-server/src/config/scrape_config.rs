//! A job of `scrape_configs`.

use std::time::Duration;

use ::config::{Map, Node, Reported};
use discovery::{ADDRESS_LABEL, DiscoveryConfig, read_relabel_rules};
use exposition::Format;
use http_client::HttpClientConfig;
use model::format_duration_ms;
use relabel::Rule;

use super::global::{Global, ScrapeDefaults, read_protocol};
use crate::scrape::Resolution;

/// A job. Equal jobs need not be restarted by a reload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScrapeConfig {
    pub(crate) job_name: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) fallback_protocol: Option<Format>,
    pub(crate) scrape: ScrapeDefaults,
    /// How fine native histograms are stored.
    pub(crate) resolution: Resolution,
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
    /// The block as text, with what it inherits, secrets masked.
    pub(crate) yaml: String,
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
        map.read("metric_name_validation_scheme", |node| {
            node.one_of(&[("utf8", ()), ("legacy", ()), ("", ())])
        })?;
        let mut config = Self {
            interval,
            timeout,
            fallback_protocol: map.read("fallback_scrape_protocol", read_protocol)?,
            scrape: ScrapeDefaults::read_inline(&map, &global.scrape)?,
            resolution: Resolution {
                schema_max: schema_of(map.read_or("native_histogram_min_bucket_factor", 0.0, Node::f64)?),
                buckets_max: map.read_or("native_histogram_bucket_limit", 0, Node::integer)?,
            },
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
            yaml: String::new(),
        };
        config.check_targets(node)?;
        map.finish()?;
        config.yaml = config.effective_yaml(&map);
        Ok(config)
    }

    /// The block's keys, and before them those that it has from elsewhere.
    fn effective_yaml(&self, map: &Map) -> String {
        let period = |period: Duration| format_duration_ms(period.as_millis() as i64);
        let (scrape, limits) = (&self.scrape, &self.scrape.limits);
        let protocols: Vec<&str> = scrape.protocols.iter().map(|format| format.protocol_name()).collect();
        let mut inherited = vec![
            ("scrape_interval", period(self.interval)),
            ("scrape_timeout", period(self.timeout)),
            ("scrape_protocols", format!("[{}]", protocols.join(", "))),
            ("scrape_native_histograms", scrape.native_histograms.to_string()),
            ("always_scrape_classic_histograms", scrape.keep_classic_histograms.to_string()),
            ("extra_scrape_metrics", scrape.extra_metrics.to_string()),
            ("metric_name_escaping_scheme", scrape.escaping.as_str().to_owned()),
            ("honor_timestamps", self.honor_timestamps.to_string()),
            ("track_timestamps_staleness", self.track_timestamps_staleness.to_string()),
            ("metrics_path", self.metrics_path.clone()),
            ("scheme", self.scheme.clone()),
            ("enable_compression", self.enable_compression.to_string()),
            ("follow_redirects", self.client.follow_redirects.to_string()),
            ("enable_http2", self.client.enable_http2.to_string()),
        ];
        let bounds = [
            ("body_size_limit", limits.body_size.0, "B"),
            ("sample_limit", limits.samples as u64, ""),
            ("target_limit", limits.targets as u64, ""),
            ("label_limit", limits.labels as u64, ""),
            ("label_name_length_limit", limits.label_name_length as u64, ""),
            ("label_value_length_limit", limits.label_value_length as u64, ""),
            ("keep_dropped_targets", limits.keep_dropped_targets as u64, ""),
        ];
        let bounds = bounds.into_iter().filter(|(_, limit, _)| *limit > 0);
        inherited.extend(bounds.map(|(key, limit, unit)| (key, format!("{limit}{unit}"))));
        let inherited = inherited.into_iter().filter(|(key, _)| !map.has(key));
        let lines = inherited.map(|(key, value)| format!("{key}: {value}\n"));
        map.node().to_masked_yaml() + &lines.collect::<String>()
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

/// The finest schema whose buckets grow by at least this factor.
fn schema_of(factor: f64) -> i32 {
    if factor <= 1.0 || factor.is_nan() {
        return 8;
    }
    (-factor.log2().log2()).floor().clamp(-4.0, 8.0) as i32
}

#[cfg(test)]
mod tests {
    use super::schema_of;

    #[test]
    fn factors_are_schemas() {
        for (factor, schema) in
            [(0.0, 8), (1.0, 8), (1.0001, 8), (1.1, 2), (2.0, 0), (4.0, -1), (65536.0, -4), (1e300, -4)]
        {
            assert_eq!(schema_of(factor), schema, "{factor}");
        }
    }
}
