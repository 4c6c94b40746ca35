//! `consul_sd_configs`: services of a Consul catalog, followed with its blocking queries.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::config::{Node, Reported, Secret};
use http_client::{
    BasicAuth, ClientOptions, HeaderMap, HeaderName, HeaderValue, HttpClient, HttpClientConfig,
    HttpClientError, SecretSource, Url,
};
use model::Labels;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::api::Api;
use crate::discoverer::{Discoverer, Updates};
use crate::meta::{Meta, host_port, items, pairs, plain, text};
use crate::metrics::Metrics;
use crate::target_group::TargetGroup;

const PREFIX: &str = "__meta_consul_";
/// How long the server may hold an answer back while nothing changes.
const WATCH: Duration = Duration::from_secs(120);
/// It adds up to a sixteenth, and the network takes its time.
const WATCH_TIMEOUT: Duration = Duration::from_secs(150);
const RETRY: Duration = Duration::from_secs(15);
const INDEX_HEADER: &str = "x-consul-index";

/// Services of a Consul catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsulConfig {
    /// The agent's URL with its path prefix.
    pub url: Url,
    /// For the `X-Consul-Token` header.
    pub token: Option<Secret>,
    /// Of the catalog; the agent's own where empty.
    pub datacenter: String,
    /// `ns`, `partition`, `filter` and `stale` of every request, by name.
    pub parameters: Vec<(String, String)>,
    /// The filter of requests for a service's health.
    pub health_filter: String,
    /// The filter of requests for the catalog.
    pub filter: String,
    /// Only these services; all where empty.
    pub services: Vec<String>,
    /// Only services with all of these tags.
    pub tags: Vec<String>,
    /// Joins tags, and stands at both ends.
    pub tag_separator: String,
    /// The least time between two requests for one thing.
    pub refresh_interval: Duration,
    /// How it is asked.
    pub client: HttpClientConfig,
}

impl ConsulConfig {
    pub(crate) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let server = map.read_or("server", "localhost:8500".to_owned(), Node::non_empty_string)?;
        let scheme = map.read_or("scheme", "http", |node| {
            node.one_of(&[("http", "http"), ("https", "https"), ("", "http")])
        })?;
        let prefix = map.read_or("path_prefix", String::new(), Node::string)?;
        let url = Url::parse(&format!("{scheme}://{server}/{}", prefix.trim_matches('/')))
            .map_err(|error| map.error(format_args!("server: {error}")))?;
        let mut parameters = Vec::new();
        for (key, parameter) in [("namespace", "ns"), ("partition", "partition")] {
            if let Some(value) = map.read(key, Node::string)?.filter(|value| !value.is_empty()) {
                parameters.push((parameter.to_owned(), value));
            }
        }
        if map.read_or("allow_stale", true, Node::bool)? {
            parameters.push(("stale".to_owned(), String::new()));
        }
        for (name, value) in map.read_or("node_meta", Vec::new(), Node::string_pairs)? {
            parameters.push(("node-meta".to_owned(), format!("{name}:{value}")));
        }
        let mut client = HttpClientConfig::read_inline(&map)?;
        let username = map.read("username", Node::string)?.filter(|name| !name.is_empty());
        let password = map.read("password", Node::secret)?.filter(|secret| !secret.is_empty());
        if username.is_some() || password.is_some() {
            if client.basic_auth.is_some() {
                return Err(map.error("at most one of basic_auth and username and password may be set"));
            }
            let username = username.map(|name| SecretSource::Inline(Secret::new(name)));
            client.basic_auth = Some(BasicAuth { username, password: password.map(SecretSource::Inline) });
        }
        let token = map.read("token", Node::secret)?.filter(|token| !token.is_empty());
        if token.is_some() && (client.authorization.is_some() || client.oauth2.is_some()) {
            return Err(map.error("at most one of token, authorization and oauth2 may be set"));
        }
        let config = Self {
            url,
            token,
            datacenter: map.read_or("datacenter", String::new(), Node::string)?,
            parameters,
            filter: map.read_or("filter", String::new(), Node::string)?,
            health_filter: map.read_or("health_filter", String::new(), Node::string)?,
            services: map.read_or("services", Vec::new(), Node::strings)?,
            tags: map.read_or("tags", Vec::new(), Node::strings)?,
            tag_separator: map.read_or("tag_separator", ",".to_owned(), Node::string)?,
            refresh_interval: map.read_or("refresh_interval", Duration::from_secs(30), Node::duration)?,
            client,
        };
        map.finish()?;
        Ok(config)
    }
}

