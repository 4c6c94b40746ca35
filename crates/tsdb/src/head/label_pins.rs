//! Keeps numbers of removed labels from being used again while a reader may still ask for their texts.

use std::collections::VecDeque;
use std::sync::Arc;

use super::label_index::{PairId, SymbolId};

/// Held by a reader that has numbers and will ask for texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelPin(Arc<()>);

/// What is gone and not yet free, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// Given to readers from now on.
    current: LabelPin,
    batches: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    /// What readers held that came after the previous batch and before this one.
    pin: LabelPin,
    pairs: Vec<PairId>,
    symbols: Vec<SymbolId>,
}

impl Retired {
    /// A pin for a new reader.
    pub(crate) fn pin(&self) -> LabelPin {
        self.current.clone()
    }

    /// Sets aside what present readers may still ask for.
    pub(crate) fn retire(&mut self, pairs: Vec<PairId>, symbols: Vec<SymbolId>) {
        if pairs.is_empty() && symbols.is_empty() {
            return;
        }
        let pin = std::mem::take(&mut self.current);
        self.batches.push_back(Batch { pin, pairs, symbols });
    }

    /// The oldest batch, once no reader is left that came before it. Older readers hold older batches, which come first.
    pub(crate) fn released(&mut self) -> Option<(Vec<PairId>, Vec<SymbolId>)> {
        if Arc::strong_count(&self.batches.front()?.pin.0) > 1 {
            return None;
        }
        self.batches.pop_front().map(|batch| (batch.pairs, batch.symbols))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_may_ask_for_is_kept() {
        let mut retired = Retired::default();
        let early = retired.pin();
        retired.retire(vec![1], vec![10]);
        let late = retired.pin();
        retired.retire(vec![2], vec![]);
        assert_eq!(retired.released(), None);
        drop(late);
        assert_eq!(retired.released(), None, "the early reader may ask for both");
        drop(early);
        assert_eq!(retired.released(), Some((vec![1], vec![10])));
        assert_eq!(retired.released(), Some((vec![2], vec![])));
        retired.retire(vec![3], vec![]);
        assert_eq!(retired.released(), Some((vec![3], vec![])), "nobody reads");
        assert_eq!(retired.released(), None);
    }
}
