//! `limits_config`: what a tenant may do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::{Map, Node, Reported};
use go_regex::CompiledMatcher;
use model::{ByteSize, TimestampNs, parse_rfc3339_ns};

use super::blocked_query::BlockedQuery;
use super::otlp::{self, OtlpConfig};
use super::{block, duration, keys, positive_duration};

/// The limits of a tenant. `None` and 0 are no limit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes per second that are taken in, on average.
    pub ingestion_rate_bytes: f64,
    /// Bytes that may come at once.
    pub ingestion_burst_bytes: f64,
    /// The longest name of a label.
    pub label_name_bytes_max: usize,
    /// The longest value of a label.
    pub label_value_bytes_max: usize,
    /// How many labels a stream may have; one that is added here does not count.
    pub label_names_max: usize,
    /// How old an entry may be; `None` takes all.
    pub reject_old_max_age: Option<Duration>,
    /// How far in the future an entry may lie.
    pub creation_grace: Duration,
    /// The longest line in bytes.
    pub line_bytes_max: Option<u64>,
    /// Whether longer lines are cut instead of refused.
    pub truncates_lines: bool,
    /// What a cut line ends with.
    pub truncation_mark: String,
    /// Whether entries may have structured metadata.
    pub allows_metadata: bool,
    /// The most bytes of an entry's structured metadata, names and values.
    pub metadata_bytes_max: Option<u64>,
    /// The most structured metadata of an entry.
    pub metadata_count_max: Option<usize>,
    /// Whether an entry of the time of the one before it in its push is moved on by 1 ns.
    pub increments_duplicates: bool,
    /// Labels that streams must have.
    pub enforced_labels: Vec<String>,
    /// Until when (in ns) all entries are refused.
    pub blocked_until: Option<TimestampNs>,
    /// With which HTTP status; 200 where the sender must not see it.
    pub blocked_status: u16,
    /// Bytes per second that one stream takes in, on average, and at once; `None` where streams are not bounded by themselves.
    pub stream_rate: Option<StreamRate>,
    /// What becomes of the attributes of OpenTelemetry's logs.
    pub otlp: OtlpConfig,
    /// Names of labels, metadata and fields that hold a level.
    pub level_fields: Vec<String>,
    /// Labels whose value becomes `service_name` where that is missing.
    pub service_name_labels: Vec<String>,
    /// Whether `detected_level` is added to the structured metadata.
    pub discovers_levels: bool,
    /// How many streams may have entries in memory.
    pub streams_max: Option<usize>,
    /// How many series a metric query may answer.
    pub query_series_max: usize,
    /// How far back queries see.
    pub query_lookback: Option<Duration>,
    /// The longest range of a query.
    pub query_length_max: Option<Duration>,
    /// The longest range in brackets.
    pub query_range_max: Option<Duration>,
    /// How many lines a query may answer.
    pub entries_max: usize,
    /// How many tails may be open.
    pub tails_max: usize,
    /// How long a query may take.
    pub query_timeout: Duration,
    /// Whether, and in which slices, range queries are cut: their times become multiples of the step.
    pub split_interval: Option<Duration>,
    /// Whether volumes are answered.
    pub volume_enabled: bool,
    /// How many series a volume answers.
    pub volume_series_max: usize,
    /// Labels that each selector has to name.
    pub required_labels: Vec<String>,
    /// How many matchers each selector has to have.
    pub matchers_min: usize,
    /// How many matchers a selector may have.
    pub matchers_max: usize,
    /// How many bytes of lines the streams of a query may have.
    pub query_bytes_max: Option<u64>,
    /// Queries that are refused.
    pub blocked_queries: Vec<BlockedQuery>,
    /// What becomes of lines that somebody deletes.
    pub deletion_mode: DeletionMode,
    /// How long entries are kept; `None` for ever.
    pub retention: Option<Duration>,
    /// How long entries of some streams are kept.
    pub stream_retention: Vec<StreamRetentionLimit>,
}

/// How fast one stream may come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamRate {
    /// Bytes per second, on average.
    pub bytes: f64,
    /// Bytes at once.
    pub burst_bytes: f64,
}

/// What becomes of deleted lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionMode {
    /// Deletes are refused.
    Disabled,
    /// They are hidden.
    FilterOnly,
    /// They are hidden, and removed once the request cannot be taken back any more.
    FilterAndDelete,
}

/// An entry of `retention_stream`.
#[derive(Clone, Debug)]
pub struct StreamRetentionLimit {
    /// Which streams.
    pub matchers: Vec<CompiledMatcher>,
    /// Which entry wins.
    pub priority: i64,
    /// How long.
    pub period: Duration,
}

