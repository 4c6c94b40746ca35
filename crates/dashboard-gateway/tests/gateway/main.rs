//! The gateway in front of servers that answer known things: over gRPC, over HTTP and over websockets.

mod servers;

use std::time::Duration;

use config::Secret;
use dashboard_gateway::{DashboardGateway, Options};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use http_client::{ClientOptions, HttpClient, HttpClientConfig, Method, Request, Url};
use serde_json::{Value, json};
use service::App;
use telemetry::Registry;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use servers::Servers;

const PASSWORD: &str = "correct horse";

struct Setup {
    gateway: DashboardGateway,
    servers: Servers,
    http: HttpClient,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

async fn start(speaks_grpc: bool) -> Setup {
    let dir = tempfile::tempdir().expect("a directory");
    let servers = Servers::start(speaks_grpc).await;
    let boards = dir.path().join("boards");
    std::fs::create_dir(&boards).expect("a directory");
    std::fs::write(boards.join("a.json"), r#"{"uid": "a", "title": "From a file"}"#).expect("a file");
    let options = Options {
        listen_address: "127.0.0.1:0".to_owned(),
        external_url: Some(Url::parse("https://example.test/mon").expect("a URL")),
        metrics_url: servers.metrics_url(),
        logs_url: servers.logs_url(),
        alerts_url: Url::parse("http://127.0.0.1:1").expect("a URL"),
        agent_urls: Vec::new(),
        dashboard_dirs: vec![boards],
        admin_password: Some(Secret::new(PASSWORD)),
        ..Options::local(&dir.path().join("data"))
    };
    let gateway = DashboardGateway::new(options, &Registry::new()).await.expect("it starts");
    gateway.start().await.expect("it starts");
    let http = HttpClient::new(HttpClientConfig::default(), ClientOptions::default()).expect("a client");
    Setup { gateway, servers, http, _dir: dir }
}

impl Setup {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let url = Url::parse(&format!("http://{}{path}", self.gateway.address())).expect("a URL");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.insert(name, value.parse().expect("a value"));
        }
        let request = Request {
            method,
            url,
            headers: map,
            body: body.map(Into::into),
            timeout: Duration::from_secs(20),
        };
        let mut response = self.http.send(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let mut text = Vec::new();
        response.read_body(1 << 20, &mut text).await.expect("a body");
        Answer { status, headers, text: String::from_utf8_lossy(&text).into_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        // admin:correct horse
        self.send(Method::GET, path, &[("authorization", "Basic YWRtaW46Y29ycmVjdCBob3JzZQ==")], None).await
    }

    async fn login(&self, password: &str) -> Answer {
        let body = json!({ "user": "admin", "password": password }).to_string();
        self.send(Method::POST, "/api/login", &[("content-type", "application/json")], Some(body)).await
    }
}

#[tokio::test]
async fn a_session_begins_changes_things_and_ends() {
    let setup = start(true).await;
    assert_eq!(setup.login("wrong").await.status, 401);
    let login = setup.login(PASSWORD).await;
    let cookie = login.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("; Path=/mon/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    assert_eq!(login.json()["user"], "admin");
    let cookie = cookie.split(';').next().unwrap();
    let session = setup.send(Method::GET, "/api/session", &[("cookie", cookie)], None).await;
    assert_eq!((session.status.as_u16(), session.json()["initial_password"].clone()), (200, json!(false)));

    let save = json!({ "dashboard": { "title": "New" } }).to_string();
    let json_type = ("content-type", "application/json");
    let forged = setup
        .send(Method::POST, "/api/dashboards/db", &[("cookie", cookie), json_type], Some(save.clone()))
        .await;
    assert_eq!(forged.status, 403);
    let own = ("x-watchbell-request", "1");
    let saved = setup
        .send(Method::POST, "/api/dashboards/db", &[("cookie", cookie), json_type, own], Some(save))
        .await;
    assert_eq!((saved.status.as_u16(), saved.json()["status"].clone()), (200, json!("success")));

    let out = setup.send(Method::POST, "/api/logout", &[("cookie", cookie), own], None).await;
    assert_eq!(out.status, 204);
    assert_eq!(setup.send(Method::GET, "/api/session", &[("cookie", cookie)], None).await.status, 401);
    for _again in 0..5 {
        setup.login("wrong").await;
    }
    let blocked = setup.login(PASSWORD).await;
    assert!(blocked.status == 429 && blocked.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn only_known_paths_answer_and_only_who_is_known() {
    let setup = start(true).await;
    for (path, status) in [
        ("/", 200),
        ("/mon/explore", 200),
        ("/d/a/from-a-file", 200),
        ("/api/health", 200),
        ("/mon/api/health", 200),
        ("/nothing", 404),
        ("/mon/nothing", 404),
        ("/rules/test/test", 404),
        ("/api/search", 401),
        ("/api/annotations", 401),
        ("/prometheus/api/v1/query", 401),
        ("/loki/loki/api/v1/labels", 401),
        ("/api/datasources/proxy/1/api/v1/labels", 401),
    ] {
        let answer = setup.send(Method::GET, path, &[], None).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        if status == 200 {
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("default-src 'none'"), "{path}");
        }
    }
    assert!(setup.send(Method::GET, "/home", &[], None).await.text.contains("<base href=\"/mon/\">"));
    assert_eq!(setup.get("/api/annotations").await.status, 501);
    assert_eq!(setup.get("/alertmanager/api/v2/alerts").await.status, 502);
}

#[tokio::test]
async fn metric_queries_are_answered_from_grpc() {
    let setup = start(true).await;
    for (path, expected) in [
        (
            "/prometheus/api/v1/query?query=vector&time=5.5",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","l":"\u003cb\u003e"},"value":[5.5,"+Inf"]}]},"warnings":["w"]}"#,
        ),
        (
            "/mon/prometheus/api/v1/query_range?query=matrix&start=0&end=2&step=1",
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","l":"\u003cb\u003e"},"values":[[0,"1.5"],[1,"NaN"]],"histograms":[[2,{"count":"3","sum":"4","buckets":[[0,"0.5","1","3"]]}]]}]},"warnings":["w"]}"#,
        ),
        (
            "/prometheus/api/v1/query?query=scalar&time=4",
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]},"warnings":["w"]}"#,
        ),
        ("/prometheus/api/v1/labels", r#"{"status":"success","data":["a","b"]}"#),
        ("/prometheus/api/v1/label/job/values", r#"{"status":"success","data":["job-value"]}"#),
        ("/prometheus/api/v1/series?match[]=m", r#"{"status":"success","data":[{"__name__":"m"}]}"#),
        ("/api/datasources/proxy/1/api/v1/labels", r#"{"status":"success","data":["a","b"]}"#),
    ] {
        let answer = setup.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected), "{path}");
    }
    for (path, status, kind) in [
        ("/prometheus/api/v1/query?query=bad", 400, "bad_data"),
        ("/prometheus/api/v1/query?query=fails", 422, "execution"),
        ("/prometheus/api/v1/query?query=x&time=noon", 400, "bad_data"),
        ("/prometheus/api/v1/query", 400, "bad_data"),
        ("/prometheus/api/v1/query_range?query=x&start=0&end=100000&step=1", 400, "bad_data"),
        ("/prometheus/api/v1/query_range?query=x&start=0&end=1&step=0", 400, "bad_data"),
        ("/prometheus/api/v1/series", 400, "bad_data"),
    ] {
        let answer = setup.get(path).await;
        let body = answer.json();
        assert_eq!(
            (answer.status.as_u16(), body["errorType"].as_str()),
            (status, Some(kind)),
            "{path}: {body}"
        );
    }
    assert_eq!(setup.servers.principals(), ["admin"]);
    assert_eq!(setup.get("/prometheus/api/v1/targets").await.text, "over HTTP: /api/v1/targets");
}

#[tokio::test]
async fn log_queries_keep_lokis_shapes_and_key_order() {
    let setup = start(true).await;
    let basic = ("authorization", "Basic YWRtaW46Y29ycmVjdCBob3JzZQ==");
    let path = "/loki/loki/api/v1/query_range?query=lines&direction=BACKWARD&limit=10";
    let plain = setup.get(path).await.text;
    let folded = r#"{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"x","level":"warn","trace":"1"},"values":[["1795361336000000002","two"]]},{"stream":{"app":"x"},"values":[["1795361336000000001","one"]]}],"stats":{"summary":{"#;
    assert!(plain.starts_with(folded), "{plain}");
    let flags = ("x-loki-response-encoding-flags", "categorize-labels");
    let categorized = setup.send(Method::GET, path, &[basic, flags], None).await.text;
    let expected = r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"x"},"values":[["1795361336000000002","two",{"structuredMetadata":{"trace":"1"},"parsed":{"level":"warn"}}],["1795361336000000001","one",{"structuredMetadata":{},"parsed":{}}]]}],"stats":"#;
    assert!(categorized.starts_with(expected), "{categorized}");
    let vector = setup.get("/loki/loki/api/v1/query?query=vector&time=4000000000000").await.text;
    assert!(
        vector.starts_with(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[4000,"2"]}],"#
        ),
        "{vector}"
    );
    let bad = setup.get("/loki/loki/api/v1/query_range?query=bad").await;
    assert_eq!((bad.status.as_u16(), bad.text.as_str()), (400, "parse error at line 1, col 1\n"));
    assert_eq!(setup.get("/loki/loki/api/v1/label").await.text, r#"{"status":"success","data":["app"]}"#);
    assert_eq!(
        setup.get("/loki/loki/api/v1/series?match=x").await.text,
        r#"{"status":"success","data":[{"app":"x"}]}"#
    );
}

