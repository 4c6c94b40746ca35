//! Metrics with labels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::collect::Sample;
use crate::instruments::Instrument;

/// How many label combinations a family keeps; more share the one whose labels all are "other".
const CHILDREN_MAX: usize = 10_000;

/// A metric for each combination of label values. Cheap to clone.
#[derive(Clone)]
pub struct Family<T>(Arc<Inner<T>>);

struct Inner<T> {
    names: Box<[Box<str>]>,
    make: Box<dyn Fn() -> T + Send + Sync>,
    children: RwLock<BTreeMap<Box<[Box<str>]>, T>>,
}

impl<T: Clone> Family<T> {
    pub(crate) fn new(names: &[&str], make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let names = names.iter().map(|name| (*name).into()).collect();
        Self(Arc::new(Inner { names, make: Box::new(make), children: RwLock::default() }))
    }

    /// The metric of these label values, made at the first call; as many values as the family has labels. Keep the handle
    /// where it is used often.
    pub fn with(&self, values: &[&str]) -> T {
        debug_assert_eq!(values.len(), self.0.names.len(), "label values of {:?}", self.0.names);
        let key: Box<[Box<str>]> = values.iter().map(|value| (*value).into()).collect();
        if let Some(child) = self.0.children.read().get(&key) {
            return child.clone();
        }
        let mut children = self.0.children.write();
        let key = if children.len() < CHILDREN_MAX || children.contains_key(&key) {
            key
        } else {
            values.iter().map(|_| "other".into()).collect()
        };
        children.entry(key).or_insert_with(|| (self.0.make)()).clone()
    }

    /// Forgets the metric of these label values, as when a target is gone.
    pub fn remove(&self, values: &[&str]) {
        let key: Box<[Box<str>]> = values.iter().map(|value| (*value).into()).collect();
        self.0.children.write().remove(&key);
    }

    /// Forgets the metrics whose label values `keep` refuses.
    pub fn retain(&self, mut keep: impl FnMut(&[Box<str>]) -> bool) {
        self.0.children.write().retain(|values, _| keep(values));
    }
}

impl<T> Family<T> {
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.0.names
    }
}

impl<T: Instrument> Family<T> {
    pub(crate) fn samples(&self) -> Vec<(Vec<(String, String)>, Sample)> {
        let pairs = |values: &[Box<str>]| {
            let names = self.0.names.iter().map(|name| name.to_string());
            names.zip(values.iter().map(|value| value.to_string())).collect()
        };
        self.0.children.read().iter().map(|(values, child)| (pairs(values), child.sample())).collect()
    }
}

impl<T> fmt::Debug for Family<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({})", self.0.names.join(","))
    }
}
