//! Sending on what is stored: to Prometheus itself where it is installed, and to another server of ours.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{BucketSpan, Exemplar, FloatHistogram, Labels, MetricMetadata, MetricType};
use remote_write::{OutgoingSeries, encode_v2};

use crate::harness::{PROMETHEUS, Server, now_ms, prometheus_at};

const SERIES: usize = 20;

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").to_string()
}

/// A server that sends to `receiver`, with its directories.
fn sending(dir: &Path, receiver: &str, more: &str) -> (PathBuf, PathBuf) {
    let (config, data) = (dir.join("sender.yml"), dir.join("sender"));
    let yaml = format!(
        "global: {{external_labels: {{site: north, job: other}}}}\nremote_write:\n- url: http://{receiver}/api/v1/write\n  name: far\n  send_exemplars: true\n  send_native_histograms: true\n  queue_config: {{batch_send_deadline: 50ms, max_samples_per_send: 50, max_backoff: 200ms}}\n  write_relabel_configs:\n  - {{source_labels: [__name__], regex: secret, action: drop}}\n  - {{source_labels: [n], target_label: number}}\n  - {{regex: n, action: labeldrop}}\n{more}"
    );
    std::fs::write(&config, yaml).expect("file");
    (config, data)
}

fn start_sender((config, data): &(PathBuf, PathBuf)) -> Server {
    Server::start_with(
        config,
        data,
        &["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"],
    )
}

fn histogram(count: f64) -> FloatHistogram {
    FloatHistogram {
        schema: 1,
        zero_threshold: 0.001,
        count,
        sum: count * 2.0,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_buckets: vec![1.0, count - 1.0],
        ..FloatHistogram::default()
    }
}

/// Stores one round: a sample of each series, a histogram, an exemplar, and something that is not to be sent.
fn store_round(server: &Server, at: i64, round: f64) {
    let mut all: Vec<OutgoingSeries> = (0..SERIES)
        .map(|number| OutgoingSeries {
            labels: Some(Labels::from_pairs([
                ("__name__", "load"),
                ("job", "t"),
                ("n", &number.to_string()),
            ])),
            samples: vec![(at, round)],
            ..OutgoingSeries::default()
        })
        .collect();
    let named = |name: &str| Some(Labels::from_pairs([("__name__", name)]));
    let exemplar =
        Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: round, timestamp: at };
    let metadata =
        MetricMetadata { kind: MetricType::Gauge, unit: String::new(), help: "Rounds.".to_owned() };
    all.extend([
        OutgoingSeries { labels: named("secret"), samples: vec![(at, round)], ..OutgoingSeries::default() },
        OutgoingSeries {
            labels: named("latency"),
            histograms: vec![(at, Arc::new(histogram(round + 2.0)))],
            ..OutgoingSeries::default()
        },
        OutgoingSeries {
            labels: named("rounds"),
            samples: vec![(at, round)],
            exemplars: vec![exemplar],
            metadata: Some(Arc::new(metadata)),
            ..OutgoingSeries::default()
        },
    ]);
    let body = snap::raw::Encoder::new().compress_vec(&encode_v2(&all)).expect("compressed");
    let kind = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let answer = server.send("POST", "/api/v1/write", &[kind], &body);
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// Waits until the receiver has all rounds of all series, and checks the rest.
fn check_received(receiver: &Server, first: i64, rounds: i64) {
    let last = first + rounds * 1000;
    let query = format!(
        "/api/v1/query?query=count(count_over_time(load%5B{}s%5D)%3D%3D{rounds})&time={}",
        rounds + 60,
        last as f64 / 1e3
    );
    receiver.wait_for(&query, |_, body| body.contains(&format!("\"{SERIES}\"]")));
    let sum = format!("sum(sum_over_time(load[{}s]))", rounds + 60);
    let expected = (rounds * (rounds - 1) / 2) * SERIES as i64;
    assert_eq!(receiver.value(&sum, last), Some(expected.to_string()), "every value as it was stored");
    let labels = "count(load{site=\"north\",job=\"t\",number=~\".+\",n=\"\"})";
    receiver.wait_for("/-/ready", |status, _| status == 200);
    assert_eq!(receiver.value(labels, last), Some(SERIES.to_string()));
    assert_eq!(receiver.value("count(secret)", last), None);
    let count = receiver.value("histogram_count(latency)", last);
    assert_eq!(count, Some((rounds + 1).to_string()), "histograms arrive");
    let exemplars = receiver
        .get(&format!(
            "/api/v1/query_exemplars?query=rounds&start={}&end={}",
            first / 1000 - 9,
            last / 1000 + 9
        ))
        .1;
    assert!(exemplars.contains("abc"), "{exemplars}");
}