#[tokio::test]
async fn servers_without_our_grpc_are_asked_over_http() {
    let setup = start(false).await;
    for _again in 0..2 {
        let answer = setup.get("/prometheus/api/v1/query?query=up&time=1").await;
        assert_eq!(answer.text, "over HTTP: /api/v1/query?query=up&time=1");
        let answer = setup.get("/loki/loki/api/v1/labels").await;
        assert_eq!(answer.text, "over HTTP: /loki/api/v1/labels");
    }
    let escape = setup.get("/prometheus/..%2f..%2fetc").await;
    assert!(escape.text.starts_with("over HTTP: /..%2f..%2fetc"), "{}", escape.text);
}

#[tokio::test]
async fn a_tail_passes_through_and_ends_with_the_server() {
    let setup = start(true).await;
    let url = format!("ws://{}/loki/loki/api/v1/tail?query=x", setup.gateway.address());
    let mut request = url.as_str().into_client_request().unwrap();
    assert!(tokio_tungstenite::connect_async(request.clone()).await.is_err(), "not without a login");
    let basic = "Basic YWRtaW46Y29ycmVjdCBob3JzZQ==".parse().unwrap();
    request.headers_mut().insert("authorization", basic);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let first = socket.next().await.unwrap().unwrap();
    assert_eq!(first.to_text().unwrap(), "{\"streams\":[]}");
    let report = setup.gateway.stop(Duration::from_secs(10)).await;
    assert_eq!(report.failed, [], "an open tail does not hold the gateway");
}

