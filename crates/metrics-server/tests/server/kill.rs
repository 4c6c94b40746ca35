//! The real binary under remote write, killed with SIGKILL at random points, again and again: what it has acknowledged is
//! there after the next start, and nothing is there that was not sent.
//!
//! `KILL_ROUNDS` sets how often it is killed, `SEED` when.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;
use sys::Rng;
use wire::prometheus as proto;

use crate::harness::{PATIENCE, Server};

const WRITERS: usize = 3;
const SERIES: usize = 12;
const DEFAULT_ROUNDS: u64 = 20;
const STEP_MS: i64 = 1000;

/// Sends steps one after another; each is a request with samples for all its series.
struct Writer {
    number: usize,
    /// Steps that were acknowledged: all before this one.
    acknowledged: u64,
    /// Steps that were sent at least once: all before this one.
    sent: u64,
}

impl Writer {
    /// Samples of a series in one step: the second writer's requests are not of the usual form.
    fn samples_per_step(&self) -> u64 {
        if self.number == 1 { 2 } else { 1 }
    }

    fn time(&self, start_ms: i64, nth: u64) -> i64 {
        // All writers go forward at about the same pace: what lies far behind the newest is refused.
        start_ms + nth as i64 * (STEP_MS / self.samples_per_step() as i64)
    }

    fn value(&self, series: usize, nth: u64) -> f64 {
        // Values of 0 are sent in another form.
        if (nth + series as u64).is_multiple_of(5) { 0.0 } else { (nth * 31 + series as u64) as f64 / 4.0 }
    }

    fn body(&self, start_ms: i64) -> Vec<u8> {
        let label = |name: &str, value: String| proto::Label { name: name.to_owned(), value };
        let samples = |series| {
            let first = self.acknowledged * self.samples_per_step();
            (first..first + self.samples_per_step())
                .map(|nth| proto::Sample {
                    value: self.value(series, nth),
                    timestamp: self.time(start_ms, nth),
                })
                .collect()
        };
        let timeseries = (0..SERIES).map(|series| proto::TimeSeries {
            labels: vec![
                label("__name__", "killed".to_owned()),
                label("series", series.to_string()),
                label("writer", self.number.to_string()),
            ],
            samples: samples(series),
            ..Default::default()
        });
        let request = proto::WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() };
        snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("fits")
    }

    /// Sends until the server is gone.
    fn work(&mut self, address: &str, start_ms: i64, acknowledged: &AtomicU64) {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        loop {
            let body = self.body(start_ms);
            let is_sent_again = self.sent > self.acknowledged;
            self.sent = self.sent.max(self.acknowledged + 1);
            match post(&mut stream, &body) {
                // The kill came between storing and answering: older samples of a series are out of order now.
                Some((400, _)) if is_sent_again && self.samples_per_step() > 1 => self.acknowledged += 1,
                Some((204, _)) => {
                    self.acknowledged += 1;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                Some((status, head)) => {
                    // Not ready yet: to be sent again.
                    assert_eq!(status, 503, "{head}");
                    assert!(head.contains("retry-after: "), "{head}");
                    std::thread::yield_now();
                }
                None => return,
            }
        }
    }
}

/// The answer's status and head, in lower case; `None` where the connection has ended.
fn post(stream: &mut TcpStream, body: &[u8]) -> Option<(u16, String)> {
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).ok()?.to_ascii_lowercase();
    let length =
        head.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
    Some((head.split(' ').nth(1)?.parse().ok()?, head))
}

fn check(server: &Server, writers: &[Writer], start_ms: i64, round: u64) {
    let path = format!("/api/v1/query?query=killed%5B10h%5D&time={}", start_ms / 1000 + 9 * 3600);
    let result = server.result(&path);
    let found = result.as_array().expect("a matrix");
    for writer in writers {
        let acknowledged = writer.acknowledged * writer.samples_per_step();
        let sent = writer.sent * writer.samples_per_step();
        let writer_number = writer.number.to_string();
        for series in 0..SERIES {
            let what = format!("round {round}, writer {}, series {series}", writer.number);
            let series_number = series.to_string();
            let wanted = (Some(&*writer_number), Some(&*series_number));
            let is_it = |one: &&serde_json::Value| {
                (one["metric"]["writer"].as_str(), one["metric"]["series"].as_str()) == wanted
            };
            let values =
                found.iter().find(is_it).map_or(&[][..], |one| one["values"].as_array().expect("values"));
            assert!(
                values.len() as u64 >= acknowledged,
                "{what}: {} of {acknowledged} samples",
                values.len()
            );
            assert!(values.len() as u64 <= sent, "{what}: {} samples of {sent} sent", values.len());
            for (nth, sample) in (0..).zip(values) {
                let time = sample[0].as_f64().expect("a time");
                let value: f64 = sample[1].as_str().and_then(|text| text.parse().ok()).expect("a value");
                let expected = (writer.time(start_ms, nth) as f64 / 1000.0, writer.value(series, nth));
                assert_eq!((time, value), expected, "{what}, sample {nth}");
            }
        }
    }
}

#[test]
fn what_is_acknowledged_outlives_kills_at_any_point() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rng = sys::SeededRng::new(number("SEED").unwrap_or(7));
    let dir = tempfile::tempdir().expect("directory");
    let (config, data) = (dir.path().join("prometheus.yml"), dir.path().join("data"));
    std::fs::write(&config, "global: {}\n").expect("file");
    let now_ms = sys::Clock::now_ms(&sys::SystemClock::new());
    let start_ms = now_ms - now_ms.rem_euclid(7_200_000) - 4 * 3_600_000;
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|number| Writer { number, acknowledged: 0, sent: 0 }).collect();
    for round in 0..number("KILL_ROUNDS").unwrap_or(DEFAULT_ROUNDS) {
        // Not yet ready, as a rule: what comes now is to be sent again later.
        let mut server = Server::start_unready(&config, &data, &["--web.enable-remote-write-receiver"]);
        let acknowledged = AtomicU64::new(0);
        let kill_after = 1 + rng.below(150);
        let killed = std::thread::scope(|scope| {
            for writer in &mut writers {
                let (address, acknowledged) = (&server.address, &acknowledged);
                scope.spawn(move || writer.work(address, start_ms, acknowledged));
            }
            let end = std::time::Instant::now() + PATIENCE;
            while acknowledged.load(Ordering::SeqCst) < kill_after && std::time::Instant::now() < end {
                std::thread::yield_now();
            }
            server.child.kill()
        });
        killed.expect("killed");
        server.child.wait().expect("ended");
        assert!(acknowledged.load(Ordering::SeqCst) >= kill_after, "round {round}: nothing is taken");
        drop(server);
        if round % 4 == 3 {
            check(&Server::start(&config, &data), &writers, start_ms, round);
        }
    }
    check(&Server::start(&config, &data), &writers, start_ms, u64::MAX);
}
