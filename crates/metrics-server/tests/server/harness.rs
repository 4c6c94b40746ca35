//! Processes that end with their test, and the smallest client that can talk to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Prometheus' own server, where it is installed.
pub(crate) const PROMETHEUS: &str = "/usr/bin/prometheus";

/// A process that is killed when the test ends.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
}

/// An answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// Starts the server with a receiver for remote write and waits until it is ready.
    pub(crate) fn start(config: &Path, data: &Path) -> Self {
        Self::start_with(config, data, &["--web.enable-remote-write-receiver"])
    }

    pub(crate) fn start_with(config: &Path, data: &Path, flags: &[&str]) -> Self {
        let server = Self::start_unready(config, data, flags);
        server.wait_for("/-/ready", |status, _| status == 200);
        server
    }

    /// A server that listens and may still be reading its log.
    pub(crate) fn start_unready(config: &Path, data: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_watchbell-metrics"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let mut lines = BufReader::new(stderr).lines();
        let mut seen = Vec::new();
        let address = loop {
            let line = lines.next().and_then(Result::ok);
            assert!(line.is_some(), "no address in the log:\n{}", seen.join("\n"));
            let line = line.unwrap_or_default();
            let found = line.split("address=").nth(1).map(|rest| rest.split(' ').next().unwrap_or_default());
            if let Some(address) = found.filter(|_| line.contains("listening")) {
                break address.trim_matches('"').to_owned();
            }
            seen.push(line);
        };
        // What is not read would fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Kills it at once and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        exchange(&self.address, method, path, headers, body).unwrap_or_default()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send("GET", path, &[], &[]);
        (answer.status, answer.text())
    }

    pub(crate) fn wait_for(&self, path: &str, is_done: impl Fn(u16, &str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.get(path);
            if is_done(status, &body) {
                return body;
            }
            assert!(Instant::now() < end, "{path} answers {status}: {body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn result(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<Value>(&body).expect("JSON")["data"]["result"].clone()
    }

    /// The value of the one sample that a query answers with; `None` where there is none.
    pub(crate) fn value(&self, query: &str, at_ms: i64) -> Option<String> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={query}&time={}", at_ms as f64 / 1000.0);
        self.result(&path)[0]["value"][1].as_str().map(str::to_owned)
    }
}

/// Starts Prometheus itself.
pub(crate) fn prometheus(config: &Path, data: &Path, flags: &[&str]) -> Server {
    // It cannot be told to take any free port, so one that was free just now is used.
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    prometheus_at(&free.to_string(), config, data, flags)
}

pub(crate) fn prometheus_at(address: &str, config: &Path, data: &Path, flags: &[&str]) -> Server {
    let child = Command::new(PROMETHEUS)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address={address}"))
        .args(flags)
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let original = Server { child, address: address.to_owned() };
    original.wait_for("/-/ready", |status, _| status == 200);
    original
}

pub(crate) fn now_ms() -> i64 {
    sys::Clock::now_ms(&sys::SystemClock::new())
}

fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).ok()?;
    // A server that refuses early may stop reading.
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = &answer[split + 4..];
    let bytes = if is_chunked { unchunked(body) } else { body.to_vec() };
    Some(Answer { status, head, bytes })
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&body[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && end + 2 + size <= body.len()) else { break };
        out.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    out
}
