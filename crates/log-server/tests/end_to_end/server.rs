//! A server in its own process, and requests to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http_client::{ClientOptions, HostAliases, HttpClient, HttpClientConfig, Method, Request, Url, header};
use serde_json::Value;
use sys::{Clock, SystemClock};

/// How long anything may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    dir: PathBuf,
    child: Child,
    base: String,
    client: HttpClient,
}

impl Server {
    /// Starts the binary with a configuration and waits until it is ready.
    pub(crate) async fn start(dir: &Path, config: &str) -> Self {
        std::fs::write(dir.join("loki.yaml"), config).expect("written");
        let (child, base) = spawn(dir);
        let options =
            ClientOptions { user_agent: "test".to_owned(), gzip: false, aliases: HostAliases::default() };
        let client = HttpClient::new(HttpClientConfig::default(), options).expect("a client");
        let server = Self { dir: dir.to_owned(), child, base, client };
        server.await_ready().await;
        server
    }

    /// Ends the process as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Starts it again on the same data.
    pub(crate) async fn restart(&mut self) {
        let (child, base) = spawn(&self.dir);
        self.child = child;
        self.base = base;
        self.await_ready().await;
    }

    async fn await_ready(&self) {
        while self.get("/ready", &[]).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a subcommand prints, asked of this server.
    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        self.run(&[arguments, &["--addr", &self.base]].concat()).await
    }

    /// What a subcommand prints.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell-logs"));
        command.args(arguments);
        let output =
            tokio::task::spawn_blocking(move || command.output()).await.expect("runs").expect("starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn base(&self) -> String {
        self.base.clone()
    }

    pub(crate) fn now_ns(&self) -> i64 {
        SystemClock::new().now_ns()
    }

    pub(crate) fn url(&self, path: &str, params: &[(&str, &str)]) -> String {
        let mut url = Url::parse(&format!("{}{path}", self.base)).expect("a URL");
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        url.into()
    }

    pub(crate) async fn get(&self, path: &str, params: &[(&str, &str)]) -> (u16, String) {
        self.get_with(path, params, &[]).await
    }

    pub(crate) async fn get_with(
        &self,
        path: &str,
        params: &[(&str, &str)],
        headers: &[(&'static str, &str)],
    ) -> (u16, String) {
        self.send(Method::GET, &self.url(path, params), "", None, headers).await
    }

    pub(crate) async fn get_json(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let (status, body) = self.get(path, params).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Asks again until the answer is as wanted.
    pub(crate) async fn await_json(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let asked = async {
            loop {
                let answer = self.get_json(path, &[]).await;
                if is_wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, asked).await.expect("in time")
    }

    pub(crate) async fn delete(&self, path: &str, params: &[(&str, &str)]) -> (u16, String) {
        self.send(Method::DELETE, &self.url(path, params), "", None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> (u16, String) {
        self.post_with(path, kind, body, &[]).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        kind: &str,
        body: Vec<u8>,
        headers: &[(&'static str, &str)],
    ) -> (u16, String) {
        self.send(Method::POST, &self.url(path, &[]), kind, Some(body), headers).await
    }

    /// The status of a push's answer; `None` where there was none.
    pub(crate) async fn try_push(client: &HttpClient, base: &str, body: String) -> Option<u16> {
        let url = Url::parse(&format!("{base}/loki/api/v1/push")).expect("a URL");
        let mut request = Request::get(url, TIMEOUT);
        request.method = Method::POST;
        request.body = Some(body.into());
        let kind = header::HeaderValue::from_static("application/json");
        request.headers.insert(header::CONTENT_TYPE, kind);
        let response = client.send(request).await.ok()?;
        Some(response.status().as_u16())
    }

    pub(crate) fn client(&self) -> HttpClient {
        self.client.clone()
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        kind: &str,
        body: Option<Vec<u8>>,
        headers: &[(&'static str, &str)],
    ) -> (u16, String) {
        let mut request = Request::get(Url::parse(url).expect("a URL"), TIMEOUT);
        request.method = method;
        request.body = body.map(Into::into);
        let value = |text: &str| header::HeaderValue::from_str(text).expect("a header");
        if !kind.is_empty() {
            request.headers.insert(header::CONTENT_TYPE, value(kind));
        }
        for (name, text) in headers {
            request
                .headers
                .insert(header::HeaderName::from_bytes(name.as_bytes()).expect("a name"), value(text));
        }
        let mut response = self.client.send(request).await.expect("an answer");
        let status = response.status().as_u16();
        let mut body = Vec::new();
        response.read_body(64 << 20, &mut body).await.expect("a body");
        (status, String::from_utf8(body).expect("text"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts the process and reads from its log where it listens.
fn spawn(dir: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchbell-logs"))
        .arg(format!("-config.file={}", dir.join("loki.yaml").display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .args(["-server.http-listen-port=0", "-server.http-listen-address=127.0.0.1"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut seen = String::new();
    let base = loop {
        let mut line = String::new();
        let read = log.read_line(&mut line).expect("a log line");
        seen.push_str(&line);
        assert!(read > 0, "the server ended:\n{seen}");
        if line.contains("msg=listening")
            && let Some(address) = line.split("address=").nth(1)
        {
            break format!("http://{}", address.trim());
        }
    };
    // What it logs later has to go somewhere.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()).ok());
    (child, base)
}
