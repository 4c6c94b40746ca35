//! Dashboards in Grafana's JSON: from files, and as edited here, with versions.

mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use state_store::{Keyspace, KeyspaceOptions, StateStore};
use sys::Clock;

use crate::error::ApiError;
pub(crate) use files::{FileDashboard, load};

/// Bytes of one dashboard.
pub(crate) const DASHBOARD_BYTES_MAX: usize = 4 << 20;
/// Dashboards that are stored here.
const DASHBOARDS_MAX: usize = 5_000;
/// Versions of one dashboard that are kept (Grafana's `versions_to_keep`).
const VERSIONS_MAX: u64 = 20;

/// A dashboard as it was saved here.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    model: Value,
    version: u64,
    updated_ms: i64,
    updated_by: String,
    message: String,
    /// The fingerprint of the file that was edited: when the file changes, it wins again.
    file: Option<String>,
}

/// A dashboard as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard {
    pub(crate) uid: String,
    pub(crate) model: Value,
    pub(crate) version: u64,
    pub(crate) folder: String,
    /// Whether a file has it.
    pub(crate) provisioned: bool,
    /// When it changed last, in milliseconds, and who changed it.
    pub(crate) updated_ms: i64,
    pub(crate) updated_by: String,
    pub(crate) message: String,
}

/// What is to be saved.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) model: Value,
    pub(crate) message: String,
    pub(crate) overwrite: bool,
    pub(crate) user: String,
}

/// All dashboards. All calls block.
#[derive(Debug)]
pub(crate) struct Dashboards {
    directories: Vec<PathBuf>,
    clock: Arc<dyn Clock>,
    stored: Keyspace<Stored>,
    versions: Keyspace<Stored>,
    stars: Keyspace<bool>,
    files: RwLock<BTreeMap<String, FileDashboard>>,
}

impl Dashboards {
    pub(crate) fn open(
        store: &StateStore,
        directories: Vec<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, ApiError> {
        let bounded = |name: &'static str, entries_max: usize| KeyspaceOptions {
            entries_max,
            value_bytes_max: DASHBOARD_BYTES_MAX + (64 << 10),
            ..KeyspaceOptions::new(name, 1)
        };
        let versions_max = DASHBOARDS_MAX * VERSIONS_MAX as usize;
        Ok(Arc::new(Self {
            directories,
            clock,
            stored: store.keyspace(bounded("dashboards", DASHBOARDS_MAX))?,
            versions: store.keyspace(bounded("dashboard-versions", versions_max))?,
            stars: store.keyspace(KeyspaceOptions::new("stars", 1))?,
            files: RwLock::default(),
        }))
    }

    /// Reads the files again where they have changed; returns what is wrong with them.
    pub(crate) fn reload_files(&self) -> Vec<String> {
        let present = self.files.read().clone();
        let (files, problems) = load(&self.directories, &present);
        *self.files.write() = files;
        problems
    }

    pub(crate) fn get(&self, uid: &str) -> Result<Option<Dashboard>, ApiError> {
        let stored = self.stored.get(uid)?;
        let file = self.files.read().get(uid).cloned();
        Ok(merge(uid, stored, file))
    }

    /// All dashboards, by title.
    pub(crate) fn all(&self) -> Result<Vec<Dashboard>, ApiError> {
        let mut stored: BTreeMap<String, Stored> = self.stored.scan("")?.into_iter().collect();
        let files = self.files.read().clone();
        let mut all: Vec<Dashboard> = files
            .into_iter()
            .filter_map(|(uid, file)| merge(&uid, stored.remove(&uid), Some(file)))
            .collect();
        all.extend(stored.into_iter().filter_map(|(uid, stored)| merge(&uid, Some(stored), None)));
        all.sort_by_key(|dashboard| title_of(&dashboard.model).to_lowercase());
        Ok(all)
    }

