//! The same samples by remote write into this server and into Debian's Prometheus 2.42, the same queries to both.
//!
//! `DIFFERENTIAL_QUERIES` sets how many queries are made, `DIFFERENTIAL_SEED` from where; a difference is shrunk to the
//! smallest expression that shows it. What 2.42 does otherwise than 3.x, and how it is kept out:
//!
//! | changed after 2.42 | kept out by |
//! |---|---|
//! | ranges, look-back and subqueries leave their left end out | no sample and no step of a subquery lies on an edge |
//! | a counter's zero point limits extrapolation after the half-interval rule, not before | counters far from 0, or without gaps in any window |
//! | sums and means carry what rounding loses | values are small multiples of 1/8: sums are exact |
//! | variance, regression: other order of operations | compared to 1e-9 of the data's magnitude |
//! | `stddev` and `stdvar` of infinities are NaN | NaN is let pass there |
//! | new functions and modifiers; `atan2` drops the metric's name | not generated |
//! | texts of errors, warnings, infos | whether a query fails is compared, not how |
//! | pairs that a comparison drops count as matches, too | our "multiple matches for labels" is let pass |
//! | `predict_linear` moved the window of a range with `@` | not generated |
//! | `topk` and `bottomk` among equal values | such queries are compared by their values, if those are not rough |

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::generate::{Query, Random, vector};
use crate::harness::{PATIENCE, PROMETHEUS, Server, prometheus};

const START_MS: i64 = 1_700_000_000_000;
const INTERVAL_MS: i64 = 15_000;
/// Less than what makes either server cut a block.
const TICKS: i64 = 470;
const TICKS_PER_REQUEST: i64 = 40;
const QUERIES: u64 = 300;

