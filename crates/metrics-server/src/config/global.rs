//! `global`: defaults of the jobs, and labels towards other systems.

use std::path::PathBuf;
use std::time::Duration;

use ::config::{Map, Node, Reported, expand_posix};
use exposition::{Escaping, Format};
use model::{ByteSize, Labels};
use relabel::NameScheme;

/// The block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Global {
    pub(crate) scrape_interval: Duration,
    pub(crate) scrape_timeout: Duration,
    pub(crate) evaluation_interval: Duration,
    pub(crate) rule_query_offset: Duration,
    pub(crate) external_labels: Labels,
    /// Where queries are logged; empty for nowhere.
    pub(crate) query_log_file: PathBuf,
    pub(crate) name_scheme: NameScheme,
    pub(crate) scrape: ScrapeDefaults,
}

/// What a job inherits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScrapeDefaults {
    pub(crate) protocols: Vec<Format>,
    pub(crate) escaping: Escaping,
    pub(crate) limits: ScrapeLimits,
    pub(crate) native_histograms: bool,
    pub(crate) keep_classic_histograms: bool,
    pub(crate) extra_metrics: bool,
}

/// Bounds of a scrape; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScrapeLimits {
    pub(crate) body_size: ByteSize,
    pub(crate) samples: usize,
    pub(crate) targets: usize,
    pub(crate) labels: usize,
    pub(crate) label_name_length: usize,
    pub(crate) label_value_length: usize,
    pub(crate) keep_dropped_targets: usize,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            evaluation_interval: Duration::from_secs(60),
            rule_query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
            query_log_file: PathBuf::new(),
            name_scheme: NameScheme::Utf8,
            scrape: ScrapeDefaults::default(),
        }
    }
}

impl Default for ScrapeDefaults {
    fn default() -> Self {
        Self {
            protocols: vec![Format::OpenMetrics100, Format::OpenMetrics001, Format::Text100, Format::Text004],
            escaping: Escaping::AllowUtf8,
            limits: ScrapeLimits::default(),
            native_histograms: false,
            keep_classic_histograms: false,
            extra_metrics: false,
        }
    }
}

impl Global {
    pub(super) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let mut global = Self::default();
        let interval = map.read("scrape_interval", Node::duration)?.filter(|interval| !interval.is_zero());
        global.scrape_interval = interval.unwrap_or(global.scrape_interval);
        let timeout = map.read("scrape_timeout", Node::duration)?.filter(|timeout| !timeout.is_zero());
        global.scrape_timeout = match timeout {
            Some(timeout) if timeout > global.scrape_interval => {
                return Err(map.error("global scrape timeout greater than scrape interval"));
            }
            Some(timeout) => timeout,
            None => global.scrape_timeout.min(global.scrape_interval),
        };
        let evaluation = map.read("evaluation_interval", Node::duration)?;
        global.evaluation_interval =
            evaluation.filter(|interval| !interval.is_zero()).unwrap_or(global.evaluation_interval);
        map.set(&mut global.rule_query_offset, "rule_query_offset", Node::duration);
        map.set(&mut global.external_labels, "external_labels", read_external_labels);
        global.name_scheme = map.read_or("metric_name_validation_scheme", NameScheme::Utf8, |node| {
            node.one_of(&[("utf8", NameScheme::Utf8), ("legacy", NameScheme::Legacy), ("", NameScheme::Utf8)])
        })?;
        map.set(&mut global.query_log_file, "query_log_file", Node::file_path);
        map.without_meaning(&["scrape_failure_log_file"], "such a log is not written yet");
        global.scrape = ScrapeDefaults::read_inline(&map, &ScrapeDefaults::default())?;
        map.finish()?;
        Ok(global)
    }
}

impl ScrapeDefaults {
    /// The keys that a job and `global` have in common; what is not set is as in `defaults`.
    pub(super) fn read_inline(map: &Map, defaults: &Self) -> Result<Self, Reported> {
        let mut scrape = defaults.clone();
        let explicit = map.read("scrape_protocols", read_protocols)?;
        let has_explicit = explicit.is_some();
        scrape.protocols = explicit.unwrap_or(scrape.protocols);
        map.set(&mut scrape.escaping, "metric_name_escaping_scheme", |node| {
            node.parse_with(|text| {
                Escaping::parse(text).ok_or("expected allow-utf-8, underscores, dots or values")
            })
        });
        map.set(&mut scrape.native_histograms, "scrape_native_histograms", Node::bool);
        map.set(&mut scrape.keep_classic_histograms, "always_scrape_classic_histograms", Node::bool);
        map.set(&mut scrape.extra_metrics, "extra_scrape_metrics", Node::bool);
        if map.read_or("convert_classic_histograms_to_nhcb", false, Node::bool)? {
            return Err(map.error("convert_classic_histograms_to_nhcb is known but not built yet"));
        }
        if scrape.native_histograms && !has_explicit && scrape.protocols[0] != Format::Protobuf {
            scrape.protocols.retain(|format| *format != Format::Protobuf);
            scrape.protocols.insert(0, Format::Protobuf);
        }
        scrape.limits = ScrapeLimits::read_inline(map, defaults.limits)?;
        Ok(scrape)
    }
}

impl ScrapeLimits {
    fn read_inline(map: &Map, defaults: Self) -> Result<Self, Reported> {
        let number = |key: &str, default: usize| {
            Ok(map.read(key, Node::integer::<usize>)?.filter(|limit| *limit != 0).unwrap_or(default))
        };
        let body_size = map.read("body_size_limit", Node::byte_size)?.filter(|size| size.0 != 0);
        Ok(Self {
            body_size: body_size.unwrap_or(defaults.body_size),
            samples: number("sample_limit", defaults.samples)?,
            targets: number("target_limit", defaults.targets)?,
            labels: number("label_limit", defaults.labels)?,
            label_name_length: number("label_name_length_limit", defaults.label_name_length)?,
            label_value_length: number("label_value_length_limit", defaults.label_value_length)?,
            keep_dropped_targets: number("keep_dropped_targets", defaults.keep_dropped_targets)?,
        })
    }
}

fn read_protocols(node: &Node) -> Result<Vec<Format>, Reported> {
    let mut formats: Vec<Format> = Vec::new();
    for item in node.list()? {
        let format = read_protocol(&item)?;
        if formats.contains(&format) {
            return Err(item.error("duplicated protocol in scrape_protocols"));
        }
        formats.push(format);
    }
    if formats.is_empty() {
        return Err(node.error("scrape_protocols cannot be empty"));
    }
    Ok(formats)
}

pub(super) fn read_protocol(node: &Node) -> Result<Format, Reported> {
    node.parse_with(|text| {
        Format::from_protocol_name(text).ok_or(
            "unknown scrape protocol, supported are OpenMetricsText0.0.1, OpenMetricsText1.0.0, PrometheusProto, \
             PrometheusText0.0.4 and PrometheusText1.0.0",
        )
    })
}

fn read_external_labels(node: &Node) -> Result<Labels, Reported> {
    let mut pairs = Vec::new();
    for (name, value) in node.string_pairs()? {
        if name.is_empty() || name == model::METRIC_NAME_LABEL {
            return Err(node.error(format_args!("{name:?} is not a valid external label name")));
        }
        let expanded = expand_posix(&value, |variable| {
            let found = std::env::var(variable).ok();
            if found.is_none() {
                node.warn(format_args!("empty environment variable {variable} in external label {name}"));
            }
            found
        });
        pairs.push((name, expanded));
    }
    Ok(Labels::from_pairs(pairs))
}
