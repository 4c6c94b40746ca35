//! `kubernetes_sd_configs`: objects of a cluster, listed once and then followed.

mod access;
mod cluster;
mod objects;
mod roles;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use ::config::{Map, Node, Reported};
use http_client::{ClientOptions, HttpClientConfig, HttpClientError, Url};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::discoverer::{Discoverer, Updates};
use crate::metrics::Metrics;
use access::Access;
use cluster::{Change, Follower};
use objects::{Kind, Objects};

/// Changes come in bursts: so long is waited before groups are made of them.
const SETTLE: Duration = Duration::from_millis(200);
/// Changes that wait to be taken over.
const CHANGES_MAX: usize = 1024;

/// A cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct KubernetesConfig {
    /// Its API server; that of the cluster in which this process runs where there is neither this nor a kubeconfig.
    pub api_server: Option<Url>,
    /// A file that says how the API server is reached.
    pub kubeconfig_file: Option<std::path::PathBuf>,
    /// What is found.
    pub role: Role,
    /// Only in these namespaces; in all where empty.
    pub namespaces: Vec<String>,
    /// Also in the namespace in which this process runs.
    pub own_namespace: bool,
    /// Which objects are asked for, by role.
    pub selectors: Vec<Selector>,
    /// What else targets are told of.
    pub attach: Attach,
    /// How the API server is reached.
    pub client: HttpClientConfig,
}

/// What is found in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nodes.
    Node,
    /// Services.
    Service,
    /// Pods.
    Pod,
    /// Endpoints of services.
    Endpoints,
    /// Slices of endpoints.
    EndpointSlice,
    /// Ingresses.
    Ingress,
}

/// Which objects of a kind are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Of which kind.
    pub role: Role,
    /// By labels.
    pub label: String,
    /// By fields.
    pub field: String,
}

/// `attach_metadata`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attach {
    /// Of nodes.
    pub node: bool,
    /// Of namespaces.
    pub namespace: bool,
    /// The deployment of a pod.
    pub deployment: bool,
    /// The job of a pod.
    pub job: bool,
    /// The cron job of a pod.
    pub cronjob: bool,
}

const ROLES: [(&str, Role); 6] = [
    ("node", Role::Node),
    ("service", Role::Service),
    ("pod", Role::Pod),
    ("endpoints", Role::Endpoints),
    ("endpointslice", Role::EndpointSlice),
    ("ingress", Role::Ingress),
];

impl KubernetesConfig {
    pub(crate) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let role = map.required("role")?.one_of(&ROLES)?;
        let api_server = map
            .read("api_server", |node| {
                node.parse_with(|text| {
                    if text.is_empty() { Ok(None) } else { Url::parse(text).map(Some) }
                        .map_err(|e| e.to_string())
                })
            })?
            .flatten();
        let kubeconfig_file =
            map.read("kubeconfig_file", Node::file_path)?.filter(|path| !path.as_os_str().is_empty());
        let (mut own_namespace, mut namespaces) = (false, Vec::new());
        map.read("namespaces", |node| {
            let map = node.map()?;
            map.set(&mut own_namespace, "own_namespace", Node::bool);
            map.set(&mut namespaces, "names", Node::strings);
            map.finish()
        })?;
        let selectors =
            map.read_or("selectors", Vec::new(), |list| list.list_of(|node| read_selector(node, role)))?;
        let client = HttpClientConfig::read_inline(&map)?;
        let has_client = client != HttpClientConfig::default();
        if kubeconfig_file.is_some() && (api_server.is_some() || has_client) {
            return Err(map.error("kubeconfig_file cannot be set beside api_server or HTTP client settings"));
        }
        if api_server.is_none() && has_client {
            return Err(map.error("HTTP client settings need api_server"));
        }
        if own_namespace && (api_server.is_some() || kubeconfig_file.is_some()) {
            return Err(map.error("own_namespace cannot be set beside api_server or kubeconfig_file"));
        }
        for (idx, selector) in selectors.iter().enumerate() {
            if selectors[..idx].iter().any(|other: &Selector| other.role == selector.role) {
                return Err(map.error("duplicated selector role"));
            }
        }
        let attach = map.read_or("attach_metadata", Attach::default(), Attach::read)?;
        map.finish()?;
        Ok(Self { api_server, kubeconfig_file, role, namespaces, own_namespace, selectors, attach, client })
    }

    /// The kinds of objects that the role needs.
    fn kinds(&self) -> Vec<Kind> {
        let mut kinds = match self.role {
            Role::Node => return vec![Kind::Node],
            Role::Service => vec![Kind::Service],
            Role::Ingress => vec![Kind::Ingress],
            Role::Pod => vec![Kind::Pod],
            Role::Endpoints => vec![Kind::Endpoints, Kind::Service, Kind::Pod],
            Role::EndpointSlice => vec![Kind::EndpointSlice, Kind::Service, Kind::Pod],
        };
        let has_pods = kinds.contains(&Kind::Pod);
        let more = [
            (Kind::Node, has_pods && self.attach.node),
            (Kind::Namespace, self.attach.namespace),
            (Kind::ReplicaSet, has_pods && self.attach.deployment),
            (Kind::Job, has_pods && (self.attach.job || self.attach.cronjob)),
        ];
        kinds.extend(more.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(kind, _)| kind));
        kinds
    }
}

