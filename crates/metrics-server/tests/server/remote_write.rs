//! `/api/v1/write` over HTTP: what is taken, what is refused, and what a refusal leaves behind.

use prost::Message;
use remote_write::{OutgoingSeries, encode_v2};
use wire::prometheus::{Exemplar, Histogram, Label, Sample, TimeSeries, WriteRequest, histogram};

use crate::harness::{Answer, Server, now_ms};

const PATH: &str = "/api/v1/write";
const V1: (&str, &str) = ("Content-Type", "application/x-protobuf");
const SNAPPY: (&str, &str) = ("Content-Encoding", "snappy");

/// What it is about, headers, body, status.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);

fn started(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("directory");
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {}\n").expect("file");
    let server = Server::start_with(&config, &dir.path().join("data"), flags);
    (dir, server)
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

fn series(name: &str, samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries {
        labels: labels(&[("__name__", name), ("job", "t")]),
        samples: samples
            .iter()
            .map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp })
            .collect(),
        ..TimeSeries::default()
    }
}

fn compressed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("compressed")
}

fn write(server: &Server, timeseries: Vec<TimeSeries>) -> Answer {
    let body = compressed(&WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec());
    server.send("POST", PATH, &[V1, SNAPPY], &body)
}

#[test]
fn headers_and_bodies_are_checked() {
    let (_dir, server) = started(&["--web.enable-remote-write-receiver"]);
    let now = now_ms();
    let good = compressed(
        &WriteRequest { timeseries: vec![series("a", &[(now, 1.0)])], ..Default::default() }.encode_to_vec(),
    );
    // The length that the block format states is what would be allocated.
    let bomb = [0xff, 0xff, 0xff, 0x7f, 0, 0];
    let not_protobuf = compressed(b"\x0a\xff\xff\xff\xff\x0f");
    let large = compressed(&vec![0u8; (32 << 20) + 1]);
    let text = ("Content-Type", "text/plain");
    let unknown = ("Content-Type", "application/x-protobuf;proto=nope.Request");
    let named = ("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest");
    let cases: [Case<'_>; 11] = [
        ("no content type", &[], &good, 204),
        ("no encoding", &[V1], &good, 204),
        ("named", &[named, SNAPPY], &good, 204),
        ("text", &[text, SNAPPY], &good, 415),
        ("unknown message", &[unknown, SNAPPY], &good, 415),
        ("gzip", &[V1, ("Content-Encoding", "gzip")], &good, 415),
        ("not snappy", &[V1, SNAPPY], b"\x05abc", 400),
        ("bomb", &[V1, SNAPPY], &bomb, 400),
        ("too large", &[V1, SNAPPY], &large, 400),
        ("not protobuf", &[V1, SNAPPY], &not_protobuf, 400),
        ("empty", &[V1, SNAPPY], &compressed(b""), 204),
    ];
    for (what, headers, body, status) in cases {
        let answer = server.send("POST", PATH, headers, body);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    let oversized = vec![7u8; (33 << 20) + 1];
    assert_eq!(server.send("POST", PATH, &[V1, SNAPPY], &oversized).status, 400, "a body over the limit");
    assert_eq!(server.send("GET", PATH, &[], &[]).status, 405);
    assert_eq!(server.value("a", now).as_deref(), Some("1"), "the server lives on");

    let (_dir, closed) = started(&[]);
    assert_eq!(closed.send("POST", PATH, &[V1, SNAPPY], &good).status, 404);
    let only_v2 = "--web.remote-write-receiver.accepted-protobuf-messages=io.prometheus.write.v2.Request";
    let (_dir, picky) = started(&["--web.enable-remote-write-receiver", only_v2]);
    assert_eq!(picky.send("POST", PATH, &[V1, SNAPPY], &good).status, 415);
}

#[test]
fn a_refused_request_leaves_nothing_behind() {
    let (_dir, server) = started(&["--web.enable-remote-write-receiver"]);
    let now = now_ms();
    assert_eq!(write(&server, vec![series("old", &[(now - 1000, 1.0), (now, 2.0)])]).status, 204);
    let broken = Histogram {
        count: Some(histogram::Count::CountInt(3)),
        timestamp: now,
        positive_spans: vec![wire::prometheus::BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1],
        ..Histogram::default()
    };
    let cases: [(&str, TimeSeries); 5] = [
        ("out of order", series("old", &[(now - 500, 9.0)])),
        ("duplicate", series("old", &[(now, 3.0)])),
        ("out of bounds", series("old", &[(now - 7_200_000, 3.0)])),
        ("future", series("old", &[(now + 660_000, 3.0)])),
        ("histogram", TimeSeries { histograms: vec![broken], ..series("hist", &[]) }),
    ];
    for (what, bad) in cases {
        let name = format!("beside_{}", what.replace(' ', "_"));
        let answer = write(&server, vec![series(&name, &[(now, 1.0)]), bad]);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(server.value(&name, now), None, "{what}: nothing of the request is stored");
    }
    assert_eq!(write(&server, vec![series("old", &[(now, 2.0)])]).status, 204, "the same sample again");
    assert_eq!(server.value("old", now).as_deref(), Some("2"));

    let nameless = TimeSeries { labels: labels(&[("job", "t")]), ..series("x", &[(now, 1.0)]) };
    let twice = TimeSeries {
        labels: labels(&[("__name__", "twice"), ("a", "1"), ("a", "2")]),
        ..series("x", &[(now, 1.0)])
    };
    let answer = write(&server, vec![nameless, twice, series("kept", &[(now, 5.0)])]);
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(server.value("kept", now).as_deref(), Some("5"));
    let metrics = server.get("/metrics").1;
    assert!(
        metrics.contains("prometheus_api_remote_write_invalid_labels_samples_total 2"),
        "both are counted"
    );
}

#[test]
fn histograms_and_exemplars_are_stored() {
    let (_dir, server) =
        started(&["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"]);
    let now = now_ms();
    let histogram = Histogram {
        count: Some(histogram::Count::CountInt(3)),
        sum: 4.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(1)),
        positive_spans: vec![wire::prometheus::BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, 0],
        timestamp: now,
        ..Histogram::default()
    };
    let exemplar = Exemplar { labels: labels(&[("trace_id", "abc")]), value: 1.5, timestamp: now };
    let with_all = TimeSeries { histograms: vec![histogram], ..series("latency", &[]) };
    let counter = TimeSeries { exemplars: vec![exemplar], ..series("hits_total", &[(now, 1.0)]) };
    let answer = write(&server, vec![with_all, counter]);
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(server.value("histogram_count(latency)", now).as_deref(), Some("3"));
    assert_eq!(server.value("histogram_sum(latency)", now).as_deref(), Some("4.5"));
    let found =
        server.get(&format!("/api/v1/query_exemplars?query=hits_total&start=0&end={}", now / 1000 + 1)).1;
    assert!(found.contains("\"trace_id\":\"abc\""), "{found}");
}

