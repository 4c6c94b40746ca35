//! XOR chunks of 120 samples: encoding, and decoding into columns.
#![expect(missing_docs, reason = "criterion's macros make functions without documentation")]

use std::hint::black_box;

use chunk_encoding::{XorState, decode_xor};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SAMPLES: usize = 120;

/// A counter that grows unevenly, scraped every 15 s with some jitter.
fn samples() -> Vec<(i64, f64)> {
    let sample = |n: i64| (1_700_000_000_000 + n * 15_000 + n % 3, (n * n % 977 + n * 100) as f64);
    (0..SAMPLES as i64).map(sample).collect()
}

fn encode(samples: &[(i64, f64)], chunk: &mut Vec<u8>) {
    let mut state = XorState::start(chunk);
    for (timestamp, value) in samples {
        state.append(chunk, *timestamp, *value);
    }
}

fn xor(criterion: &mut Criterion) {
    let samples = samples();
    let mut group = criterion.benchmark_group("xor");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter_batched_ref(
            || Vec::with_capacity(1024),
            |chunk| encode(black_box(&samples), chunk),
            BatchSize::SmallInput,
        );
    });
    let mut chunk = Vec::new();
    encode(&samples, &mut chunk);
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            timestamps.clear();
            values.clear();
            decode_xor(black_box(&chunk), &mut timestamps, &mut values).expect("the chunk was just encoded");
            values.len()
        });
    });
    group.finish();
}

criterion_group!(benches, xor);
criterion_main!(benches);
