//! `ruler`: rules and who hears of alerts.

use std::path::PathBuf;
use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::Url;

use relabel::NameScheme;
use remote_write::RemoteWriteConfig;

use super::{block, duration, keys};

/// Rules and who hears of alerts.
#[derive(Clone, Debug)]
pub struct RulerConfig {
    /// The directory with a directory of rule files for each tenant.
    pub rules_dir: Option<PathBuf>,
    /// The directory that other blocks name; taken where this one names none.
    pub(super) common_dir: Option<PathBuf>,
    /// How often groups without an interval of their own are evaluated.
    pub evaluation_interval: Duration,
    /// Where users find this server; for links in alerts.
    pub external_url: String,
    /// Labels that all alerts get.
    pub external_labels: Vec<(String, String)>,
    /// Who hears of alerts.
    pub alertmanager_urls: Vec<Url>,
    /// How many alerts may wait.
    pub queue_capacity: usize,
    /// How long telling may take.
    pub notification_timeout: Duration,
    /// How often a firing alert is sent again.
    pub resend_delay: Duration,
    /// How far back a restart looks.
    pub for_outage_tolerance: Duration,
    /// The least that is left of `for` after a restart.
    pub for_grace_period: Duration,
    /// Who gets what rules record.
    pub remote_write: Vec<RemoteWriteConfig>,
    /// Whether they are told the tenant by `X-Scope-OrgID`.
    pub remote_write_org_id: bool,
}

impl Default for RulerConfig {
    fn default() -> Self {
        Self {
            rules_dir: None,
            common_dir: None,
            evaluation_interval: Duration::from_secs(60),
            external_url: String::new(),
            external_labels: Vec::new(),
            alertmanager_urls: Vec::new(),
            queue_capacity: 10_000,
            notification_timeout: Duration::from_secs(10),
            resend_delay: Duration::from_secs(60),
            for_outage_tolerance: Duration::from_secs(3600),
            for_grace_period: Duration::from_secs(600),
            remote_write: Vec::new(),
            remote_write_org_id: true,
        }
    }
}

pub(super) fn read(node: &Node) -> Result<RulerConfig, Reported> {
    let map = node.map()?;
    let mut ruler = RulerConfig::default();
    block(&map, "storage", |storage| {
        storage.read("type", |node| node.one_of(&[("local", ())]))?;
        block(storage, "local", |local| {
            local.set_some(&mut ruler.rules_dir, "directory", Node::file_path);
            Ok(())
        })
    })?;
    map.set(&mut ruler.evaluation_interval, "evaluation_interval", duration);
    map.set(&mut ruler.external_url, "external_url", Node::string);
    map.set(&mut ruler.external_labels, "external_labels", Node::string_pairs);
    map.set(&mut ruler.alertmanager_urls, "alertmanager_url", alertmanager_urls);
    map.set(&mut ruler.queue_capacity, "notification_queue_capacity", Node::integer);
    map.set(&mut ruler.notification_timeout, "notification_timeout", duration);
    map.set(&mut ruler.resend_delay, "resend_delay", duration);
    map.set(&mut ruler.for_outage_tolerance, "for_outage_tolerance", duration);
    map.set(&mut ruler.for_grace_period, "for_grace_period", duration);
    map.not_built(&["alertmanager_client"])?;
    block(&map, "remote_write", |remote| read_remote_write(remote, &mut ruler))?;
    map.without_meaning(&keys::RULER, keys::NO_MEANING);
    map.finish()?;
    Ok(ruler)
}

fn read_remote_write(remote: &Map, ruler: &mut RulerConfig) -> Result<(), Reported> {
    let is_enabled = remote.read_or("enabled", false, Node::bool)?;
    remote.set(&mut ruler.remote_write_org_id, "add_org_id_header", Node::bool);
    remote.without_meaning(&["config_refresh_period"], "the file is read at the start and with each reload");
    let mut clients = Vec::new();
    let client = |node: &Node| RemoteWriteConfig::read(node, NameScheme::Legacy);
    // Old files have one client, newer ones several by name.
    clients.extend(remote.read("client", client)?);
    if let Some(node) = remote.optional("clients") {
        for (name, node) in node.map()?.entries() {
            let is_named = node.map()?.has("name");
            let mut entry = client(&node)?;
            if !is_named {
                entry.name = name;
            }
            clients.push(entry);
        }
    }
    if is_enabled && clients.is_empty() {
        return Err(remote.error("remote_write is enabled but has no client: add clients, each with a url"));
    }
    if is_enabled {
        ruler.remote_write = clients;
    }
    Ok(())
}

/// A list of addresses with commas between them.
fn alertmanager_urls(node: &Node) -> Result<Vec<Url>, Reported> {
    let text = node.string()?;
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let url = Url::parse(word).map_err(|error| node.error(format_args!("{word:?}: {error}")))?;
            if url.has_host() { Ok(url) } else { Err(node.error(format_args!("{word:?} names no host"))) }
        })
        .collect()
}