fn read_selector(node: &Node, role: Role) -> Result<Selector, Reported> {
    let map = node.map()?;
    let selector = Selector {
        role: map.required("role")?.one_of(&ROLES)?,
        label: map.read_or("label", String::new(), Node::string)?,
        field: map.read_or("field", String::new(), Node::string)?,
    };
    map.finish()?;
    let allowed: &[Role] = match role {
        Role::Pod => &[Role::Pod, Role::Node],
        Role::EndpointSlice => &[Role::Pod, Role::Service, Role::EndpointSlice],
        Role::Endpoints => &[Role::Pod, Role::Service, Role::Endpoints],
        Role::Service | Role::Node | Role::Ingress => &[role],
    };
    if !allowed.contains(&selector.role) {
        return Err(node.error("a selector of this role cannot be used with the role that is discovered"));
    }
    Ok(selector)
}

impl Attach {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map: Map = node.map()?;
        let attach = Self {
            node: map.read_or("node", false, Node::bool)?,
            namespace: map.read_or("namespace", false, Node::bool)?,
            deployment: map.read_or("deployment", false, Node::bool)?,
            job: map.read_or("job", false, Node::bool)?,
            cronjob: map.read_or("cronjob", false, Node::bool)?,
        };
        map.finish()?;
        Ok(attach)
    }
}

/// Follows a cluster.
#[derive(Debug)]
pub(crate) struct KubernetesDiscovery {
    config: KubernetesConfig,
    api: Api,
    metrics: Metrics,
}

impl KubernetesDiscovery {
    pub(crate) fn new(
        config: KubernetesConfig,
        options: ClientOptions,
        metrics: Metrics,
    ) -> Result<Self, HttpClientError> {
        let access = Access::of(&config)?;
        let mut config = config;
        config.namespaces.extend(access.own_namespace.filter(|_| config.own_namespace));
        let client = http_client::HttpClient::new(access.client, options)?;
        let api = Api { client, base: access.url, headers: http_client::HeaderMap::new() };
        Ok(Self { config, api, metrics })
    }

    async fn drive(self, mut updates: Updates) {
        let (sender, mut changes) = mpsc::channel(CHANGES_MAX);
        let mut tasks = JoinSet::new();
        let kinds = self.config.kinds();
        let mut waiting = 0;
        for kind in &kinds {
            let namespaces = match kind.is_namespaced() && !self.config.namespaces.is_empty() {
                true => self.config.namespaces.iter().map(|name| Some(name.clone())).collect(),
                false => vec![None],
            };
            for namespace in namespaces {
                let selector = self.config.selectors.iter().find(|one| Kind::of(one.role) == *kind).cloned();
                let follower = Follower {
                    api: self.api.clone(),
                    kind: *kind,
                    namespace,
                    selector,
                    metrics: self.metrics.clone(),
                    changes: sender.clone(),
                };
                waiting += 1;
                tasks.spawn(follower.drive());
            }
        }
        drop(sender);
        let mut objects = Objects::default();
        loop {
            let change = tokio::select! {
                () = updates.stopped() => return,
                change = changes.recv() => change,
            };
            let Some(change) = change else { return };
            waiting -= take(&mut objects, change);
            tokio::time::sleep(SETTLE).await;
            while let Ok(change) = changes.try_recv() {
                waiting -= take(&mut objects, change);
            }
            // Before all kinds are there, targets would lack labels.
            if waiting <= 0 {
                updates.set(roles::groups(&self.config, &objects));
            }
        }
    }
}

impl Discoverer for KubernetesDiscovery {
    fn run(self: Box<Self>, updates: Updates) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.drive(updates))
    }
}

/// Takes a change over; 1 where it is the first list of its kind and namespace.
fn take(objects: &mut Objects, change: Change) -> i32 {
    let (kind, namespace) = (change.kind(), change.namespace().cloned());
    match change {
        Change::List { items, is_first, .. } => {
            let listed: BTreeMap<_, _> =
                items.into_iter().map(|object| (objects::key(&object), object)).collect();
            objects.replace(kind, namespace.as_deref(), listed);
            i32::from(is_first)
        }
        Change::Set { object, .. } => {
            objects.set(kind, *object);
            0
        }
        Change::Remove { object, .. } => {
            objects.remove(kind, &objects::key(&object));
            0
        }
    }
}
