//! Queries over series in memory: what the engine itself costs, without a store's decoding.

#![expect(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::Labels;
use promql::{Engine, EngineOptions, MemoryReader, MemoryValue};
use resources::{CpuClass, CpuPools, MemoryBudget, RequestContext};

const SERIES: usize = 3200;
const SAMPLES: i64 = 480;
const STEP_MS: i64 = 15_000;

fn store() -> MemoryReader {
    let mut store = MemoryReader::new();
    for series in 0..SERIES {
        let labels = Labels::from_pairs([
            ("__name__", "node_cpu_seconds_total".to_owned()),
            ("cpu", (series % 16).to_string()),
            ("host", format!("host-{}", series / 64)),
            ("mode", (series / 16 % 4).to_string()),
        ]);
        for at in 0..SAMPLES {
            let value = (at * (series as i64 % 7 + 1)) as f64 * 0.25;
            store.add(&labels, at * STEP_MS + series as i64 % 64, &MemoryValue::Float(value), 0);
        }
    }
    store
}

fn queries(criterion: &mut Criterion) {
    let store = store();
    let engine = Engine::new(EngineOptions::default());
    let end = SAMPLES * STEP_MS;
    for threads in [1, 2] {
        let pools = if threads == 1 { CpuPools::inline() } else { CpuPools::with_cores(2).expect("threads") };
        let ctx = RequestContext::internal(CpuClass::Query, pools, MemoryBudget::unlimited("bench"));
        let mut group = criterion.benchmark_group(format!("range-{threads}"));
        group.sample_size(10).throughput(Throughput::Elements(SERIES as u64 * SAMPLES as u64));
        for (name, query) in [
            ("sum-by-rate", "sum by (host) (rate(node_cpu_seconds_total[5m]))"),
            ("sum-rate", "sum(rate(node_cpu_seconds_total[5m]))"),
            ("avg-over-time", "avg_over_time(node_cpu_seconds_total[5m])"),
            ("max-over-time", "max by (host) (max_over_time(node_cpu_seconds_total[5m]))"),
            ("selector", "node_cpu_seconds_total"),
            ("ratio", "node_cpu_seconds_total / on(host, cpu, mode) node_cpu_seconds_total"),
            ("topk", "topk(5, node_cpu_seconds_total)"),
        ] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| engine.range(&ctx, &store, black_box(query), 300_000, end, STEP_MS));
            });
        }
        group.finish();
        criterion.bench_function(&format!("instant-{threads}/count"), |bencher| {
            bencher.iter(|| {
                engine.instant(&ctx, &store, black_box("count by (__name__) (node_cpu_seconds_total)"), end)
            });
        });
    }
}

fn parsing(criterion: &mut Criterion) {
    let query = "histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket{job=~\"api|web\",\
                 code!~\"5..\"}[5m] offset 1h))) > bool on(job) group_left(team) (max by (job) (slo_seconds) * 2)";
    let engine = Engine::new(EngineOptions::default());
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(query.len() as u64));
    group.bench_function("long", |bencher| bencher.iter(|| engine.parse(black_box(query))));
    group.finish();
}

criterion_group!(benches, parsing, queries);
criterion_main!(benches);
