//! The engine's limits, and that no query panics.

use model::Labels;
use proptest::prelude::*;
use resources::{CancelReason, CpuPools, MemoryBudget, RequestContext};

use crate::testscript::script_options;
use crate::{Engine, EngineOptions, MemoryReader, MemoryValue, QueryError, Value};

fn store() -> MemoryReader {
    let mut store = MemoryReader::new();
    for (name, instance) in [("m", "a"), ("m", "b"), ("n_total", "a")] {
        let labels = Labels::from_pairs([("__name__", name), ("instance", instance)]);
        for step in 0..20 {
            store.add(&labels, step * 15_000, &MemoryValue::Float(step as f64), 0);
        }
    }
    store
}

fn instant(query: &str) -> Result<Value, QueryError> {
    let (engine, ctx) = (Engine::new(script_options()), RequestContext::for_tests());
    engine.instant(&ctx, &store(), query, 120_000).map(|result| result.value)
}

#[test]
fn errors_have_the_code_that_clients_see() {
    for (query, code, text) in [
        ("m +", "invalid_argument", "1:4: parse error: unexpected end of input"),
        ("m{a=~\"(\"}", "invalid_argument", "1:3: parse error: error parsing regexp"),
        ("m * on() n_total", "unprocessable", "multiple matches for labels"),
        ("label_replace(m, \"instance\", \"\", \"\", \"\")", "unprocessable", "same labelset"),
        ("vector(1)[1y:1ms]", "unprocessable", "at most 10000 are allowed"),
        ("sum_over_time(vector(1)[100y:1ms])", "unprocessable", "--query.max-samples"),
    ] {
        let error = instant(query).map(drop).expect_err(query);
        assert_eq!(error.code().as_str(), code, "{query}");
        assert!(error.to_string().contains(text), "{query}: {error}");
    }
}

#[test]
fn times_far_away_find_nothing_and_do_not_overflow() {
    for query in [
        "m offset 290y",
        "m offset -290y",
        "m @ 9000000000000000",
        "rate(m[290y] @ -9000000000000000 offset 290y)",
        "sum_over_time(m[1m:20s] offset 290y)",
        "max_over_time(m[5m] @ 9e15 anchored)",
        "day_of_year(vector(1e300)) + year(vector(-1e300))",
    ] {
        // Some of these are refused, none of them may fail in another way.
        instant(query).ok();
    }
    assert!(matches!(instant("m offset 290y"), Ok(Value::Vector(samples)) if samples.is_empty()));
}

#[test]
fn a_cancelled_or_oversized_query_ends() {
    let (engine, store) = (Engine::new(script_options()), store());
    let ctx = RequestContext::for_tests();
    ctx.cancel.cancel(CancelReason::TimedOut);
    let error = engine.instant(&ctx, &store, "m", 0).map(drop).expect_err("cancelled");
    assert_eq!(error.to_string(), "query timed out in expression evaluation");
    let mut ctx = RequestContext::for_tests();
    ctx.memory = MemoryBudget::root("query", "--query.max-memory", model::ByteSize(1000));
    let error = engine.range(&ctx, &store, "m", 0, 300_000, 1000).map(drop).expect_err("too big");
    assert!(error.to_string().contains("raise --query.max-memory"), "{error}");
    assert_eq!(ctx.memory.used(), model::ByteSize(0));
}

#[test]
fn long_chains_are_evaluated_on_a_small_stack() {
    let chain = vec!["m"; 250].join(" or ");
    assert!(instant(&chain).is_ok());
    let nested = format!("{}m{}", "abs(".repeat(90), ")".repeat(90));
    assert!(instant(&nested).is_ok());
}