/// Names that hold a level, whatever their case.
const LEVEL_FIELDS: [&str; 6] = ["level", "log.level", "lvl", "severity", "severity_text", "severitytext"];
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Limits {
    fn default() -> Self {
        let service_names = [
            "service",
            "app",
            "application",
            "app_name",
            "name",
            "app_kubernetes_io_name",
            "container",
            "container_name",
            "k8s_container_name",
            "component",
            "workload",
            "job",
            "k8s_job_name",
        ];
        Self {
            ingestion_rate_bytes: 4.0 * 1048576.0,
            ingestion_burst_bytes: 6.0 * 1048576.0,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 2048,
            label_names_max: 15,
            reject_old_max_age: Some(7 * DAY),
            creation_grace: Duration::from_secs(600),
            line_bytes_max: Some(256 << 10),
            truncates_lines: false,
            truncation_mark: String::new(),
            allows_metadata: true,
            metadata_bytes_max: Some(64 << 10),
            metadata_count_max: Some(128),
            increments_duplicates: false,
            enforced_labels: Vec::new(),
            blocked_until: None,
            blocked_status: 260,
            stream_rate: None,
            otlp: OtlpConfig::default(),
            level_fields: LEVEL_FIELDS.map(str::to_owned).to_vec(),
            service_name_labels: service_names.map(str::to_owned).to_vec(),
            discovers_levels: true,
            streams_max: Some(5000),
            query_series_max: 500,
            query_lookback: None,
            query_length_max: Some(30 * DAY + Duration::from_secs(3600)),
            query_range_max: None,
            entries_max: 5000,
            tails_max: 10,
            query_timeout: Duration::from_secs(60),
            split_interval: Some(Duration::from_secs(3600)),
            volume_enabled: true,
            volume_series_max: 1000,
            required_labels: Vec::new(),
            matchers_min: 0,
            matchers_max: 1000,
            query_bytes_max: None,
            blocked_queries: Vec::new(),
            deletion_mode: DeletionMode::FilterAndDelete,
            retention: None,
            stream_retention: Vec::new(),
        }
    }
}

/// Reads a block of limits over what is in `limits`.
pub(super) fn read_into(node: &Node, limits: &mut Limits) -> Result<(), Reported> {
    let map = node.map()?;
    let megabytes = |node: &Node| node.f64().map(|megabytes| megabytes * 1048576.0);
    map.set(&mut limits.ingestion_rate_bytes, "ingestion_rate_mb", megabytes);
    map.set(&mut limits.ingestion_burst_bytes, "ingestion_burst_size_mb", megabytes);
    map.set(&mut limits.label_name_bytes_max, "max_label_name_length", Node::integer);
    map.set(&mut limits.label_value_bytes_max, "max_label_value_length", Node::integer);
    map.set(&mut limits.label_names_max, "max_label_names_per_series", Node::integer);
    let mut rejects_old = true;
    map.set(&mut rejects_old, "reject_old_samples", Node::bool);
    map.set(&mut limits.reject_old_max_age, "reject_old_samples_max_age", positive_duration);
    if !rejects_old {
        limits.reject_old_max_age = None;
    }
    map.set(&mut limits.creation_grace, "creation_grace_period", duration);
    let size = |node: &Node| node.byte_size().map(|ByteSize(bytes)| (bytes > 0).then_some(bytes));
    map.set(&mut limits.line_bytes_max, "max_line_size", size);
    map.set(&mut limits.truncates_lines, "max_line_size_truncate", Node::bool);
    map.set(&mut limits.truncation_mark, "max_line_size_truncate_identifier", Node::string);
    map.set(&mut limits.service_name_labels, "discover_service_name", Node::strings);
    map.set(&mut limits.discovers_levels, "discover_log_levels", Node::bool);
    map.set(&mut limits.level_fields, "log_level_fields", Node::strings);
    let count = |node: &Node| node.integer::<usize>().map(|count| (count > 0).then_some(count));
    read_metadata(&map, limits, count)?;
    map.set(&mut limits.increments_duplicates, "increment_duplicate_timestamp", Node::bool);
    map.set(&mut limits.enforced_labels, "enforced_labels", Node::strings);
    map.set(&mut limits.blocked_until, "block_ingestion_until", blocked_until);
    map.set(&mut limits.blocked_status, "block_ingestion_status_code", Node::integer);
    read_stream_rate(&map, limits)?;
    map.set(&mut limits.streams_max, "max_global_streams_per_user", count);
    map.set(&mut limits.query_series_max, "max_query_series", Node::integer);
    map.set(&mut limits.query_lookback, "max_query_lookback", positive_duration);
    map.set(&mut limits.query_length_max, "max_query_length", positive_duration);
    map.set(&mut limits.query_range_max, "max_query_range", positive_duration);
    map.set(&mut limits.entries_max, "max_entries_limit_per_query", Node::integer);
    map.set(&mut limits.tails_max, "max_concurrent_tail_requests", Node::integer);
    map.set(&mut limits.query_timeout, "query_timeout", duration);
    map.set(&mut limits.split_interval, "split_queries_by_interval", positive_duration);
    map.set(&mut limits.volume_enabled, "volume_enabled", Node::bool);
    map.set(&mut limits.volume_series_max, "volume_max_series", Node::integer);
    map.set(&mut limits.required_labels, "required_labels", Node::strings);
    map.set(&mut limits.matchers_min, "minimum_labels_number", Node::integer);
    map.set(&mut limits.matchers_max, "max_streams_matchers_per_query", Node::integer);
    map.set(&mut limits.query_bytes_max, "max_query_bytes_read", size);
    map.set(&mut limits.blocked_queries, "blocked_queries", |node| node.list_of(BlockedQuery::read));
    let modes = [
        ("disabled", DeletionMode::Disabled),
        ("filter-only", DeletionMode::FilterOnly),
        ("filter-and-delete", DeletionMode::FilterAndDelete),
    ];
    map.set(&mut limits.deletion_mode, "deletion_mode", |node| node.one_of(&modes));
    map.set(&mut limits.retention, "retention_period", positive_duration);
    map.set(&mut limits.stream_retention, "retention_stream", |node| node.list_of(stream_retention));
    // These two are read with the block they belong to since.
    map.without_meaning(
        &["per_tenant_override_config", "per_tenant_override_period"],
        "name the file in runtime_config.file",
    );
    map.without_meaning(&keys::LIMITS, keys::NO_MEANING);
    map.finish()
}