struct Series {
    labels: Vec<(&'static str, String)>,
    samples: Vec<(i64, f64)>,
}

#[test]
fn prometheus_answers_the_same() {
    if !Path::new(PROMETHEUS).exists() {
        println!("skipped: {PROMETHEUS} is not installed, so there is nothing to compare with");
        return;
    }
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (count, seed) = (number("DIFFERENTIAL_QUERIES", QUERIES), number("DIFFERENTIAL_SEED", 1));
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {evaluation_interval: 1m}\n").expect("written");
    let ours = Server::start(&config, &dir.path().join("ours"));
    let flags = ["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"];
    let theirs = prometheus(&config, &dir.path().join("theirs"), &flags);
    let series = series();
    for first in (0..TICKS).step_by(TICKS_PER_REQUEST as usize) {
        let ticks = (START_MS + first * INTERVAL_MS)..(START_MS + (first + TICKS_PER_REQUEST) * INTERVAL_MS);
        let body = snappy(&write_request(&series, &ticks));
        for server in [&ours, &theirs] {
            let (status, text) = post(&server.address, "/api/v1/write", &body);
            assert!(matches!(status, 200 | 204), "remote write: {status} {text}");
        }
    }
    let mut differences = Vec::new();
    for number in 0..count {
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let depth = 1 + random.below(3) as u32;
        let query = vector(&mut random, depth);
        let Some(difference) = compare(&ours, &theirs, &query.text) else { continue };
        let (query, difference) = shrunk(&ours, &theirs, query, difference);
        differences.push(format!("{}\n    {difference}", query.text));
    }
    let found = differences.len();
    assert!(found == 0, "{found} of {count} queries from seed {seed} differ:\n{}", differences.join("\n"));
}

/// Counters with resets, gauges, an info metric and a classic histogram; gaps, series that begin late and end early.
fn series() -> Vec<Series> {
    let mut random = Random(7);
    let mut all = Vec::new();
    for instance in ["a", "b", "c"] {
        for job in ["x", "y"] {
            let labels = |name: &str| {
                vec![
                    ("__name__", name.to_owned()),
                    ("instance", instance.to_owned()),
                    ("job", job.to_owned()),
                ]
            };
            let offset = 137 + 1000 * random.below(14) as i64;
            let time = |tick: i64| START_MS + tick * INTERVAL_MS + offset;
            let (mut busy, mut fresh) = (10_000.0 + random.below(1000) as f64, 0.0);
            let mut samples = [Vec::new(), Vec::new(), Vec::new()];
            for tick in 0..TICKS {
                busy += random.below(33) as f64 / 8.0;
                fresh += random.below(33) as f64 / 8.0;
                if random.below(100) == 0 {
                    busy -= 4000.0 * f64::from(u8::from(busy > 9000.0));
                    fresh = random.below(3) as f64;
                }
                let is_gap = random.below(25) == 0 || (instance == "b" && (100..140).contains(&tick));
                let has_ended = instance == "c" && tick > 400;
                if !is_gap && !has_ended {
                    samples[0].push((time(tick), busy));
                    samples[2].push((time(tick), random.below(800) as f64 / 8.0 - 30.0));
                }
                samples[1].push((time(tick), fresh));
            }
            let names = ["busy_total", "fresh_total", "level"];
            all.extend(
                samples
                    .into_iter()
                    .zip(names)
                    .map(|(samples, name)| Series { labels: labels(name), samples }),
            );
        }
        let time = |tick: i64| START_MS + tick * INTERVAL_MS + 3_137;
        let mut buckets = [0.0; 5];
        let mut samples: Vec<Vec<(i64, f64)>> = vec![Vec::new(); buckets.len()];
        for tick in 0..TICKS {
            let mut sum = 0.0;
            for (bucket, samples) in buckets.iter_mut().zip(&mut samples) {
                sum += random.below(4) as f64;
                *bucket += sum;
                samples.push((time(tick), *bucket));
            }
        }
        let name = |name: &str| vec![("__name__", name.to_owned()), ("instance", instance.to_owned())];
        for (le, samples) in ["0.1", "0.5", "1", "5", "+Inf"].iter().zip(samples) {
            let mut labels = name("took_bucket");
            labels.push(("le", (*le).to_owned()));
            all.push(Series { labels, samples });
        }
        let mut labels = name("info");
        labels.push(("version", format!("v{}", instance.len() + usize::from(instance == "b"))));
        all.push(Series { labels, samples: (0..TICKS).map(|tick| (time(tick), 1.0)).collect() });
    }
    all
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field with a length.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A remote-write 1.0 message with the samples of this time.
fn write_request(series: &[Series], ticks: &std::ops::Range<i64>) -> Vec<u8> {
    let mut message = Vec::new();
    for one in series {
        let mut text = Vec::new();
        for (name, value) in &one.labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut text, 1, &label);
        }
        for (time, value) in one.samples.iter().filter(|sample| ticks.contains(&sample.0)) {
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, *time as u64);
            field(&mut text, 2, &sample);
        }
        field(&mut message, 1, &text);
    }
    message
}

