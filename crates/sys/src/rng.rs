//! Random numbers.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers.
pub trait Rng: Debug + Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;

    /// A number below `bound`; 0 where `bound` is 0. The bias is below 2^-32 for bounds that fit 32 bits.
    fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// The operating system's randomness, fit for tokens and ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        rand::random()
    }
}

/// The same numbers for the same seed (SplitMix64): tests and simulation only.
#[derive(Debug)]
pub struct SeededRng {
    state: AtomicU64,
}

impl SeededRng {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        let step = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.state.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers_and_bounds_hold() {
        let (one, same, other) = (SeededRng::new(7), SeededRng::new(7), SeededRng::new(8));
        let mut differs = false;
        for _ in 0..100 {
            let number = one.next_u64();
            assert_eq!(number, same.next_u64());
            differs |= number != other.next_u64();
            assert!(one.below(3) < 3 && same.below(3) < 3);
        }
        assert!(differs && one.below(0) == 0 && one.below(1) == 0);
    }
}