fn read_metadata(
    map: &Map,
    limits: &mut Limits,
    count: impl Fn(&Node) -> Result<Option<usize>, Reported>,
) -> Result<(), Reported> {
    let size = |node: &Node| node.byte_size().map(|ByteSize(bytes)| (bytes > 0).then_some(bytes));
    map.set(&mut limits.allows_metadata, "allow_structured_metadata", Node::bool);
    map.set(&mut limits.metadata_bytes_max, "max_structured_metadata_size", size);
    map.set(&mut limits.metadata_count_max, "max_structured_metadata_entries_count", count);
    let default_labels = Arc::clone(&limits.otlp.default_labels);
    map.set(&mut limits.otlp, "otlp_config", |node| otlp::read(node, &default_labels));
    Ok(())
}

/// The original cuts streams that come fast into shards, each with the limit of its own: then only a limit below a shard's
/// rate is ever met.
fn read_stream_rate(map: &Map, limits: &mut Limits) -> Result<(), Reported> {
    let bytes = |node: &Node| node.byte_size().map(|ByteSize(bytes)| bytes as f64);
    let rate = map.read_or("per_stream_rate_limit", 3.0 * 1048576.0, bytes)?;
    let burst_bytes = map.read_or("per_stream_rate_limit_burst", 15.0 * 1048576.0, bytes)?;
    let (mut is_sharded, mut shard_rate) = (true, 1536.0 * 1024.0);
    block(map, "shard_streams", |shards| {
        shards.set(&mut is_sharded, "enabled", Node::bool);
        shards.set(&mut shard_rate, "desired_rate", bytes);
        shards.without_meaning(&["logging_enabled", "time_sharding_enabled"], keys::NO_MEANING);
        shards.without_meaning(&["time_sharding_ignore_recent"], keys::NO_MEANING);
        Ok(())
    })?;
    let is_given = ["per_stream_rate_limit", "per_stream_rate_limit_burst", "shard_streams"];
    if is_given.iter().any(|key| map.has(key)) {
        let is_met = rate > 0.0 && (!is_sharded || rate < shard_rate);
        limits.stream_rate = is_met.then_some(StreamRate { bytes: rate, burst_bytes });
    }
    Ok(())
}

fn blocked_until(node: &Node) -> Result<Option<TimestampNs>, Reported> {
    let text = node.string()?;
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = parse_rfc3339_ns(&text);
    parsed.map(Some).ok_or_else(|| node.error(format_args!("{text:?} is not RFC 3339")))
}

fn stream_retention(node: &Node) -> Result<StreamRetentionLimit, Reported> {
    let map = node.map()?;
    let matchers = map.required("selector")?.parse_with(|text| {
        let log = logql_syntax::parse_log(text).map_err(|error| error.to_string())?;
        if !log.stages.is_empty() {
            return Err("a selector without a pipeline is needed".to_owned());
        }
        logql::compile_matchers(&log.matchers).map_err(|error| error.to_string())
    })?;
    let priority = map.read_or("priority", 0, Node::integer)?;
    let period = duration(&map.required("period")?)?;
    map.finish()?;
    Ok(StreamRetentionLimit { matchers, priority, period })
}

/// Reads the file of overrides: per tenant, keys of `limits_config` over the common ones.
pub(super) fn read_overrides(
    root: &Node,
    common: &Limits,
) -> Result<BTreeMap<String, Arc<Limits>>, Reported> {
    let mut overrides = BTreeMap::new();
    if root.is_null() {
        return Ok(overrides);
    }
    let map = root.map()?;
    if let Some(node) = map.optional("overrides") {
        for (tenant, node) in node.map()?.entries() {
            let mut limits = common.clone();
            if !node.is_null() {
                read_into(&node, &mut limits)?;
            }
            overrides.insert(tenant, Arc::new(limits));
        }
    }
    map.without_meaning(&["multi_kv_config", "configs"], keys::NO_MEANING);
    map.finish()?;
    Ok(overrides)
}
