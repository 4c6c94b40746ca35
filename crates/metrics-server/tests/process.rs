//! The real binary: scrape, query, kill, start again; the same answers before and after, and the same as Prometheus' own
//! where that is installed.

#[path = "process/differential.rs"]
mod differential;
#[path = "process/generate.rs"]
mod generate;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const PROMETHEUS: &str = "/usr/bin/prometheus";

/// A process that is killed when the test ends.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    fn start(config: &Path, data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_watchbell-metrics"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args(["--web.listen-address=127.0.0.1:0", "--web.enable-remote-write-receiver"])
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
        let server = Self { child, address };
        server.wait_for("/-/ready", |status, _| status == 200);
        server
    }

    fn get(&self, path: &str) -> (u16, String) {
        request(&self.address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
            .unwrap_or((0, String::new()))
    }

    fn wait_for(&self, path: &str, is_done: impl Fn(u16, &str) -> bool) -> String {
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

    fn result(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<Value>(&body).expect("JSON")["data"]["result"].clone()
    }
}

fn request(address: &str, text: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        unchunked(body)
    } else {
        body.to_owned()
    };
    Some((status, body))
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    out
}

/// An exporter whose counter grows with each scrape.
fn exporter() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let scrapes = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buf = [0; 8192];
            let Ok(_) = stream.read(&mut buf) else { continue };
            let count = scrapes.fetch_add(1, Ordering::SeqCst) + 1;
            let body = format!(
                "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{{path=\"/a\"}} {count}\nhits_total{{path=\"/b\\\"c\"}} {}\n# TYPE temperature gauge\ntemperature 20.5\n",
                count * 3
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
            write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok();
        }
    });
    address
}

fn now_seconds() -> i64 {
    let now = sys::Clock::now_ms(&sys::SystemClock::new());
    now / 1000
}

#[test]
fn samples_survive_a_kill_and_answers_are_prometheus_own() {
    let dir = tempfile::tempdir().expect("directory");
    let (config, data) = (dir.path().join("prometheus.yml"), dir.path().join("data"));
    let target = exporter();
    let rules = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - record: hits:sum\n    expr: sum(hits_total)\n  - alert: Warm\n    expr: temperature > 20\n    labels: {severity: page}\n    annotations: {summary: 'it is {{ $value }} degrees'}\n";
    std::fs::write(dir.path().join("my.rules"), rules).expect("file");
    let yaml = format!(
        "global: {{scrape_interval: 200ms, evaluation_interval: 1s}}\nrule_files: [my.rules]\nscrape_configs:\n- job_name: test\n  static_configs: [{{targets: ['{target}'], labels: {{site: x}}}}]\n"
    );
    std::fs::write(&config, yaml).expect("file");

    let mut server = Server::start(&config, &data);
    let has_samples = |_: u16, body: &str| body.contains("\"hits_total\"") && !body.contains(",\"1\"]");
    server.wait_for("/api/v1/query?query=hits_total%7Bpath%3D%22%2Fa%22%7D%3E5", has_samples);
    server.wait_for("/api/v1/query?query=hits:sum", |_, body| body.contains("hits:sum"));
    server
        .wait_for("/api/v1/alerts", |_, body| body.contains("it is 20.5 degrees") && body.contains("firing"));
    let targets = server.get("/api/v1/targets").1;
    assert!(targets.contains("\"health\":\"up\"") && targets.contains("\"site\":\"x\""), "{targets}");
    assert!(server.get("/api/v1/metadata").1.contains("\"help\":\"Hits.\""));
    assert_eq!(
        server.get("/api/v1/label/path/values").1,
        "{\"status\":\"success\",\"data\":[\"/a\",\"/b\\\"c\"]}"
    );
    for (path, status) in [
        ("/api/v1/query?query=up%7B", 400),
        ("/api/v1/query_range?query=up&start=0&end=100&step=0", 400),
        ("/api/v1/query?query=up&timeout=x", 400),
        ("/api/v1/read", 501),
        ("/graph", 501),
        ("/nowhere", 404),
        ("/rules/test/test", 404),
        ("/-/reload", 405),
        ("/federate?match[]=hits_total", 200),
        ("/api/v1/status/tsdb", 200),
        ("/metrics", 200),
    ] {
        assert_eq!(server.get(path).0, status, "{path}");
    }

    assert_eq!(grpc_parts(&server.address), ["header 1", "series 1", "trailer"]);

    let end = now_seconds();
    let range = format!("/api/v1/query_range?query=hits_total&start={}&end={end}&step=1", end - 60);
    let before = server.result(&range);
    assert!(before.as_array().is_some_and(|series| series.len() == 2), "{before}");
    server.child.kill().expect("killed");
    server.child.wait().expect("ended");
    drop(server);

    let server = Server::start(&config, &data);
    assert_eq!(server.result(&range), before, "what was answered before the kill");
    drop(server);
    compare_with_prometheus(dir.path(), &data, end, &before);
}

/// The parts of an instant query's answer over gRPC, on the same port.
fn grpc_parts(address: &str) -> Vec<String> {
    use wire::metrics::query_response::Part;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let url = format!("http://{address}");
        let mut client =
            wire::metrics::metrics_query_client::MetricsQueryClient::connect(url).await.expect("connected");
        let time_ms = now_seconds() * 1000;
        let request =
            wire::metrics::InstantRequest { query: "temperature".to_owned(), time_ms, ..Default::default() };
        let mut answer = client.instant(request).await.expect("answered").into_inner();
        let mut parts = Vec::new();
        while let Some(message) = answer.message().await.expect("message") {
            parts.push(match message.part {
                Some(Part::Header(header)) => format!("header {}", header.result_type),
                Some(Part::Series(batch)) => format!("series {}", batch.series.len()),
                Some(Part::Trailer(_)) => "trailer".to_owned(),
                other => format!("{other:?}"),
            });
        }
        parts
    })
}

/// Opens the directory with Prometheus itself, if it is installed, and asks the same.
fn compare_with_prometheus(dir: &Path, data: &Path, end: i64, expected: &Value) {
    if !Path::new(PROMETHEUS).exists() {
        return;
    }
    let config = dir.join("empty.yml");
    std::fs::write(&config, "global: {}\n").expect("file");
    // It cannot be told to take any free port, so one that was free just now is used.
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    let child = Command::new(PROMETHEUS)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address={free}"))
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let original = Server { child, address: free.to_string() };
    original.wait_for("/-/ready", |status, _| status == 200);
    let range = format!("/api/v1/query_range?query=hits_total&start={}&end={end}&step=1", end - 60);
    assert_eq!(&original.result(&range), expected, "what Prometheus reads from the same directory");
}
