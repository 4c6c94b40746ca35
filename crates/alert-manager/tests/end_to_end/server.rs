//! The binary, and Debian's original, as processes; plain HTTP to them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_watchbell-alerts");
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, running; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    pub(crate) fn start(dir: &Path, port: u16) -> Self {
        Self::start_with(dir, port, &["--cluster.listen-address=".to_owned()])
    }

    pub(crate) fn start_with(dir: &Path, port: u16, flags: &[String]) -> Self {
        let config = dir.join("am.yml");
        let mut child = Command::new(BINARY)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.external-url=http://am.example")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().expect("the process can be asked");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(begun.elapsed() < PATIENCE, "the server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, url }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let output = self.try_cli(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn try_cli(&self, words: &[&str]) -> Output {
        Command::new(BINARY).args(words).env("ALERTMANAGER_URL", &self.url).output().expect("the binary runs")
    }
}

/// Debian's Alertmanager, running; none where it is not installed. Killed when dropped.
pub(crate) fn original(dir: &Path, port: u16) -> Option<Server> {
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", dir.join("am.yml").display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--web.external-url=http://am.example", "--cluster.listen-address="])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let server = Server { child: child.ok()?, url: format!("http://127.0.0.1:{port}") };
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the original does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    Some(server)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

pub(crate) fn http_get(url: &str, path: &str) -> String {
    http(url, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

pub(crate) fn http(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("the server listens");
    stream.write_all(request.as_bytes()).expect("a request goes out");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}

/// The body of a GET as JSON.
pub(crate) fn get_json(server: &Server, path: &str) -> serde_json::Value {
    let answer = http_get(&server.url, path);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).expect(path)
}

/// Asks until the answer is as wanted.
pub(crate) fn wait_for(
    server: &Server,
    path: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let answer = get_json(server, path);
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{path}: {answer}");
        thread::sleep(Duration::from_millis(50));
    }
}
