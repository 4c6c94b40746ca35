//! `/api/v1/write` over HTTP: what is taken, what is refused, and what a refusal leaves behind.

use prost::Message;
use wire::prometheus::{Exemplar, Histogram, Label, Sample, TimeSeries, WriteRequest, histogram};

use crate::harness::{Answer, Server, now_ms};

const PATH: &str = "/api/v1/write";
const V1: (&str, &str) = ("Content-Type", "application/x-protobuf");
const SNAPPY: (&str, &str) = ("Content-Encoding", "snappy");

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
    let cases: [(&str, &[(&str, &str)], &[u8], u16); 11] = [
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
