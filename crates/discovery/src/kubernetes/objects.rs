//! The objects of a cluster that are known.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Role;
use crate::meta::text;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Node,
    Service,
    Pod,
    Endpoints,
    EndpointSlice,
    Ingress,
    Namespace,
    ReplicaSet,
    Job,
}

impl Kind {
    pub(super) fn of(role: Role) -> Self {
        match role {
            Role::Node => Self::Node,
            Role::Service => Self::Service,
            Role::Pod => Self::Pod,
            Role::Endpoints => Self::Endpoints,
            Role::EndpointSlice => Self::EndpointSlice,
            Role::Ingress => Self::Ingress,
        }
    }

    pub(super) fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace)
    }

    /// Where the API has it: its group, and its name there.
    pub(super) fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Node => ("/api/v1", "nodes"),
            Self::Service => ("/api/v1", "services"),
            Self::Pod => ("/api/v1", "pods"),
            Self::Endpoints => ("/api/v1", "endpoints"),
            Self::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
            Self::Ingress => ("/apis/networking.k8s.io/v1", "ingresses"),
            Self::Namespace => ("/api/v1", "namespaces"),
            Self::ReplicaSet => ("/apis/apps/v1", "replicasets"),
            Self::Job => ("/apis/batch/v1", "jobs"),
        }
    }
}

/// A namespace, empty for what has none, and a name.
pub(super) type Key = (String, String);

pub(super) fn key(object: &Value) -> Key {
    (text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// All objects by kind and key.
#[derive(Debug, Default)]
pub(super) struct Objects(HashMap<Kind, BTreeMap<Key, Value>>);

impl Objects {
    /// Replaces all objects of a kind, or those of one namespace.
    pub(super) fn replace(&mut self, kind: Kind, namespace: Option<&str>, listed: BTreeMap<Key, Value>) {
        let known = self.0.entry(kind).or_default();
        known.retain(|key, _| namespace.is_some_and(|namespace| key.0 != namespace));
        known.extend(listed);
    }

    pub(super) fn set(&mut self, kind: Kind, object: Value) {
        self.0.entry(kind).or_default().insert(key(&object), object);
    }

    pub(super) fn remove(&mut self, kind: Kind, key: &Key) {
        if let Some(known) = self.0.get_mut(&kind) {
            known.remove(key);
        }
    }

    /// All objects of a kind, by namespace and name.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.0.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        self.0.get(&kind)?.get(&(namespace.to_owned(), name.to_owned()))
    }
}