#[tokio::test]
async fn dashboards_and_status_are_in_grafanas_shapes() {
    let setup = start(true).await;
    let found = setup.get("/api/search?query=FROM").await.json();
    assert_eq!(
        (found[0]["uid"].clone(), found[0]["url"].clone()),
        (json!("a"), json!("/mon/d/a/from-a-file"))
    );
    let board = setup.get("/api/dashboards/uid/a").await.json();
    assert_eq!(
        (board["meta"]["provisioned"].clone(), board["dashboard"]["version"].clone()),
        (json!(true), json!(1))
    );
    assert_eq!(setup.get("/api/dashboards/uid/none").await.status, 404);
    assert_eq!(setup.get("/api/datasources/uid/watchbell-logs").await.json()["type"], "loki");
    let status = setup.get("/api/status").await.json();
    let names: Vec<&str> =
        status["services"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["dashboard-gateway", "metrics-server", "log-server", "alert-manager"]);
    assert_eq!(status["services"][1]["ready"], true);
    assert_eq!(status["services"][3]["healthy"], false);
    assert_eq!(
        status["notices"][0],
        json!({ "severity": "warning", "text": "disk is filling", "source": "metrics-server" })
    );
}

#[tokio::test]
async fn one_trace_goes_through_to_the_server() {
    let options = telemetry::LogOptions {
        // Nobody listens there: spans are made and their export fails quietly.
        otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..telemetry::LogOptions::for_service("test")
    };
    let (_logging, dispatch) = telemetry::Logging::build(&options, || Box::new(std::io::sink())).unwrap();
    let _installed = tracing::dispatcher::set_default(&dispatch);
    let setup = start(true).await;
    let headers = [
        ("authorization", "Basic YWRtaW46Y29ycmVjdCBob3JzZQ=="),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let mut seen = String::new();
    for _attempt in 0..20 {
        // Other tests' threads have no subscriber and may have made the span's call site remember that.
        tracing::callsite::rebuild_interest_cache();
        setup.send(Method::GET, "/prometheus/api/v1/query?query=vector", &headers, None).await;
        seen = setup.servers.traceparent();
        if !seen.is_empty() {
            break;
        }
    }
    assert!(seen.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{seen}");
    assert!(!seen.contains("b7ad6b7169203331"), "the gateway's own span lies between: {seen}");
}
