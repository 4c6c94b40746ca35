//! XOR chunks against a naive codec, and bytes as Prometheus writes them.

use super::*;
use proptest::prelude::*;

/// A bit at a time, straight from the format's description.
fn naive_encode(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let put = |bits: &mut Vec<bool>, value: u64, count: u32| {
        bits.extend((0..count).rev().map(|at| value >> at & 1 == 1));
    };
    put(&mut bits, samples.len() as u64, 16);
    let (mut delta, mut window) = (0i64, None::<(u32, u32)>);
    for (idx, (timestamp, value)) in samples.iter().enumerate() {
        let mut varint = Vec::new();
        match idx {
            0 => {
                put_varint(&mut varint, *timestamp);
                varint.iter().for_each(|byte| put(&mut bits, u64::from(*byte), 8));
                put(&mut bits, value.to_bits(), 64);
                continue;
            }
            1 => {
                delta = timestamp - samples[0].0;
                crate::put_uvarint(&mut varint, delta as u64);
                varint.iter().for_each(|byte| put(&mut bits, u64::from(*byte), 8));
            }
            _ => {
                let next = timestamp - samples[idx - 1].0;
                let change = next - delta;
                delta = next;
                match change {
                    0 => put(&mut bits, 0, 1),
                    -8191..=8192 => put(&mut bits, 0b10 << 14 | (change as u64 & 0x3fff), 16),
                    -65535..=65536 => put(&mut bits, 0b110 << 17 | (change as u64 & 0x1_ffff), 20),
                    -524_287..=524_288 => put(&mut bits, 0b1110 << 20 | (change as u64 & 0xf_ffff), 24),
                    _ => {
                        put(&mut bits, 0b1111, 4);
                        put(&mut bits, change as u64, 64);
                    }
                }
            }
        }
        let xor = value.to_bits() ^ samples[idx - 1].1.to_bits();
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        match window {
            _ if xor == 0 => put(&mut bits, 0, 1),
            Some((l, t)) if leading >= l && trailing >= t => {
                put(&mut bits, 0b10, 2);
                put(&mut bits, xor >> t, 64 - l - t);
            }
            _ => {
                window = Some((leading, trailing));
                let significant = 64 - leading - trailing;
                put(&mut bits, 0b11, 2);
                put(&mut bits, u64::from(leading), 5);
                put(&mut bits, u64::from(significant % 64), 6);
                put(&mut bits, xor >> trailing, significant);
            }
        }
    }
    bits.chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |acc, (at, bit)| acc | u8::from(*bit) << (7 - at)))
        .collect()
}

fn encode(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut chunk = Vec::new();
    let mut state = XorState::start(&mut chunk);
    for (timestamp, value) in samples {
        state.append(&mut chunk, *timestamp, *value);
    }
    chunk
}

fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0i64..1000).prop_map(|v| v as f64),
        Just(1.5),
        Just(f64::from_bits(model::STALE_NAN)),
    ];
    let delta = prop_oneof![Just(15_000i64), 0..20i64, 0..20_000i64, 0..2_000_000i64, 0..(1i64 << 50)];
    let start = prop_oneof![Just(1_700_000_000_000i64), -(1i64 << 40)..1i64 << 40];
    (start, proptest::collection::vec((delta, value), 0..150)).prop_map(|(start, steps)| {
        let mut timestamp = start;
        let step = |(delta, value)| {
            timestamp += delta;
            (timestamp, value)
        };
        steps.into_iter().map(step).collect()
    })
}

#[test]
fn golden_bytes() {
    let chunk = encode(&[(1_000, 1.0), (2_000, 1.0), (3_000, 2.0), (4_005, 2.0)]);
    let expected = [
        0x00,
        0x04, // samples
        0xd0,
        0x0f,
        0x3f,
        0xf0,
        0,
        0,
        0,
        0,
        0,
        0, // t0 = 1000, v0 = 1.0
        0xe8,
        0x07, // delta 1000
        // 0 (same value); 0 (same delta), 11, leading 1, significant 11, 11 ones; 10, 14 bits of 5, 0 (same value).
        0b0011_0000,
        0b1001_0111,
        0b1111_1111,
        0b1110_0000,
        0b0000_0001,
        0b0100_0000,
    ];
    assert_eq!(chunk, expected);
}

proptest! {
    #[test]
    fn equals_the_naive_codec_and_comes_back(samples in samples()) {
        let chunk = encode(&samples);
        prop_assert_eq!(&chunk, &naive_encode(&samples));
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        prop_assert_eq!(decode_xor(&chunk, &mut timestamps, &mut values), Ok(()));
        let decoded: Vec<_> = timestamps.into_iter().zip(values.iter().map(|v| v.to_bits())).collect();
        let expected: Vec<_> = samples.iter().map(|(t, v)| (*t, v.to_bits())).collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn a_chunk_can_be_resumed_anywhere(samples in samples(), at in 0usize..150) {
        let (first, second) = samples.split_at(at.min(samples.len()));
        let mut chunk = encode(first);
        let mut state = XorState::resume(&chunk).unwrap();
        for (timestamp, value) in second {
            state.append(&mut chunk, *timestamp, *value);
        }
        prop_assert_eq!(chunk, encode(&samples));
    }

    #[test]
    fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        decode_xor(&bytes, &mut timestamps, &mut values).ok();
        prop_assert!(timestamps.len() <= bytes.len() * 4 + 1);
        XorState::resume(&bytes).ok();
    }
}

proptest! {
    #[test]
    fn decoding_may_end_early(
        steps in proptest::collection::vec((1i64..100_000, any::<f64>()), 1..80), cut in 0usize..80, off in -1i64..=1
    ) {
        let (mut chunk, mut time) = (Vec::new(), 0);
        let mut state = XorState::start(&mut chunk);
        let samples: Vec<(i64, f64)> = steps.iter().map(|(step, value)| {
            time += step;
            state.append(&mut chunk, time, *value);
            (time, *value)
        }).collect();
        let until = samples[cut % samples.len()].0 + off;
        let expected: Vec<(i64, u64)> =
            samples.iter().filter(|s| s.0 <= until).map(|s| (s.0, s.1.to_bits())).collect();
        let (mut times, mut values) = (vec![7], vec![7.0]);
        decode_xor_until(&chunk, until, &mut times, &mut values).unwrap();
        let found: Vec<(i64, u64)> =
            times.iter().zip(&values).skip(1).map(|(time, value)| (*time, value.to_bits())).collect();
        prop_assert_eq!(&found, &expected);
        let (newest, read) = newest_xor(&chunk, until).unwrap();
        prop_assert_eq!(newest.map(|s| (s.0, s.1.to_bits())), expected.last().copied());
        prop_assert_eq!(read as usize, expected.len());
    }
}
