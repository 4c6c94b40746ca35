//! The streams of a tenant, each known once.

use std::sync::Arc;

use hashbrown::HashMap;
use log_storage_api::StreamInfo;
use model::Labels;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};

use crate::block::BlockEnv;

/// All streams that entries in memory or segments refer to, by id.
#[derive(Debug, Default)]
pub(crate) struct StreamRegistry {
    /// What the blocks of the store share.
    pub(crate) env: Arc<BlockEnv>,
    by_id: RwLock<HashMap<u128, Arc<StreamInfo>>>,
}

/// A stream's id: the first 128 bits of SHA-256 over its names and values, each behind its length. The same in every store,
/// and nobody can make two label sets that share one.
pub(crate) fn stream_id(labels: &Labels) -> u128 {
    let mut hash = Sha256::new();
    for (name, value) in labels.iter() {
        for text in [name, value] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.finalize().iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte))
}

impl StreamRegistry {
    pub(crate) fn new(env: Arc<BlockEnv>) -> Self {
        Self { env, by_id: RwLock::default() }
    }

    pub(crate) fn intern(&self, labels: &Labels) -> Arc<StreamInfo> {
        let id = stream_id(labels);
        if let Some(known) = self.by_id.read().get(&id) {
            return Arc::clone(known);
        }
        let mut by_id = self.by_id.write();
        let entry = by_id.entry(id).or_insert_with(|| Arc::new(StreamInfo { id, labels: labels.clone() }));
        Arc::clone(entry)
    }

    /// The streams for which `keep` holds.
    pub(crate) fn select(&self, keep: impl Fn(&StreamInfo) -> bool) -> Vec<Arc<StreamInfo>> {
        let mut found: Vec<_> = self.by_id.read().values().filter(|info| keep(info)).cloned().collect();
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// Forgets streams that nothing refers to any more.
    pub(crate) fn collect_garbage(&self) {
        self.by_id.write().retain(|_, info| Arc::strong_count(info) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_tell_neighbours_apart() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        // Written into deletion requests and exports: must never change.
        assert_eq!(stream_id(&Labels::empty()), 0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924);
        assert_ne!(stream_id(&labels(&[("ab", "c")])), stream_id(&labels(&[("a", "bc")])));
        let registry = StreamRegistry::default();
        let one = registry.intern(&labels(&[("a", "b")]));
        assert!(Arc::ptr_eq(&one, &registry.intern(&labels(&[("a", "b")]))));
        drop(one);
        registry.collect_garbage();
        assert!(registry.select(|_| true).is_empty());
    }
}
