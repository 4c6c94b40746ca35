//! An entry of `remote_write`.

use std::time::Duration;

use ::config::{Map, Node, Reported};
use discovery::read_relabel_rules;
use http_client::{HeaderName, HeaderValue, HttpClientConfig, Url};
use relabel::{NameScheme, Rule};

/// To whom samples are sent, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWriteConfig {
    /// Names the entry in logs and metrics; made of the URL where the configuration gives none.
    pub name: String,
    /// Where to.
    pub url: Url,
    /// How long a request may take.
    pub timeout: Duration,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is sent, and under which labels.
    pub relabel: Vec<Rule>,
    /// Whether exemplars are sent.
    pub send_exemplars: bool,
    /// Whether native histograms are sent.
    pub send_native_histograms: bool,
    /// The message.
    pub version: ProtocolVersion,
    /// The queue.
    pub queue: QueueConfig,
    /// What metric families are.
    pub metadata: MetadataConfig,
    /// How the server is reached.
    pub client: HttpClientConfig,
}

/// Which message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// `queue_config`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueConfig {
    /// Samples that wait in a shard.
    pub capacity: usize,
    /// The most shards.
    pub max_shards: usize,
    /// The fewest shards.
    pub min_shards: usize,
    /// Samples in one request.
    pub max_samples_per_send: usize,
    /// How long a sample waits for others.
    pub batch_send_deadline: Duration,
    /// The first pause after a failure.
    pub min_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Whether an answer of 429 is tried again.
    pub retry_on_http_429: bool,
    /// Older samples are dropped; zero for none.
    pub sample_age_limit: Duration,
}

/// `metadata_config`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetadataConfig {
    /// Whether it is sent.
    pub send: bool,
    /// How often.
    pub send_interval: Duration,
    /// Families in one request.
    pub max_samples_per_send: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: false,
            sample_age_limit: Duration::ZERO,
        }
    }
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self { send: true, send_interval: Duration::from_secs(60), max_samples_per_send: 2000 }
    }
}

impl RemoteWriteConfig {
    /// Reads the list of entries.
    ///
    /// # Errors
    /// Where a key is wrong or unknown, or two entries have one name.
    pub fn read_list(node: &Node, scheme: NameScheme) -> Result<Vec<Self>, Reported> {
        let configs = node.list_of(|item| Self::read(item, scheme))?;
        let mut names = std::collections::HashSet::new();
        for config in &configs {
            if !names.insert(&config.name) {
                return Err(node.error(format_args!(
                    "found multiple remote write configs with job name {:?}",
                    config.name
                )));
            }
        }
        Ok(configs)
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// Where a key is wrong or unknown.
    pub fn read(node: &Node, scheme: NameScheme) -> Result<Self, Reported> {
        if node.is_null() {
            return Err(node.error("empty or null remote write config section"));
        }
        let map = node.map()?;
        let url = map.required("url")?.parse_with(parse_url)?;
        map.not_built(&["sigv4", "azuread", "google_iam"])?;
        map.without_meaning(
            &["round_robin_dns"],
            "connections are made to the addresses that the system gives",
        );
        map.read("failed_request_logging", Node::bool)?;
        let mut client = HttpClientConfig::read_inline(&map)?;
        client.enable_http2 &= map.has("enable_http2");
        let name = map.read("name", Node::string)?.filter(|name| !name.is_empty());
        let config = Self {
            name: name.unwrap_or_else(|| default_name(&url)),
            url,
            timeout: map.read_or("remote_timeout", Duration::from_secs(30), Node::duration)?,
            headers: map.read_or("headers", Vec::new(), read_headers)?,
            relabel: map
                .read_or("write_relabel_configs", Vec::new(), |node| read_relabel_rules(node, scheme))?,
            send_exemplars: map.read_or("send_exemplars", false, Node::bool)?,
            send_native_histograms: map.read_or("send_native_histograms", false, Node::bool)?,
            version: map.read_or("protobuf_message", ProtocolVersion::V1, |node| {
                node.one_of(&[
                    ("prometheus.WriteRequest", ProtocolVersion::V1),
                    ("io.prometheus.write.v2.Request", ProtocolVersion::V2),
                ])
            })?,
            queue: map.read_or("queue_config", QueueConfig::default(), QueueConfig::read)?,
            metadata: map.read_or("metadata_config", MetadataConfig::default(), MetadataConfig::read)?,
            client,
        };
        map.finish()?;
        Ok(config)
    }
}

impl QueueConfig {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let mut queue = Self::default();
        queue.capacity = positive(&map, "capacity", queue.capacity)?;
        queue.max_shards = positive(&map, "max_shards", queue.max_shards)?;
        queue.min_shards = positive(&map, "min_shards", queue.min_shards)?;
        queue.max_samples_per_send = positive(&map, "max_samples_per_send", queue.max_samples_per_send)?;
        map.set(&mut queue.batch_send_deadline, "batch_send_deadline", Node::duration);
        map.set(&mut queue.min_backoff, "min_backoff", Node::duration);
        map.set(&mut queue.max_backoff, "max_backoff", Node::duration);
        map.set(&mut queue.retry_on_http_429, "retry_on_http_429", Node::bool);
        map.set(&mut queue.sample_age_limit, "sample_age_limit", Node::duration);
        if queue.min_shards > queue.max_shards {
            return Err(map.error("min_shards is greater than max_shards"));
        }
        if queue.max_backoff < queue.min_backoff {
            return Err(map.error("max_backoff is less than min_backoff"));
        }
        map.finish()?;
        Ok(queue)
    }
}

impl MetadataConfig {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let mut metadata = Self::default();
        map.set(&mut metadata.send, "send", Node::bool);
        map.set(&mut metadata.send_interval, "send_interval", Node::duration);
        metadata.max_samples_per_send =
            positive(&map, "max_samples_per_send", metadata.max_samples_per_send)?;
        if metadata.send_interval.is_zero() {
            return Err(map.error("send_interval must be above 0"));
        }
        map.finish()?;
        Ok(metadata)
    }
}

fn positive(map: &Map, key: &str, default: usize) -> Result<usize, Reported> {
    let number: usize = map.read_or(key, default, Node::integer)?;
    if number == 0 {
        return Err(map.error(format_args!("{key} must be above 0")));
    }
    Ok(number)
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let known = matches!(url.scheme(), "http" | "https") && url.has_host();
    if known { Ok(url) } else { Err("must be a http or https URL with a host".to_owned()) }
}

/// The name of an entry without one: the same as long as the URL is.
fn default_name(url: &Url) -> String {
    let hash = url
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{:06x}", hash & 0xff_ffff)
}

fn read_headers(node: &Node) -> Result<Vec<(HeaderName, HeaderValue)>, Reported> {
    let mut headers = Vec::new();
    for (name, value) in node.string_pairs()? {
        let lower = name.to_ascii_lowercase();
        if http_client::RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("x-amz-") {
            return Err(node.error(format_args!("{name} is a reserved header. It must not be changed")));
        }
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => return Err(node.error(format_args!("{name:?} is not a valid header"))),
        }
    }
    Ok(headers)
}
