//! Which number a series has, and from a label set to that number.

use hashbrown::HashTable;

use super::SeriesId;

/// Numbers of series, given out in the order in which series are created, and found again by the hash of their labels.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    by_labels: HashTable<(u32, SeriesId)>,
    free: Vec<SeriesId>,
    next: SeriesId,
}

impl SeriesTable {
    /// The series with this hash that `same` accepts.
    pub(crate) fn find(&self, hash: u64, mut same: impl FnMut(SeriesId) -> bool) -> Option<SeriesId> {
        let short = shorten(hash);
        let found = self.by_labels.find(spread(short), |(other, id)| *other == short && same(*id))?;
        Some(found.1)
    }

    /// A number for a new series: one that is free again, else the next.
    pub(crate) fn add(&mut self, hash: u64) -> SeriesId {
        let id = self.free.pop().unwrap_or_else(|| {
            let id = self.next;
            self.next += 1;
            id
        });
        let short = shorten(hash);
        self.by_labels.insert_unique(spread(short), (short, id), |(short, _)| spread(*short));
        id
    }

    /// Takes back the number of a series that is gone.
    pub(crate) fn remove(&mut self, hash: u64, id: SeriesId) {
        let short = shorten(hash);
        if let Ok(entry) = self.by_labels.find_entry(spread(short), |(_, other)| *other == id) {
            entry.remove();
            self.free.push(id);
        }
    }
}

/// What is kept of a hash: with it the table grows without asking for labels.
fn shorten(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A hash with all bits in use: the table looks at both ends.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_and_used_again() {
        let mut table = SeriesTable::default();
        // Every hash comes twice.
        let hash = |n: u32| u64::from(n / 2) << 32 | 7;
        let ids: Vec<SeriesId> = (0..1000).map(|n| table.add(hash(n))).collect();
        assert!(ids.iter().copied().eq(0..1000));
        assert!((0..1000).all(|n| table.find(hash(n), |id| id == n) == Some(n)));
        table.remove(hash(500), 500);
        assert_eq!(table.find(hash(500), |_| true), Some(501));
        assert_eq!(table.add(99 << 40), 500);
        assert_eq!(table.add(98 << 40), 1000);
    }
}
