//! From a caller's key bytes to a series, without the bytes: a keyed universal hash of 125 bits stands for them.
//!
//! Two different keys meet with a probability of about 2^-110 for whoever does not know the random seed, which never
//! leaves the process; so no sender can make two series into one.

use rand::{RngCore, TryRngCore};

/// Words of key material: messages up to this many bytes are hashed in one pass.
const SEED_WORDS: usize = BLOCK_BYTES / 8 + 2;
const BLOCK_BYTES: usize = 1024;
const PRIME: u128 = (1 << 61) - 1;
const SLOTS_MIN: usize = 1024;

/// What stands for a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHash {
    a: u64,
    b: u64,
}

/// The secret with which keys are hashed.
pub(crate) struct KeyHasher {
    words: [u64; SEED_WORDS],
    fold: [u64; 10],
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher(secret)")
    }
}

impl KeyHasher {
    /// A hasher with a secret of its own.
    pub(crate) fn new() -> Self {
        let mut fallback = rand::rng();
        let mut word = || rand::rngs::OsRng.try_next_u64().unwrap_or_else(|_| fallback.next_u64());
        let mut hasher = Self { words: [0; SEED_WORDS], fold: [0; 10] };
        hasher.words.iter_mut().for_each(|slot| *slot = word());
        hasher.fold.iter_mut().for_each(|slot| *slot = word() & PRIME as u64);
        hasher
    }

    /// Hashes a key: NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC) twice with shifted key material, each sum of
    /// products folded by a random linear form modulo 2^61 - 1; blocks of a long key are chained as a polynomial.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let (mut a, mut b) = (key.len() as u64, key.len() as u64);
        for block in key.chunks(BLOCK_BYTES) {
            let (first, second) = self.block(block);
            a = reduce(u128::from(a) * u128::from(self.fold[4]) + self.fold(first, 0));
            b = reduce(u128::from(b) * u128::from(self.fold[9]) + self.fold(second, 5));
        }
        KeyHash { a, b }
    }

    #[inline]
    fn block(&self, block: &[u8]) -> (u128, u128) {
        let (mut first, mut second) = (0u128, 0u128);
        let multiply = |x: u64, y: u64| u128::from(x) * u128::from(y);
        let (pairs, tail) = block.as_chunks::<16>();
        let (keys, _) = self.words.as_chunks::<2>();
        // Neighbouring pairs of key words: the second sum uses the key material of the next pair.
        for (pair, key) in pairs.iter().zip(keys.windows(2)) {
            let (low, high) = split(pair);
            let [[a, b], [c, d]] = [key[0], key[1]];
            first = first.wrapping_add(multiply(low.wrapping_add(a), high.wrapping_add(b)));
            second = second.wrapping_add(multiply(low.wrapping_add(c), high.wrapping_add(d)));
        }
        if !tail.is_empty() {
            let mut padded = [0; 16];
            padded[..tail.len()].copy_from_slice(tail);
            let (low, high) = split(&padded);
            let [[a, b], [c, d]] = [keys[pairs.len()], keys[pairs.len() + 1]];
            first = first.wrapping_add(multiply(low.wrapping_add(a), high.wrapping_add(b)));
            second = second.wrapping_add(multiply(low.wrapping_add(c), high.wrapping_add(d)));
        }
        (first, second)
    }

    #[inline]
    fn fold(&self, sum: u128, at: usize) -> u128 {
        let limbs = [sum & 0xffff_ffff, sum >> 32 & 0xffff_ffff, sum >> 64 & 0xffff_ffff, sum >> 96];
        limbs.iter().zip(&self.fold[at..]).map(|(limb, factor)| limb * u128::from(*factor)).sum()
    }
}

/// The rest modulo 2^61 - 1, without a division: what lies above 61 bits counts once more from below.
#[inline]
fn reduce(number: u128) -> u64 {
    let number = (number & PRIME) + (number >> 61);
    let number = (number as u64 & PRIME as u64) + (number >> 61) as u64;
    if number >= PRIME as u64 { number - PRIME as u64 } else { number }
}

fn split(pair: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*pair);
    (both as u64, (both >> 64) as u64)
}

/// A key and its series in 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    a: u64,
    b: u32,
    /// 0 where the slot is free, else the series' number plus 1.
    series: u32,
}

/// An open-addressed table from keys to series numbers.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    slots: Vec<Slot>,
    used: usize,
}

impl KeyTable {
    /// The series of a key.
    #[inline]
    pub(crate) fn find(&self, key: KeyHash) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = key.a as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.series == 0 {
                return None;
            }
            if slot.a == key.a && slot.b == key.b as u32 {
                return Some(slot.series - 1);
            }
            at = (at + 1) & mask;
        }
    }

    /// Remembers a key that is not there yet.
    pub(crate) fn insert(&mut self, key: KeyHash, series: u32) {
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            self.rebuild(self.slots.len() * 2, |_| true);
        }
        self.place(Slot { a: key.a, b: key.b as u32, series: series + 1 });
    }

    /// Keeps the keys of the series that `keep` accepts.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let kept = self.slots.iter().filter(|slot| slot.series != 0 && keep(slot.series - 1)).count();
        if kept < self.used {
            self.rebuild((kept * 4 / 3).next_power_of_two(), keep);
        }
    }

    /// How many keys are known.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Forgets all keys: they are only a short way to the series.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn rebuild(&mut self, slots: usize, keep: impl Fn(u32) -> bool) {
        let fresh = vec![Slot::default(); slots.max(SLOTS_MIN)];
        let old = std::mem::replace(&mut self.slots, fresh);
        self.used = 0;
        for slot in old {
            if slot.series != 0 && keep(slot.series - 1) {
                self.place(slot);
            }
        }
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.a as usize & mask;
        while self.slots[at].series != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        self.used += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_found_through_growth_and_removal() {
        let (hasher, mut table) = (KeyHasher::new(), KeyTable::default());
        let key = |n: u32| hasher.hash(format!("key {n}").as_bytes());
        for n in 0..5000 {
            assert_eq!(table.find(key(n)), None);
            table.insert(key(n), n);
        }
        assert!((0..5000).all(|n| table.find(key(n)) == Some(n)));
        table.retain(|n| n % 3 == 0);
        assert!((0..5000).all(|n| table.find(key(n)) == (n % 3 == 0).then_some(n)));
        assert_eq!(table.len(), 1667);
    }

    proptest! {
        #[test]
        fn reducing_is_the_rest_of_a_division(number: u128) {
            // What is folded stays below 2^125.
            let number = number >> 3;
            prop_assert_eq!(u128::from(reduce(number)), number % PRIME);
        }

        #[test]
        fn different_keys_have_different_hashes(
            a in proptest::collection::vec(any::<u8>(), 0..2100),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let hasher = KeyHasher::new();
            prop_assert_eq!(hasher.hash(&a), hasher.hash(&a));
            let mut longer = a.clone();
            longer.push(0);
            prop_assert_ne!(hasher.hash(&a), hasher.hash(&longer));
            if !a.is_empty() {
                let mut changed = a.clone();
                changed[at.index(a.len())] ^= 1 << bit;
                prop_assert_ne!(hasher.hash(&a), hasher.hash(&changed));
            }
        }
    }
}
