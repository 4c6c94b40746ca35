//! A shard: series in slots, in pieces that never move.

use super::series::Series;

/// Slots of a piece.
const PIECE_SLOTS: usize = super::RUN;

/// Some of the head's series.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pieces: Vec<Vec<Slot>>,
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
        self.slot(slot)?.series.as_ref()
    }

    /// The series in a slot, if it is still of this generation.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut Series> {
        let slot = self.slot_mut(slot)?;
        if slot.generation == generation { slot.series.as_mut() } else { None }
    }

    /// The series in a slot and its generation.
    #[inline]
    pub(crate) fn any_mut(&mut self, slot: u32) -> Option<(u32, &mut Series)> {
        let slot = self.slot_mut(slot)?;
        Some((slot.generation, slot.series.as_mut()?))
    }

    /// The series in a slot, if it has this WAL reference.
    pub(crate) fn find_by_ref_mut(&mut self, slot: u32, wal_ref: u64) -> Option<&mut Series> {
        self.slot_mut(slot)?.series.as_mut().filter(|series| series.wal_ref == wal_ref)
    }

    /// The generation of the series in a slot.
    #[inline]
    pub(crate) fn generation(&self, slot: u32) -> Option<u32> {
        let slot = self.slot(slot)?;
        slot.series.is_some().then_some(slot.generation)
    }

    /// Puts a series into its slot, which is free or the next one, and returns its generation.
    pub(crate) fn insert(&mut self, slot: u32, series: Series) -> u32 {
        let piece = slot as usize / PIECE_SLOTS;
        while self.pieces.len() <= piece {
            self.pieces.push(Vec::with_capacity(PIECE_SLOTS));
        }
        let slots = &mut self.pieces[piece];
        let at = slot as usize % PIECE_SLOTS;
        while slots.len() <= at {
            slots.push(Slot { generation: 0, series: None });
        }
        let entry = &mut slots[at];
        // Skips 0, which stands for no reference, once in 4 billion uses.
        entry.generation = entry.generation.wrapping_add(1).max(1);
        entry.series = Some(series);
        entry.generation
    }

    /// Removes the series that `gone` accepts and hands them over.
    pub(crate) fn remove_where(
        &mut self,
        mut gone: impl FnMut(&Series) -> bool,
        mut removed: impl FnMut(u32, Series),
    ) {
        for (idx, entry) in self.pieces.iter_mut().flatten().enumerate() {
            if let Some(series) = entry.series.take_if(|series| gone(series)) {
                removed(idx as u32, series);
            }
        }
    }

    /// All series with their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Series)> {
        let slots = self.pieces.iter().flatten().enumerate();
        slots.filter_map(|(idx, slot)| Some((idx as u32, slot.series.as_ref()?)))
    }

    /// All series.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.pieces.iter_mut().flatten().filter_map(|slot| slot.series.as_mut())
    }

    #[inline]
    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.pieces.get(slot as usize / PIECE_SLOTS)?.get(slot as usize % PIECE_SLOTS)
    }

    #[inline]
    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.pieces.get_mut(slot as usize / PIECE_SLOTS)?.get_mut(slot as usize % PIECE_SLOTS)
    }
}
