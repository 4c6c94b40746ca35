//! From the log's references to series, while the log is replayed.

use hashbrown::HashMap;

use super::SeriesId;

/// References are mostly given out one after another: a list holds them, as long as it is not much longer than what is in it.
const SPARSE_FACTOR: u64 = 16;
const LIST_FLOOR: u64 = 1 << 16;

/// Series by WAL reference; several references may stand for one series.
#[derive(Debug, Default)]
pub(crate) struct RefTable {
    /// The reference of the list's first place.
    base: u64,
    /// Number and generation; generation 0 stands for none.
    list: Vec<(SeriesId, u32)>,
    others: HashMap<u64, (SeriesId, u32)>,
    count: u64,
}

impl RefTable {
    /// The series of a reference.
    #[inline]
    pub(crate) fn get(&self, wal_ref: u64) -> Option<(SeriesId, u32)> {
        let at = wal_ref.wrapping_sub(self.base);
        match usize::try_from(at).ok().and_then(|at| self.list.get(at)) {
            Some(found) if found.1 != 0 => Some(*found),
            _ => self.others.get(&wal_ref).copied(),
        }
    }

    /// Remembers the series of a reference.
    pub(crate) fn insert(&mut self, wal_ref: u64, series: (SeriesId, u32)) {
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
            self.list.resize(at + 1, (0, 0));
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
            table.insert(wal_ref, (id, 1));
        }
        for (id, wal_ref) in (0..).zip(refs) {
            assert_eq!(table.get(wal_ref), Some((id, 1)));
        }
        assert_eq!([0, 500_003, 500_006].map(|wal_ref| table.get(wal_ref)), [None; 3]);
    }
}