/// Follows a catalog.
#[derive(Debug)]
pub(crate) struct ConsulDiscovery(Arc<Watcher>);

#[derive(Debug)]
struct Watcher {
    config: ConsulConfig,
    api: Api,
    metrics: Metrics,
    groups: Mutex<BTreeMap<String, TargetGroup>>,
}

impl ConsulDiscovery {
    pub(crate) fn new(
        config: ConsulConfig,
        options: ClientOptions,
        metrics: Metrics,
    ) -> Result<Self, HttpClientError> {
        let client = HttpClient::new(config.client.clone(), options)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &config.token
            && let Ok(mut value) = HeaderValue::from_str(token.expose())
        {
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("x-consul-token"), value);
        }
        let api = Api { client, base: config.url.clone(), headers };
        Ok(Self(Arc::new(Watcher { config, api, metrics, groups: Mutex::default() })))
    }

    async fn drive(self, mut updates: Updates) {
        let watcher = self.0;
        let mut stopped = updates.clone();
        tokio::select! {
            () = stopped.stopped() => {}
            () = watcher.follow(&mut updates) => {}
        }
    }
}

impl Discoverer for ConsulDiscovery {
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.drive(updates))
    }
}

impl Watcher {
    async fn follow(self: &Arc<Self>, updates: &mut Updates) {
        let datacenter = self.datacenter().await;
        let mut tasks = JoinSet::new();
        let config = &self.config;
        if !config.services.is_empty() && config.tags.is_empty() && config.filter.is_empty() {
            // Everything is known: the catalog need not be asked.
            for name in &config.services {
                let watcher = Arc::clone(self);
                tasks.spawn(watcher.follow_service(name.clone(), datacenter.clone(), updates.clone()));
            }
            while tasks.join_next().await.is_some() {}
            return;
        }
        let mut followed: BTreeMap<String, AbortHandle> = BTreeMap::new();
        let mut index = 0;
        loop {
            let next = Instant::now() + config.refresh_interval;
            let filter = [("filter", config.filter.as_str())];
            let answer = self.ask("/v1/catalog/services", &datacenter, &filter, index).await;
            let Ok((services, now)) = answer.inspect_err(|error| self.failed(error)) else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            if now != index {
                index = now;
                followed.retain(|name, task| self.stays(name, task, &services));
                let new = self.wanted(&services).filter(|name| !followed.contains_key(*name));
                for name in new.cloned().collect::<Vec<String>>() {
                    let watcher = Arc::clone(self);
                    let following = watcher.follow_service(name.clone(), datacenter.clone(), updates.clone());
                    followed.insert(name, tasks.spawn(following));
                }
                let groups: Vec<TargetGroup> = self.groups().values().cloned().collect();
                if followed.is_empty() || !groups.is_empty() {
                    updates.set(groups);
                }
            }
            while tasks.try_join_next().is_some() {}
            tokio::time::sleep_until(next).await;
        }
    }

    /// The names of the services that are to be followed.
    fn wanted<'v>(&'v self, services: &'v Value) -> impl Iterator<Item = &'v String> {
        let all = services.as_object().into_iter().flatten();
        all.filter(|(name, tags)| self.is_wanted(name, tags)).map(|(name, _)| name)
    }

    /// Whether a service is still there; where it is not, its targets go.
    fn stays(&self, name: &str, task: &AbortHandle, services: &Value) -> bool {
        let stays = services.get(name).is_some();
        if !stays {
            task.abort();
            self.groups().remove(name);
        }
        stays
    }

