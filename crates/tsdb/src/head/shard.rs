//! A shard: series in slots, and a table from labels to slots.

use hashbrown::HashTable;

use super::label_index::PairId;
use super::series::Series;

/// Some of the head's series.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_labels: HashTable<u32>,
}

#[derive(Debug)]
struct Slot {
    /// Counts the series that the slot has held, from 1.
    generation: u32,
    series: Option<Series>,
}

impl Shard {
    /// The series in a slot.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Series> {
        self.slots.get(slot as usize)?.series.as_ref()
    }

    /// The series in a slot, if it is still of this generation.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut Series> {
        let slot = self.slots.get_mut(slot as usize)?;
        if slot.generation == generation { slot.series.as_mut() } else { None }
    }

    /// The series in a slot, if it has this WAL reference.
    pub(crate) fn find_by_ref_mut(&mut self, slot: u32, wal_ref: u64) -> Option<&mut Series> {
        self.slots.get_mut(slot as usize)?.series.as_mut().filter(|series| series.wal_ref == wal_ref)
    }

    /// The generation of the series in a slot.
    #[inline]
    pub(crate) fn series_ref(&self, slot: u32) -> Option<u32> {
        let slot = self.slots.get(slot as usize)?;
        slot.series.is_some().then_some(slot.generation)
    }

    /// The slot and generation of the series with these pairs.
    pub(crate) fn find(&self, hash: u64, pairs: &[PairId]) -> Option<(u32, u32)> {
        let same = |slot: &u32| self.get(*slot).is_some_and(|series| &*series.pairs == pairs);
        let slot = *self.by_labels.find(hash, same)?;
        Some((slot, self.slots[slot as usize].generation))
    }

    /// Adds a series that is not there yet, and returns its slot and generation.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        series: Series,
        rehash: impl Fn(&[PairId]) -> u64,
    ) -> (u32, u32) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot { generation: 0, series: None });
                (self.slots.len() - 1) as u32
            }
        };
        let entry = &mut self.slots[slot as usize];
        // Skips 0, which stands for no reference, once in 4 billion uses.
        entry.generation = entry.generation.wrapping_add(1).max(1);
        entry.series = Some(series);
        let generation = entry.generation;
        let slots = &self.slots;
        self.by_labels.insert_unique(hash, slot, |slot| {
            slots[*slot as usize].series.as_ref().map_or(0, |series| rehash(&series.pairs))
        });
        (slot, generation)
    }

    /// Removes the series that `gone` accepts and hands them over.
    pub(crate) fn remove_where(
        &mut self,
        rehash: impl Fn(&[PairId]) -> u64,
        mut gone: impl FnMut(&Series) -> bool,
        mut removed: impl FnMut(u32, Series),
    ) {
        for (idx, entry) in self.slots.iter_mut().enumerate() {
            let idx = idx as u32;
            let Some(series) = entry.series.take_if(|series| gone(series)) else { continue };
            if let Ok(found) = self.by_labels.find_entry(rehash(&series.pairs), |slot| *slot == idx) {
                found.remove();
            }
            self.free.push(idx);
            removed(idx, series);
        }
    }

    /// All series with their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Series)> {
        self.slots.iter().enumerate().filter_map(|(idx, slot)| Some((idx as u32, slot.series.as_ref()?)))
    }

    /// All series.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.slots.iter_mut().filter_map(|slot| slot.series.as_mut())
    }
}