#[test]
fn large_groups_give_the_same_on_any_number_of_threads() {
    let mut store = MemoryReader::new();
    let histogram = std::sync::Arc::new(model::FloatHistogram {
        count: 3.0,
        sum: 4.5,
        positive_spans: vec![model::BucketSpan { offset: 0, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..Default::default()
    });
    for series in 0..700 {
        let labels = |name: &str| {
            let pairs =
                [("__name__", name.to_owned()), ("s", series.to_string()), ("g", (series % 3).to_string())];
            Labels::from_pairs(pairs)
        };
        for step in 0..20 {
            let value = 0.1 * f64::from(series) + step as f64;
            store.add(&labels("c_total"), step * 15_000, &MemoryValue::Float(value), 0);
            store.add(&labels("h"), step * 15_000, &MemoryValue::Histogram(histogram.clone()), 0);
        }
    }
    let engine = Engine::new(EngineOptions::default());
    let mut threads = RequestContext::for_tests();
    threads.cpu = CpuPools::with_cores(2).expect("threads");
    let inline = RequestContext::for_tests();
    for (query, expected) in [
        ("sum(c_total)", Some(0.1 * (699.0 * 700.0 / 2.0) + 700.0 * 8.0)),
        ("sum(rate(c_total[1m]))", None),
        ("max by (g) (c_total) - min by (g) (c_total)", None),
        ("avg(c_total)", None),
        ("count(c_total)", Some(700.0)),
        ("histogram_count(sum(h))", Some(2100.0)),
        ("histogram_sum(avg by (g) (h))", Some(4.5)),
        ("sum(c_total) / on() group_right() topk(3, c_total)", None),
    ] {
        let one = engine.range(&inline, &store, query, 60_000, 240_000, 15_000).expect(query).value;
        let two = engine.range(&threads, &store, query, 60_000, 240_000, 15_000).expect(query).value;
        let (Value::Matrix(one), Value::Matrix(two)) = (one, two) else { panic!("{query}") };
        assert!(!one.is_empty(), "{query}");
        assert!(one.iter().zip(&two).all(|(a, b)| a.labels == b.labels && a.floats == b.floats), "{query}");
        if let Some(expected) = expected {
            let at = one[0].floats.iter().find(|(time, _)| *time == 120_000).expect("a step").1;
            assert!((at - expected).abs() < 1e-6, "{query}: {at}");
        }
    }
}

/// Expressions that often parse and have a type.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "m",
        "n_total",
        "m{instance=\"a\"}",
        "rate(n_total[1m])",
        "max_over_time(m[2m] offset 30s)",
        "sum_over_time(m[2m:20s])",
        "quantile_over_time(0.5, m[1m])",
        "1",
        "time()",
        "vector(2)",
        "NaN",
        "m @ 60",
        "absent(x)",
        "increase(n_total[1m] smoothed)",
        "delta(m[1m] anchored)",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 2, |inner| {
        let operators = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "== bool",
            ">",
            "and",
            "or",
            "unless",
            "* on(instance) group_left()",
            "+ ignoring(instance)",
            "atan2",
            "+ fill(0)",
        ]);
        let functions = prop::sample::select(vec![
            "sum",
            "avg by (instance)",
            "count without (instance)",
            "abs",
            "-",
            "sort",
            "topk(1,",
            "stddev",
            "scalar",
            "count_values(\"v\",",
            "histogram_quantile(0.5,",
            "label_replace(",
            "quantile(0.3,",
            "limit_ratio(0.5,",
            "clamp_min(",
            "timestamp",
            "group",
            "info",
            "max_over_time(",
        ]);
        prop_oneof![
            (inner.clone(), operators, inner.clone()).prop_map(|(l, op, r)| format!("({l}) {op} ({r})")),
            (functions, inner).prop_map(|(function, inner)| match function {
                "label_replace(" => format!("label_replace({inner}, \"z\", \"$1\", \"instance\", \"(.)\")"),
                "clamp_min(" => format!("clamp_min({inner}, 3)"),
                "max_over_time(" => format!("max_over_time(({inner})[1m:15s])"),
                _ if function.ends_with(',') => format!("{function} {inner})"),
                _ => format!("{function}({inner})"),
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The value of an instant query is that of a range query at the same time.
    #[test]
    fn range_queries_agree_with_instant_queries(query in expression()) {
        let (engine, ctx, store) = (Engine::new(script_options()), RequestContext::for_tests(), store());
        let ordered = query.contains("topk") || query.contains("limit_ratio");
        let instant = engine.instant(&ctx, &store, query.as_str(), 120_000);
        let range = engine.range(&ctx, &store, query.as_str(), 105_000, 135_000, 15_000);
        let (Ok(instant), Ok(range), false) = (instant, range, ordered) else { return Ok(()) };
        let Value::Matrix(matrix) = range.value else { return Err(TestCaseError::fail("not a matrix")) };
        let at = |series: &crate::MatrixSeries| series.floats.iter().find(|(time, _)| *time == 120_000).map(|p| p.1);
        let mut found: Vec<(String, u64)> =
            matrix.iter().filter_map(|s| Some((s.labels.to_string(), at(s)?.to_bits()))).collect();
        let mut expected: Vec<(String, u64)> = match instant.value {
            Value::Scalar { value, .. } => vec![("{}".to_owned(), value.to_bits())],
            Value::Vector(samples) => samples
                .iter()
                .filter_map(|sample| match sample.value {
                    crate::SampleValue::Float(value) => Some((sample.labels.to_string(), value.to_bits())),
                    crate::SampleValue::Histogram(_) => None,
                })
                .collect(),
            Value::String { .. } | Value::Matrix(_) => return Ok(()),
        };
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected, "{}", query);
    }
}

/// One line a part: depth, what it is, whether it was evaluated by itself, series, samples read.
fn explained(query: &str) -> Vec<String> {
    fn lines(node: &crate::ExplainNode, depth: usize, out: &mut Vec<String>) {
        let constant = if node.is_constant { " constant" } else { "" };
        let cost = match &node.cost {
            Some(cost) => format!(" series={} read={}", cost.series, cost.samples_read),
            None => String::new(),
        };
        let text = node.text.as_deref().unwrap_or_default();
        out.push(format!("{depth} {} {} `{text}`{constant}{cost}", node.kind, node.name));
        node.children.iter().for_each(|child| lines(child, depth + 1, out));
    }
    let (engine, ctx) = (Engine::new(script_options()).explaining(), RequestContext::for_tests());
    let result = engine.range(&ctx, &store(), query, 0, 120_000, 60_000).expect(query);
    let tree = result.explain.expect("asked for");
    assert_eq!(tree.cost.map(|cost| cost.samples_read), Some(result.stats.samples_read), "{query}");
    let mut out = Vec::new();
    lines(&tree, 0, &mut out);
    out
}

#[test]
fn a_query_is_explained_part_by_part() {
    assert_eq!(
        explained("sum(m) / -scalar(n_total @ 60)"),
        [
            "0 operator / `sum(m) / -scalar(n_total @ 60)` series=1 read=23",
            "1 aggregation sum `sum(m)` series=1 read=18",
            "2 selector  `m`",
            "1 operator - `-scalar(n_total @ 60)` constant series=1 read=5",
            "2 function scalar `scalar(n_total @ 60)` series=1 read=5",
            "3 selector  `n_total @ 60` series=1 read=5",
        ]
    );
    let (engine, ctx) = (Engine::new(script_options()), RequestContext::for_tests());
    assert!(engine.instant(&ctx, &store(), "m", 0).expect("answered").explain.is_none());
    // A chain as long as a query may be.
    let chain = vec!["m"; 250].join(" + ");
    let result = engine.explaining().instant(&ctx, &store(), &chain, 0).expect("answered");
    assert!(result.explain.is_some());
}