    /// The configured one, or the agent's own.
    async fn datacenter(&self) -> String {
        while self.config.datacenter.is_empty() {
            match self.api.get("/v1/agent/self", &[], Duration::from_secs(30)).await {
                Ok((agent, _)) => return text(&agent, "/Config/Datacenter").to_owned(),
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(RETRY).await;
        }
        self.config.datacenter.clone()
    }

    fn is_wanted(&self, name: &str, tags: &Value) -> bool {
        let has = |wanted: &String| items(tags, "").iter().any(|tag| tag.as_str() == Some(wanted));
        let is_named = self.config.services.is_empty() || self.config.services.iter().any(|one| one == name);
        is_named && self.config.tags.iter().all(has)
    }

    async fn follow_service(self: Arc<Self>, name: String, datacenter: String, updates: Updates) {
        let mut index = 0;
        let path = format!("/v1/health/service/{name}");
        let mut more: Vec<(&str, &str)> = self.config.tags.iter().map(|tag| ("tag", tag.as_str())).collect();
        more.push(("filter", &self.config.health_filter));
        loop {
            let next = Instant::now() + self.config.refresh_interval;
            match self.ask(&path, &datacenter, &more, index).await {
                Ok((nodes, now)) if now != index => {
                    index = now;
                    let mut labels = Meta::new(PREFIX);
                    labels.set("service", &name).set("dc", &datacenter);
                    let targets = items(&nodes, "").iter().map(|node| self.target(node)).collect();
                    let group = TargetGroup { source: name.clone(), labels: labels.build(), targets };
                    let mut groups = self.groups();
                    groups.insert(name.clone(), group);
                    updates.set(groups.values().cloned().collect());
                }
                // The time was over and nothing has changed.
                Ok(_) => {}
                Err(error) => {
                    self.failed(&error);
                    tokio::time::sleep(RETRY).await;
                }
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Asks for what is newer than `index`; with the answer comes the index that it stands for.
    async fn ask(
        &self,
        path: &str,
        datacenter: &str,
        more: &[(&str, &str)],
        index: u64,
    ) -> Result<(Value, u64), String> {
        let (index, wait) = (index.to_string(), format!("{}ms", WATCH.as_millis()));
        let mut query = vec![("dc", datacenter), ("index", &index), ("wait", &wait)];
        query.extend(self.config.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        query.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        let (answer, headers) = self.api.get(path, &query, WATCH_TIMEOUT).await?;
        let index = headers.get(INDEX_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok((answer, index.unwrap_or(0)))
    }

    fn target(&self, node: &Value) -> Labels {
        let separator = &self.config.tag_separator;
        let tags: Vec<&str> = items(node, "/Service/Tags").iter().filter_map(Value::as_str).collect();
        let (own, of_node) = (text(node, "/Service/Address"), text(node, "/Node/Address"));
        let port = plain(node, "/Service/Port");
        let mut meta = Meta::new(PREFIX);
        meta.address(&host_port(if own.is_empty() { of_node } else { own }, &port))
            .set("address", of_node)
            .set("node", text(node, "/Node/Node"))
            .set("namespace", text(node, "/Service/Namespace"))
            .set("partition", text(node, "/Service/Partition"))
            .set("tags", &format!("{separator}{}{separator}", tags.join(separator)))
            .set("service_address", own)
            .set("service_port", &port)
            .set("service_id", text(node, "/Service/ID"))
            .set("health", health(items(node, "/Checks")))
            .set_all("metadata_", pairs(node, "/Node/Meta"))
            .set_all("service_metadata_", pairs(node, "/Service/Meta"))
            .set_all("tagged_address_", pairs(node, "/Node/TaggedAddresses"));
        meta.build()
    }

    fn failed(&self, error: &str) {
        self.metrics.consul_failures.inc();
        self.metrics.refresh_failures.with(&["consul"]).inc();
        tracing::error!(server = %self.config.url, error, "cannot refresh targets of consul");
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TargetGroup>> {
        // Groups are replaced whole: a panic elsewhere leaves them in order.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worst of all checks; one under maintenance outweighs them.
fn health(checks: &[Value]) -> &'static str {
    let is_maintained = |check: &Value| {
        let id = text(check, "/CheckID");
        id == "_node_maintenance" || id.starts_with("_service_maintenance:")
    };
    let has = |status: &str| checks.iter().any(|check| text(check, "/Status") == status);
    match () {
        () if checks.iter().any(is_maintained) => "maintenance",
        () if has("critical") => "critical",
        () if has("warning") => "warning",
        () => "passing",
    }
}