#[test]
fn every_sample_reaches_prometheus_through_kills_of_both() {
    if !Path::new(PROMETHEUS).exists() {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let address = free_address();
    let (config, data) = (dir.path().join("receiver.yml"), dir.path().join("receiver"));
    std::fs::write(&config, "global: {}\n").expect("file");
    let flags = ["--web.enable-remote-write-receiver", "--enable-feature=native-histograms,exemplar-storage"];
    let start_receiver = || prometheus_at(&address, &config, &data, &flags);
    let files = sending(dir.path(), &address, "");
    let mut sender = start_sender(&files);
    let mut receiver = Some(start_receiver());
    let (first, rounds) = (now_ms() - 120_000, 100);
    for round in 0..rounds {
        match round {
            20 => receiver.take().expect("running").kill(),
            60 => receiver = Some(start_receiver()),
            40 | 80 => {
                sender.kill();
                sender = start_sender(&files);
            }
            _ => {}
        }
        store_round(&sender, first + round * 1000, round as f64);
    }
    let receiver = receiver.expect("running");
    check_received(&receiver, first, rounds);
    let metrics = sender.get("/metrics").1;
    for name in [
        "prometheus_remote_storage_samples_total{remote_name=\"far\"",
        "prometheus_remote_storage_shards{",
        "prometheus_remote_storage_samples_dropped_total{",
        "prometheus_remote_storage_highest_timestamp_in_seconds",
        "prometheus_remote_storage_queue_highest_sent_timestamp_seconds{",
        "prometheus_wal_watcher_current_segment{consumer=\"far\"}",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    let failed =
        metrics.lines().find(|line| line.starts_with("prometheus_remote_storage_samples_failed_total"));
    assert!(failed.is_none_or(|line| line.ends_with(" 0")), "{failed:?}");
}

#[test]
fn version_2_brings_metadata_and_a_reload_changes_the_entries() {
    let dir = tempfile::tempdir().expect("directory");
    let (config, data) = (dir.path().join("receiver.yml"), dir.path().join("receiver"));
    std::fs::write(&config, "global: {}\n").expect("file");
    let flags = ["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"];
    let receiver = Server::start_with(&config, &data, &flags);
    let v2 = "  protobuf_message: io.prometheus.write.v2.Request\n";
    let (config, data) = sending(dir.path(), &receiver.address, v2);
    let sender = Server::start_with(
        &config,
        &data,
        &[
            "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage",
            "--web.enable-lifecycle",
        ],
    );
    let (first, rounds) = (now_ms() - 60_000, 30);
    (0..rounds).for_each(|round| store_round(&sender, first + round * 1000, round as f64));
    check_received(&receiver, first, rounds);
    receiver.wait_for("/api/v1/metadata?metric=rounds", |_, body| body.contains("Rounds."));

    // Without an entry nothing is sent any more; what comes then is not sent later either.
    std::fs::write(&config, "global: {}\n").expect("file");
    assert_eq!(sender.send("POST", "/-/reload", &[], &[]).status, 200);
    store_round(&sender, first + rounds * 1000, 0.0);
    let (config_again, _) = sending(dir.path(), &receiver.address, v2);
    assert_eq!(config_again, config);
    assert_eq!(sender.send("POST", "/-/reload", &[], &[]).status, 200);
    let at = first + (rounds + 1) * 1000;
    store_round(&sender, at, 1.0);
    let path = format!("/api/v1/query?query=count_over_time(rounds%5B1500ms%5D)&time={}", at as f64 / 1e3);
    receiver.wait_for(&path, |_, body| body.contains(",\"1\"]"));
    assert_eq!(receiver.value("count(secret)", at), None);
}

/// The samples of a series as another Prometheus reads them here.
#[test]
fn prometheus_reads_what_is_stored_here() {
    if !Path::new(PROMETHEUS).exists() {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let (config, data) = (dir.path().join("own.yml"), dir.path().join("own"));
    std::fs::write(&config, "global: {external_labels: {site: north}}\n").expect("file");
    let own = start_sender(&(config, data));
    let (first, rounds) = (now_ms() - 500_000, 400);
    (0..rounds).for_each(|round| store_round(&own, first + round * 1000, round as f64));
    let (config, data) = (dir.path().join("reader.yml"), dir.path().join("reader"));
    let yaml = format!("remote_read: [{{url: 'http://{}/api/v1/read', read_recent: true}}]\n", own.address);
    std::fs::write(&config, yaml).expect("file");
    let reader = prometheus_at(&free_address(), &config, &data, &["--enable-feature=native-histograms"]);
    let last = first + (rounds - 1) * 1000;
    let sum = (rounds * (rounds - 1) / 2 * SERIES as i64).to_string();
    for query in [
        "sum(sum_over_time(load[10m]))",
        "sum(sum_over_time(load{site=\"north\"}[10m]))",
        "sum(sum_over_time(load{n=~\"1|2\"}[10m])) * 10",
    ] {
        assert_eq!(reader.value(query, last).as_deref(), Some(sum.as_str()), "{query}");
    }
    assert_eq!(reader.value("load{site=\"south\"}", last), None);
}

/// The same as a stream of frames, each with its length and checksum.
fn check_frames(server: &Server, first: i64) {
    use prost::Message as _;
    use wire::prometheus::{
        ChunkedReadResponse, LabelMatcher, Query, ReadRequest, chunk, label_matcher, read_request,
    };
    let pattern = LabelMatcher {
        r#type: label_matcher::Type::Re.into(),
        name: "__name__".to_owned(),
        value: "rounds|latency".to_owned(),
    };
    let query = Query {
        start_timestamp_ms: first,
        end_timestamp_ms: first + 9000,
        matchers: vec![pattern],
        hints: None,
    };
    let request = ReadRequest {
        queries: vec![query],
        accepted_response_types: vec![read_request::ResponseType::StreamedXorChunks.into()],
    };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("compressed");
    let answer = server.send("POST", "/api/v1/read", &[], &body);
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
    let (mut rest, mut found) = (answer.bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(rest).expect("length");
        rest = &rest[prost::length_delimiter_len(length)..];
        let (checksum, message) = (&rest[..4], &rest[4..4 + length]);
        assert_eq!(checksum, chunk_encoding::crc32c(message).to_be_bytes());
        for series in ChunkedReadResponse::decode(message).expect("protobuf").chunked_series {
            assert!(series.labels.iter().any(|label| label.name == "site" && label.value == "north"));
            for chunk in &series.chunks {
                let count = u16::from_be_bytes([chunk.data[0], chunk.data[1]]);
                let range = (chunk.min_time_ms - first, chunk.max_time_ms - first);
                found.push((series.labels[0].value.clone(), chunk.r#type(), count, range));
            }
        }
        rest = &rest[4 + length..];
    }
    let name = |name: &str| name.to_owned();
    assert_eq!(
        found,
        [
            (name("latency"), chunk::Encoding::Histogram, 3, (0, 2000)),
            (name("rounds"), chunk::Encoding::Xor, 3, (0, 2000)),
        ]
    );
}

#[test]
fn samples_are_read_in_one_answer_within_their_limit() {
    use prost::Message as _;
    use wire::prometheus::{LabelMatcher, Query, ReadRequest, ReadResponse};
    let dir = tempfile::tempdir().expect("directory");
    let (config, data) = (dir.path().join("own.yml"), dir.path().join("own"));
    std::fs::write(&config, "global: {external_labels: {site: north}}\n").expect("file");
    let flags = ["--web.enable-remote-write-receiver", "--storage.remote.read-sample-limit=50"];
    let server = Server::start_with(&config, &data, &flags);
    let first = now_ms() - 60_000;
    (0..3).for_each(|round| store_round(&server, first + round * 1000, round as f64));
    let ask = |name: &str| {
        let matcher = |name: &str, value: &str| LabelMatcher {
            name: name.to_owned(),
            value: value.to_owned(),
            ..LabelMatcher::default()
        };
        let matchers = vec![matcher("__name__", name), matcher("site", "north")];
        let query =
            Query { start_timestamp_ms: first, end_timestamp_ms: first + 1000, matchers, hints: None };
        let request =
            ReadRequest { queries: vec![query.clone(), query], accepted_response_types: Vec::new() };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("compressed");
        server.send("POST", "/api/v1/read", &[], &body)
    };
    let answer = ask("rounds");
    assert_eq!(
        (answer.status, answer.header("content-encoding")),
        (200, Some("snappy")),
        "{}",
        answer.text()
    );
    let body = snap::raw::Decoder::new().decompress_vec(&answer.bytes).expect("snappy");
    let response = ReadResponse::decode(body.as_slice()).expect("protobuf");
    assert_eq!(response.results.len(), 2, "one result a query");
    let series = &response.results[1].timeseries[0];
    let labels: Vec<(&str, &str)> =
        series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    assert_eq!(labels, [("__name__", "rounds"), ("site", "north")]);
    let samples: Vec<(i64, f64)> =
        series.samples.iter().map(|sample| (sample.timestamp - first, sample.value)).collect();
    assert_eq!(samples, [(0, 0.0), (1000, 1.0)]);
    check_frames(&server, first);
    let refused = ask("load");
    assert!(refused.status == 400 && refused.text().contains("read-sample-limit"), "{}", refused.text());
    assert_eq!(server.send("POST", "/api/v1/read", &[], b"\x01x").status, 400);
    assert_eq!(server.send("POST", "/api/v1/read", &[], &[0xff, 0xff, 0xff, 0x7f, 0]).status, 400, "a bomb");
}
