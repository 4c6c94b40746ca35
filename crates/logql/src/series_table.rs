//! Numbers label sets: a hash table that is asked with borrowed pairs, so that a known set costs no allocation.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use model::Labels;

/// Label sets by number, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    labels: Vec<Labels>,
}

impl SeriesTable {
    /// The number of the set with these pairs, sorted by name, and whether it is new. Empty values do not count.
    pub(crate) fn number(&mut self, pairs: &[(&str, &str)]) -> (usize, bool) {
        let present = || pairs.iter().copied().filter(|(_, value)| !value.is_empty());
        let hash = hash(&self.hasher, present());
        if let Some(found) = self.index.find(hash, |idx| self.labels[*idx as usize].iter().eq(present())) {
            return (*found as usize, false);
        }
        let idx = self.labels.len();
        self.labels.push(Labels::from_sorted(present()));
        let (hasher, labels) = (&self.hasher, &self.labels);
        self.index.insert_unique(hash, idx as u32, |idx| self::hash(hasher, labels[*idx as usize].iter()));
        (idx, true)
    }

    pub(crate) fn labels(&self, idx: usize) -> &Labels {
        &self.labels[idx]
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }
}

fn hash<'p>(hasher: &DefaultHashBuilder, pairs: impl Iterator<Item = (&'p str, &'p str)>) -> u64 {
    let mut state = hasher.build_hasher();
    for (name, value) in pairs {
        state.write(name.as_bytes());
        state.write_u8(0xff);
        state.write(value.as_bytes());
        state.write_u8(0xff);
    }
    state.finish()
}
