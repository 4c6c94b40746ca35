//! From a discovered target to one that can be scraped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use discovery::{ADDRESS_LABEL, TargetGroup};
use model::{Labels, LabelsBuilder, MetricMetadata, TimestampMs, format_duration_ms, parse_duration_ms};
use parking_lot::Mutex;
use url::Url;

use crate::config::ScrapeConfig;

const META_PREFIX: &str = "__meta_";
const HIDDEN_PREFIX: &str = "__";
const PARAM_PREFIX: &str = "__param_";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const UNIX_SOCKET: &str = "__unix_socket__";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// A target with its state.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) pool: String,
    /// Before relabelling.
    pub(crate) discovered: Labels,
    /// What its series get.
    pub(crate) labels: Labels,
    pub(crate) url: Url,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) status: Mutex<Status>,
    /// What its last scrapes said of their metrics.
    pub(crate) metadata: Mutex<Arc<BTreeMap<String, MetricMetadata>>>,
}

/// How the last scrape went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) health: Health,
    pub(crate) last_error: String,
    pub(crate) last_scrape: Option<TimestampMs>,
    pub(crate) last_duration: Duration,
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    /// The word that the API shows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What relabelling makes of a discovered target.
#[derive(Debug)]
pub(crate) enum Outcome {
    Active(Box<Target>),
    /// By the rule at this place in `relabel_configs`.
    Dropped(Labels, usize),
    Failed(String),
}

impl Target {
    /// What makes two targets the same one.
    pub(crate) fn key(&self) -> (Labels, String) {
        (self.labels.clone(), self.url.to_string())
    }

    /// A hash that is the same after a restart, for the place within the interval.
    pub(crate) fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for (name, value) in self.labels.iter() {
            hash = fnv1a(fnv1a(hash, name.as_bytes()), value.as_bytes());
        }
        fnv1a(hash, self.url.as_str().as_bytes())
    }
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    // A separator, so that ("ab", "c") and ("a", "bc") differ.
    (hash ^ 0xff).wrapping_mul(0x100_0000_01b3)
}

/// All targets of all groups.
pub(crate) fn from_groups(groups: &[TargetGroup], config: &ScrapeConfig) -> Vec<Outcome> {
    let targets = groups.iter().flat_map(|group| group.targets.iter().map(move |target| (group, target)));
    targets
        .map(|(group, target)| {
            let mut labels = LabelsBuilder::from_labels(&group.labels);
            for (name, value) in target.iter() {
                labels.set(name, value);
            }
            build(labels, config)
        })
        .collect()
}

/// What relabelling starts from: what was discovered and the job's own settings.
pub(crate) fn before_relabelling(labels: &Labels, config: &ScrapeConfig) -> LabelsBuilder {
    let mut labels = LabelsBuilder::from_labels(labels);
    set_defaults(&mut labels, config);
    labels
}

fn build(mut labels: LabelsBuilder, config: &ScrapeConfig) -> Outcome {
    set_defaults(&mut labels, config);
    let discovered = labels.build();
    if let Some(rule) = config.relabel.iter().position(|rule| !rule.apply(&mut labels)) {
        return Outcome::Dropped(discovered, rule);
    }
    let label = |name: &str| labels.get(name).unwrap_or_default().to_owned();
    let (address, scheme, path) = (label(ADDRESS_LABEL), label(SCHEME), label(METRICS_PATH));
    let fail = |reason: String| Outcome::Failed(format!("{discovered}: {reason}"));
    if address.is_empty() {
        return fail("no address".to_owned());
    }
    if address.contains('/') {
        return fail(format!("{address:?} is not a valid hostname"));
    }
    if labels.get(UNIX_SOCKET).is_some() {
        return fail("scraping over a unix socket is not built yet".to_owned());
    }
    let (interval, timeout) = match (period(&labels, INTERVAL), period(&labels, TIMEOUT)) {
        (Ok(interval), Ok(timeout)) if timeout <= interval => (interval, timeout),
        (Ok(_), Ok(_)) => return fail("scrape timeout cannot be greater than scrape interval".to_owned()),
        (Err(reason), _) | (_, Err(reason)) => return fail(reason),
    };
    let url = match target_url(&scheme, &address, &path, &labels, config) {
        Ok(url) => url,
        Err(reason) => return fail(reason),
    };
    if labels.get(INSTANCE).is_none() {
        labels.set(INSTANCE, &address);
    }
    let shown = labels.build().retain(|name| !name.starts_with(HIDDEN_PREFIX));
    debug_assert!(
        !shown.iter().any(|(name, _)| name.starts_with(META_PREFIX)),
        "meta labels are hidden labels"
    );
    Outcome::Active(Box::new(Target {
        pool: config.job_name.clone(),
        discovered,
        labels: shown,
        url,
        interval,
        timeout,
        status: Mutex::default(),
        metadata: Mutex::default(),
    }))
}

fn set_defaults(labels: &mut LabelsBuilder, config: &ScrapeConfig) {
    let bool_text = |value: bool| if value { "true" } else { "false" };
    let defaults = [
        (JOB, config.job_name.clone()),
        (INTERVAL, format_duration_ms(config.interval.as_millis() as i64)),
        (TIMEOUT, format_duration_ms(config.timeout.as_millis() as i64)),
        (METRICS_PATH, config.metrics_path.clone()),
        (SCHEME, config.scheme.clone()),
        ("__scrape_native_histograms__", bool_text(config.scrape.native_histograms).to_owned()),
        ("__convert_classic_histograms_to_nhcb__", "false".to_owned()),
        ("__always_scrape_classic_histograms__", bool_text(config.scrape.keep_classic_histograms).to_owned()),
    ];
    for (name, value) in defaults {
        if labels.get(name).is_none() {
            labels.set(name, &value);
        }
    }
    for (name, values) in &config.params {
        let name = format!("{PARAM_PREFIX}{name}");
        if let Some(value) = values.first()
            && labels.get(&name).is_none()
        {
            labels.set(&name, value);
        }
    }
}

fn period(labels: &LabelsBuilder, name: &str) -> Result<Duration, String> {
    let text = labels.get(name).unwrap_or_default();
    match parse_duration_ms(text) {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms.unsigned_abs())),
        Ok(_) => Err(format!("{} cannot be 0", name.trim_matches('_'))),
        Err(error) => Err(format!("error parsing {}: {error}", name.trim_matches('_'))),
    }
}

fn target_url(
    scheme: &str,
    address: &str,
    path: &str,
    labels: &LabelsBuilder,
    config: &ScrapeConfig,
) -> Result<Url, String> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut url =
        Url::parse(&format!("{scheme}://{address}{slash}{path}")).map_err(|error| error.to_string())?;
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &config.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(name).or_default();
            match values.first_mut() {
                Some(first) => *first = value,
                None => values.push(value),
            }
        }
    }
    if !params.is_empty() {
        let mut query = url.query_pairs_mut();
        for (name, values) in params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
