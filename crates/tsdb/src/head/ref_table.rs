//! From the log's references to series, while the log is replayed.

use hashbrown::HashMap;

use super::SeriesId;

/// References are mostly given out one after another: a list holds them, as long as it is not much longer than what is in it.
const SPARSE_FACTOR: u64 = 16;
const LIST_FLOOR: u64 = 1 << 16;

/// What a reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefEntry {
    pub(crate) id: SeriesId,
    /// 0 stands for no series.
    pub(crate) generation: u32,
    /// Samples up to this time are in the series already, in head chunks.
    pub(crate) restored_until: i64,
}

impl RefEntry {
    const NONE: Self = Self { id: 0, generation: 0, restored_until: i64::MIN };
}

/// Series by WAL reference; several references may stand for one series.
#[derive(Debug, Default)]
pub(crate) struct RefTable {
    /// The reference of the list's first place.
    base: u64,
    list: Vec<RefEntry>,
    others: HashMap<u64, RefEntry>,
    count: u64,
}

impl RefTable {
    /// The series of a reference.
    #[inline]
    pub(crate) fn get(&self, wal_ref: u64) -> Option<RefEntry> {
        let at = wal_ref.wrapping_sub(self.base);
        match usize::try_from(at).ok().and_then(|at| self.list.get(at)) {
            Some(found) if found.generation != 0 => Some(*found),
            _ => self.others.get(&wal_ref).copied(),
        }
    }

    /// Remembers the series of a reference that was not known.
    pub(crate) fn insert(&mut self, wal_ref: u64, series: RefEntry) {
        if self.count == 0 {
            self.base = wal_ref;
        }
        self.count += 1;
        let at = wal_ref.wrapping_sub(self.base);
        if at >= self.count * SPARSE_FACTOR + LIST_FLOOR {
            self.others.insert(wal_ref, series);
            return;
        }
        let at = at as usize;
        if at >= self.list.len() {
            self.list.resize(at + 1, RefEntry::NONE);
        }
        self.list[at] = series;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_in_any_order_are_found() {
        let mut table = RefTable::default();
        let refs = [500_000, 500_001, 500_007, 3, u64::MAX, 500_000 + (1 << 20), 499_999, 500_002];
        for (id, wal_ref) in (0..).zip(refs) {
            assert_eq!(table.get(wal_ref), None);
            table.insert(wal_ref, RefEntry { id, generation: 1, restored_until: 5 });
        }
        for (id, wal_ref) in (0..).zip(refs) {
            let expected = RefEntry { id, generation: 1, restored_until: 5 };
            assert_eq!(table.get(wal_ref), Some(expected));
        }
        assert_eq!([0, 500_003, 500_006].map(|wal_ref| table.get(wal_ref)), [None; 3]);
    }
}