    /// Saves a dashboard as a new version; refuses one that was read from an older version, unless told otherwise.
    pub(crate) fn save(&self, save: Save) -> Result<Dashboard, ApiError> {
        let Save { mut model, message, overwrite, user } = save;
        if title_of(&model).trim().is_empty() {
            return Err(ApiError::bad_request("Dashboard title cannot be empty"));
        }
        let given = model.get("uid").and_then(Value::as_str).unwrap_or("").to_owned();
        let uid = if given.is_empty() { generate_uid() } else { given };
        if !is_uid(&uid) {
            return Err(ApiError::bad_request("uid may have 40 characters of a-z, A-Z, 0-9, - and _"));
        }
        let present = self.get(&uid)?;
        let base = model.get("version").and_then(Value::as_u64).unwrap_or(0);
        if let Some(present) = &present
            && !overwrite
            && present.version != base
        {
            let message = "The dashboard has been changed by someone else";
            return Err(ApiError::conflict("version-mismatch", message));
        }
        let version = present.as_ref().map_or(1, |present| present.version + 1);
        if let Some(fields) = model.as_object_mut() {
            fields.insert("uid".to_owned(), Value::from(uid.as_str()));
            fields.insert("version".to_owned(), Value::from(version));
            fields.remove("id");
        }
        let file = self.files.read().get(&uid).map(|file| file.fingerprint.clone());
        let stored =
            Stored { model, version, updated_ms: self.clock.now_ms(), updated_by: user, message, file };
        // The versions that fall out of the window go with the same write.
        let versions = self.versions.batch().put(&version_key(&uid, version), &stored)?;
        let versions = match version.checked_sub(VERSIONS_MAX) {
            Some(old) => versions.remove(&version_key(&uid, old)),
            None => versions,
        };
        let batch = self.stored.batch().put(&uid, &stored)?.and(versions);
        self.write(batch)?;
        self.get(&uid)?.ok_or_else(|| ApiError::not_found("Dashboard"))
    }

    fn write(&self, batch: state_store::Batch<Stored>) -> Result<(), ApiError> {
        Ok(self.stored.write(batch)?)
    }

    /// The versions that are kept, newest first.
    pub(crate) fn versions(&self, uid: &str) -> Result<Vec<Dashboard>, ApiError> {
        let kept = self.versions.scan(&format!("{uid}/"))?;
        let shown = kept.into_iter().rev().filter_map(|(_, stored)| merge(uid, Some(stored), None));
        Ok(shown.collect())
    }

    /// Deletes a dashboard; one that a file has comes back to the file's form only by saving.
    pub(crate) fn delete(&self, uid: &str) -> Result<String, ApiError> {
        let present = self.get(uid)?.ok_or_else(|| ApiError::not_found("Dashboard"))?;
        if present.provisioned {
            return Err(ApiError::bad_request("provisioned dashboard cannot be deleted: remove its file"));
        }
        let mut batch = self.stored.batch().remove(uid);
        for (key, _) in self.versions.scan(&format!("{uid}/"))? {
            batch = batch.and(self.versions.batch().remove(&key));
        }
        self.write(batch)?;
        Ok(title_of(&present.model).to_owned())
    }

    pub(crate) fn star(&self, user: &str, uid: &str, on: bool) -> Result<(), ApiError> {
        let key = format!("{user}/{uid}");
        if !on {
            return Ok(self.stars.remove(&key)?);
        }
        self.get(uid)?.ok_or_else(|| ApiError::not_found("Dashboard"))?;
        Ok(self.stars.put(&key, &true)?)
    }

    /// The uids of the dashboards that a user has starred.
    pub(crate) fn starred(&self, user: &str) -> Result<Vec<String>, ApiError> {
        let prefix = format!("{user}/");
        let stars = self.stars.scan(&prefix)?;
        Ok(stars.into_iter().map(|(key, _)| key[prefix.len()..].to_owned()).collect())
    }
}

/// The edit counts, unless the file that was edited has changed since.
fn merge(uid: &str, stored: Option<Stored>, file: Option<FileDashboard>) -> Option<Dashboard> {
    let provisioned = file.is_some();
    let folder = file.as_ref().map_or_else(String::new, |file| file.folder.clone());
    let version = stored.as_ref().map_or(0, |stored| stored.version);
    let edit = stored
        .filter(|stored| file.as_ref().is_none_or(|file| stored.file.as_ref() == Some(&file.fingerprint)));
    let uid = uid.to_owned();
    if let Some(edit) = edit {
        let Stored { model, version, updated_ms, updated_by, message, .. } = edit;
        return Some(Dashboard { uid, model, version, folder, provisioned, updated_ms, updated_by, message });
    }
    let FileDashboard { mut model, modified_ms, .. } = file?;
    // A file that won again is newer than the edit that it replaces.
    let version = version + 1;
    model["version"] = Value::from(version);
    let (updated_by, message) = ("file".to_owned(), String::new());
    Some(Dashboard { uid, model, version, folder, provisioned, updated_ms: modified_ms, updated_by, message })
}

/// Keys sort as the versions do.
fn version_key(uid: &str, version: u64) -> String {
    format!("{uid}/{version:020}")
}

pub(crate) fn title_of(model: &Value) -> &str {
    model.get("title").and_then(Value::as_str).unwrap_or("")
}

pub(crate) fn is_uid(uid: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=40).contains(&uid.len()) && uid.bytes().all(allowed)
}

fn generate_uid() -> String {
    use rand::Rng as _;
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(14).map(char::from).collect()
}

#[cfg(test)]
mod tests;