const V2: (&str, &str) = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

fn write_v2(server: &Server, message: &[u8]) -> (u16, [Option<u64>; 3]) {
    let answer = server.send("POST", PATH, &[V2, SNAPPY], &compressed(message));
    let written = ["Samples", "Histograms", "Exemplars"].map(|kind| {
        answer
            .header(&format!("X-Prometheus-Remote-Write-{kind}-Written"))
            .and_then(|count| count.parse().ok())
    });
    (answer.status, written)
}

fn outgoing(name: &str, samples: &[(i64, f64)]) -> OutgoingSeries {
    OutgoingSeries {
        labels: Some(model::Labels::from_pairs([("__name__", name), ("job", "t")])),
        samples: samples.to_vec(),
        ..OutgoingSeries::default()
    }
}

#[test]
fn requests_of_2_0_say_what_was_written() {
    let (_dir, server) =
        started(&["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"]);
    let now = now_ms();
    let histogram = model::FloatHistogram {
        schema: 9,
        zero_threshold: 0.001,
        count: 3.0,
        sum: 2.0,
        positive_spans: vec![model::BucketSpan { offset: 0, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..model::FloatHistogram::default()
    };
    let exemplar = model::Exemplar {
        labels: model::Labels::from_pairs([("trace_id", "abc")]),
        value: 1.0,
        timestamp: now,
    };
    let metadata = model::MetricMetadata {
        kind: model::MetricType::Counter,
        unit: String::new(),
        help: "Hits of all kinds.".to_owned(),
    };
    let all = [
        OutgoingSeries {
            exemplars: vec![exemplar],
            metadata: Some(std::sync::Arc::new(metadata)),
            ..outgoing("hits_total", &[(now - 1000, 1.0), (now, 2.0)])
        },
        OutgoingSeries {
            histograms: vec![(now, std::sync::Arc::new(histogram))],
            ..outgoing("latency", &[])
        },
    ];
    assert_eq!(write_v2(&server, &encode_v2(&all)), (204, [Some(2), Some(1), Some(1)]));
    assert_eq!(server.value("sum_over_time(hits_total[1m])", now).as_deref(), Some("3"));
    assert_eq!(
        server.value("histogram_count(latency)", now).as_deref(),
        Some("3"),
        "a finer schema is reduced"
    );
    assert!(server.get("/api/v1/metadata?metric=hits_total").1.contains("Hits of all kinds."));

    // What is good is kept beside what is not.
    let nameless = OutgoingSeries {
        labels: Some(model::Labels::from_pairs([("job", "t")])),
        ..outgoing("x", &[(now, 1.0)])
    };
    let mixed = [
        outgoing("kept", &[(now, 5.0)]),
        nameless,
        outgoing("empty", &[]),
        outgoing("hits_total", &[(now - 500, 9.0), (now + 1, 3.0)]),
    ];
    assert_eq!(write_v2(&server, &encode_v2(&mixed)), (400, [Some(2), Some(0), Some(0)]));
    assert_eq!(server.value("kept", now).as_deref(), Some("5"));
    assert_eq!(server.value("hits_total", now + 1).as_deref(), Some("3"));
    let answer = server.send("POST", PATH, &[V2, SNAPPY], &compressed(&encode_v2(&mixed)));
    let text = answer.text();
    for reason in ["no metric name", "without samples", "out of order"] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
    assert_eq!(
        write_v2(&server, b"\x22\x01x"),
        (400, [Some(0), Some(0), Some(0)]),
        "a table without its empty text"
    );
    assert_eq!(write_v2(&server, b""), (204, [Some(0), Some(0), Some(0)]));
}

#[test]
fn starts_are_stored_where_that_is_switched_on() {
    let features = "--enable-feature=created-timestamp-zero-ingestion";
    let (_dir, server) = started(&["--web.enable-remote-write-receiver", features]);
    let now = now_ms();
    let sample = |value: f64, at: i64, start: i64| {
        let mut sample = vec![9];
        sample.extend_from_slice(&value.to_le_bytes());
        for (field, number) in [(2u8, at), (3, start)] {
            sample.push(field << 3);
            let mut number = number as u64;
            while number >= 0x80 {
                sample.push(number as u8 | 0x80);
                number >>= 7;
            }
            sample.push(number as u8);
        }
        sample
    };
    let mut message = b"\x22\x00\x22\x08__name__\x22\x01c".to_vec();
    let sample = sample(7.0, now, now - 5000);
    let mut series = vec![0x0a, 2, 1, 2, 0x12, sample.len() as u8];
    series.extend_from_slice(&sample);
    message.extend_from_slice(&[0x2a, series.len() as u8]);
    message.extend_from_slice(&series);
    assert_eq!(write_v2(&server, &message), (204, [Some(1), Some(0), Some(0)]));
    assert_eq!(server.value("c", now - 4000).as_deref(), Some("0"));
    assert_eq!(server.value("c", now).as_deref(), Some("7"));
}
