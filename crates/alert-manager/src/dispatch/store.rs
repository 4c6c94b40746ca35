//! The alerts, each in a numbered place, found by hash or by labels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::TimestampNs;
use roaring::RoaringBitmap;

use super::GroupId;
use super::label_index::LabelIndex;
use crate::alert::{Alert, Fingerprint};
use crate::matchers::MatcherSet;

/// An alert with where it belongs.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) alert: Arc<Alert>,
    /// The routes that it takes; shared by those that take the same.
    pub(super) routes: Arc<[usize]>,
    /// By route, the group that it was last put into; it may be gone.
    pub(super) groups: Box<[GroupId]>,
}

/// The alerts.
#[derive(Debug, Default)]
pub(super) struct AlertStore {
    /// By place; an alert keeps its own until it is removed.
    places: Vec<Option<Stored>>,
    free: Vec<u32>,
    by_fingerprint: HashMap<Fingerprint, u32>,
    index: LabelIndex,
    routes: HashSet<Arc<[usize]>>,
}

impl AlertStore {
    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<&Stored> {
        self.at(*self.by_fingerprint.get(&fingerprint)?)
    }

    pub(super) fn get_mut(&mut self, fingerprint: Fingerprint) -> Option<&mut Stored> {
        let place = *self.by_fingerprint.get(&fingerprint)?;
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(super) fn at(&self, place: u32) -> Option<&Stored> {
        self.places.get(place as usize)?.as_ref()
    }

    /// Puts an alert into its place; groups are those of what is known.
    pub(super) fn replace(&mut self, fingerprint: Fingerprint, alert: Arc<Alert>) -> Option<&mut Stored> {
        let place = *self.by_fingerprint.get(&fingerprint)?;
        let stored = self.places.get_mut(place as usize)?.as_mut()?;
        if stored.alert.labels != alert.labels {
            self.index.remove(&stored.alert.labels, place);
            self.index.add(&alert.labels, place);
        }
        stored.alert = alert;
        Some(stored)
    }

    /// Adds an alert that is not known.
    pub(super) fn add(&mut self, alert: Arc<Alert>, routes: Arc<[usize]>, groups: Box<[GroupId]>) {
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        self.index.add(&alert.labels, place);
        self.by_fingerprint.insert(alert.fingerprint, place);
        let stored = Some(Stored { alert, routes, groups });
        match self.places.get_mut(place as usize) {
            Some(empty) => *empty = stored,
            None => self.places.push(stored),
        }
    }

    pub(super) fn remove(&mut self, fingerprint: Fingerprint) -> Option<Stored> {
        let place = self.by_fingerprint.remove(&fingerprint)?;
        let stored = self.places.get_mut(place as usize)?.take()?;
        self.index.remove(&stored.alert.labels, place);
        self.free.push(place);
        Some(stored)
    }

    /// In order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.places.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stored> {
        self.places.iter_mut().flatten()
    }

    /// The same routes at one place, however many alerts take them.
    pub(super) fn shared_routes(&mut self, routes: Vec<usize>) -> Arc<[usize]> {
        if let Some(known) = self.routes.get(routes.as_slice()) {
            return Arc::clone(known);
        }
        let routes: Arc<[usize]> = routes.into();
        self.routes.insert(Arc::clone(&routes));
        routes
    }

    /// The places of the alerts that match, of all or among some.
    pub(super) fn matching(&self, matchers: &MatcherSet, among: Option<&RoaringBitmap>) -> RoaringBitmap {
        self.index.matching(matchers, among, &|place| Some(&self.at(place)?.alert.labels))
    }

    /// The places of the alerts that match and are not resolved.
    pub(super) fn firing(&self, matchers: &MatcherSet, now: TimestampNs) -> RoaringBitmap {
        let mut found = self.matching(matchers, None);
        let is_over = |place: &u32| self.at(*place).is_none_or(|stored| stored.alert.is_resolved(now));
        let over: RoaringBitmap = found.iter().filter(is_over).collect();
        found -= over;
        found
    }
}
