//! MD5 (RFC 1321), which `hashmod` is defined by. Not for security.

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The digest of `data`.
pub(crate) fn md5(data: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let table = sine_table();
    let mut blocks = data.chunks_exact(64);
    for block in &mut blocks {
        mix(&mut state, block, &table);
    }
    let rest = blocks.remainder();
    let mut tail = [0u8; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    tail[end - 8..end].copy_from_slice(&((data.len() as u64) << 3).to_le_bytes());
    for block in tail[..end].chunks_exact(64) {
        mix(&mut state, block, &table);
    }
    let mut digest = [0; 16];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// RFC 1321's T: the integer part of 2^32 times |sin(i)|.
fn sine_table() -> [u32; 64] {
    let mut table = [0; 64];
    for (idx, entry) in table.iter_mut().enumerate() {
        *entry = (f64::sin(idx as f64 + 1.0).abs() * 4_294_967_296.0) as u32;
    }
    table
}

fn mix(state: &mut [u32; 4], block: &[u8], table: &[u32; 64]) {
    let mut words = [0u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    let [mut a, mut b, mut c, mut d] = *state;
    for (idx, constant) in table.iter().enumerate() {
        let (f, word) = match idx / 16 {
            0 => ((b & c) | (!b & d), idx),
            1 => ((d & b) | (!d & c), (5 * idx + 1) % 16),
            2 => (b ^ c ^ d, (3 * idx + 5) % 16),
            _ => (c ^ (b | !d), (7 * idx) % 16),
        };
        let sum = a.wrapping_add(f).wrapping_add(*constant).wrapping_add(words[word]);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(SHIFTS[idx / 16][idx % 4]));
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::md5;

    #[test]
    fn digests_of_the_rfc() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            let hex: String = md5(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, digest, "{text}");
        }
    }
}
