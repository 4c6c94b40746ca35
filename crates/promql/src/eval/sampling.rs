//! Which series `limit_ratio` keeps: the same as the original, whose choice hangs on its hash of a label set.

use model::Labels;

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// A place between 0 and 1 that a label set always has.
pub(crate) fn position(labels: &Labels) -> f64 {
    xxh64(&packed(labels)) as f64 / u64::MAX as f64
}

/// Names and values, each behind its length: a byte, or 255 and three bytes, the lowest first.
fn packed(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        let length = text.len() as u32;
        if length < 255 {
            out.push(length as u8);
        } else {
            out.push(255);
            out.extend_from_slice(&length.to_le_bytes()[..3]);
        }
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// XXH64 with seed 0.
fn xxh64(data: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let (blocks, mut rest) = data.as_chunks::<32>();
    let mut hash = p5;
    if !blocks.is_empty() {
        let mut lanes = [p1.wrapping_add(p2), p2, 0, 0u64.wrapping_sub(p1)];
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            lanes
                .iter_mut()
                .zip(words)
                .for_each(|(lane, word)| *lane = round(*lane, u64::from_le_bytes(*word)));
        }
        hash = [1, 7, 12, 18]
            .iter()
            .zip(&lanes)
            .fold(0, |hash: u64, (bits, lane)| hash.wrapping_add(lane.rotate_left(*bits)));
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(p1).wrapping_add(p4);
        }
    }
    hash = hash.wrapping_add(data.len() as u64);
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
        rest = behind;
    }
    if let Some((word, behind)) = rest.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*word)).wrapping_mul(p1);
        hash = hash.rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
        rest = behind;
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(p5);
        hash = hash.rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(p2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(p3);
    hash ^ (hash >> 32)
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_algorithm() {
        for (text, hash) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("as", 0x1c33_0fb2_d66b_e179),
            ("asd", 0x631c_37ce_72a9_7393),
            ("asdf", 0x4158_72f5_99ce_a71e),
            ("Call me Ishmael. Some years ago--never mind how long precisely-", 0x02a2_e854_70d6_fd96),
        ] {
            assert_eq!(xxh64(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn lengths_stand_before_texts() {
        let long = "x".repeat(300);
        let labels = Labels::from_pairs([("a", "bc"), ("d", long.as_str())]);
        let mut expected = b"\x01a\x02bc\x01d\xff\x2c\x01\x00".to_vec();
        expected.extend_from_slice(long.as_bytes());
        assert_eq!(packed(&labels), expected);
    }
}
