//! Names of blocks: 48 bits of time and 80 random ones in 26 characters that sort by time.

use rand::Rng;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A new name for a block made at `now_ms`.
pub(crate) fn new_ulid(now_ms: i64) -> String {
    let random: u128 = rand::rng().random();
    let value = (u128::from(now_ms.max(0) as u64) << 80) | (random >> 48);
    (0..26).rev().map(|at| char::from(ALPHABET[(value >> (at * 5)) as usize & 31])).collect()
}

/// Whether `name` is a block's name.
pub(crate) fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.as_bytes()[0] <= b'7' && name.bytes().all(|byte| ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        let (a, b) = (new_ulid(1_700_000_000_000), new_ulid(1_700_000_000_001));
        assert!(a < b && is_ulid(&a) && a.starts_with("01HF7"), "{a}");
        assert_ne!(new_ulid(5), new_ulid(5));
        for name in ["", "wal", "01HF7YAT00", "81HF7YAT00000000000000000I"] {
            assert!(!is_ulid(name));
        }
    }
}