/// Snappy's block format without compression.
fn snappy(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, data.len() as u64);
    for literal in data.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend_from_slice(&((literal.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(literal);
    }
    out
}

fn post(address: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: snappy\r\n\
         Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// What a server says to a range query and to an instant query.
fn answers(server: &Server, query: &str) -> [Value; 2] {
    let query = escaped(query);
    let end = Instant::now() + PATIENCE;
    [
        format!("/api/v1/query_range?query={query}&start=1700004000.007&end=1700006800.007&step=61"),
        format!("/api/v1/query?query={query}&time=1700005000.007"),
    ]
    .map(|path| {
        loop {
            let answer = server.send("GET", &path, &[], &[]);
            if answer.status != 0 {
                return answer.json();
            }
            assert!(Instant::now() < end, "{path} is not answered");
            std::thread::sleep(Duration::from_millis(50));
        }
    })
}

/// The first difference between the answers to a query.
fn compare(ours: &Server, theirs: &Server, query: &str) -> Option<String> {
    let pairs = answers(ours, query).into_iter().zip(answers(theirs, query));
    pairs.into_iter().zip(["range", "instant"]).find_map(|((ours, theirs), kind)| {
        difference(query, &ours, &theirs).map(|difference| format!("{kind}: {difference}"))
    })
}

/// The smallest part of a query that still differs.
fn shrunk(ours: &Server, theirs: &Server, query: Query, difference: String) -> (Query, String) {
    for part in &query.parts {
        if let Some(difference) = compare(ours, theirs, &part.text) {
            return shrunk(ours, theirs, part.clone(), difference);
        }
    }
    (query, difference)
}

fn difference(query: &str, ours: &Value, theirs: &Value) -> Option<String> {
    let status = |answer: &Value| answer["status"] == "success";
    let is_ambiguous =
        ours["error"].as_str().is_some_and(|error| error.starts_with("multiple matches for labels"));
    if is_ambiguous && status(theirs) {
        return None;
    }
    if status(ours) != status(theirs) {
        return Some(format!("we say {}, Prometheus {}", shown(ours), shown(theirs)));
    }
    if !status(ours) {
        return None;
    }
    let (ours, theirs) = (points(&ours["data"]["result"]), points(&theirs["data"]["result"]));
    let is_rough = ["std", "deriv", "predict_linear"].iter().any(|name| query.contains(name));
    if ["topk", "bottomk"].iter().any(|name| query.contains(name)) {
        if is_rough {
            return None;
        }
        // Of equal values either may keep another: then at least as many of the same values are there.
        let values = |points: &Points| -> Vec<(i64, String)> {
            let mut values: Vec<_> =
                points.values().flatten().map(|(time, value)| (*time, format!("{value:.9e}"))).collect();
            values.sort();
            values
        };
        return (values(&ours) != values(&theirs)).then(|| "other values".to_owned());
    }
    let only = |one: &Points, other: &Points| one.keys().find(|labels| !other.contains_key(*labels)).cloned();
    if let Some(labels) = only(&ours, &theirs) {
        return Some(format!("only we have {labels}"));
    }
    if let Some(labels) = only(&theirs, &ours) {
        return Some(format!("only Prometheus has {labels}"));
    }
    let slack = if is_rough { 1e-9 } else { 0.0 };
    ours.iter().find_map(|(labels, points)| {
        let others = &theirs[labels];
        let times = |points: &[(i64, f64)]| points.iter().map(|point| point.0).collect::<Vec<_>>();
        if times(points) != times(others) {
            return Some(format!("{labels}: {} points, Prometheus {}", points.len(), others.len()));
        }
        let passes = |one: f64, other: f64| slack > 0.0 && (one.is_nan() || other.is_nan());
        let apart = points
            .iter()
            .zip(others)
            .find(|(one, other)| !is_close(one.1, other.1, slack) && !passes(one.1, other.1))?;
        Some(format!("{labels} at {}: {:?}, Prometheus {:?}", apart.0.0, apart.0.1, apart.1.1))
    })
}

fn is_close(one: f64, other: f64, slack: f64) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    if !one.is_finite() || !other.is_finite() {
        return false;
    }
    let magnitude = one.abs().max(other.abs());
    (one - other).abs() <= 1e-12 * magnitude || (one - other).abs() <= slack * magnitude.max(1.0)
}

type Points = BTreeMap<String, Vec<(i64, f64)>>;

fn points(result: &Value) -> Points {
    let point = |point: &Value| {
        let time = (point[0].as_f64().unwrap_or(f64::NAN) * 1000.0).round() as i64;
        let value = point[1].as_str().unwrap_or_default();
        (time, value.parse().expect("a number"))
    };
    let rows = result.as_array().map_or(&[][..], Vec::as_slice);
    let rows = rows.iter().filter(|row| row.is_object()).map(|row| {
        let labels: BTreeMap<String, String> = serde_json::from_value(row["metric"].clone()).expect("labels");
        let points = match &row["values"] {
            Value::Array(values) => values.iter().map(point).collect(),
            _ => vec![point(&row["value"])],
        };
        (format!("{labels:?}"), points)
    });
    rows.collect()
}

fn shown(answer: &Value) -> String {
    match answer["error"].as_str() {
        Some(error) => format!("\"{error}\""),
        None => "a result".to_owned(),
    }
}
