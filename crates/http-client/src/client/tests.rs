//! Requests against a server on loopback that answers with what it saw.

use std::io::{Read, Write};
use std::net::TcpListener;

use config::Document;

use super::*;

/// Answers `answers` in turn and returns the requests' heads and bodies.
fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let serving = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("connection");
            let mut request = Vec::new();
            let mut buf = [0; 4096];
            loop {
                let len = stream.read(&mut buf).expect("request");
                request.extend_from_slice(&buf[..len]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some(head_end) = text.find("\r\n\r\n") else { continue };
                let body_len = text
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split('\r').next()?.parse().ok())
                    .unwrap_or(0);
                if len == 0 || request.len() >= head_end + 4 + body_len {
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).expect("answer");
            seen.push(String::from_utf8_lossy(&request).into_owned());
        }
        seen
    });
    (address, serving)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn client(yaml: &str) -> HttpClient {
    let document = Document::parse_yaml("c.yml", yaml).expect("yaml");
    let config = document.read(|root| HttpClientConfig::read_inline(&root.map()?)).expect("valid").value;
    HttpClient::new(config, ClientOptions { user_agent: "test/1".to_owned(), ..ClientOptions::default() })
        .expect("client")
}

async fn get(client: &HttpClient, address: &str) -> Result<Response, HttpClientError> {
    let url = Url::parse(&format!("http://{address}/x")).expect("url");
    client.send(Request::get(url, Duration::from_secs(10))).await
}

#[tokio::test]
async fn authentication_and_headers_are_sent_and_files_read_anew() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("password");
    std::fs::write(&path, "one\n").expect("file");
    let client = client(&format!(
        "basic_auth: {{username: u, password_file: {}}}\nhttp_headers: {{X-A: {{values: [b], secrets: [c]}}}}",
        path.display()
    ));
    let (address, serving) = serve(vec![answer("200 OK", "hello"), answer("200 OK", "")]);
    let mut response = get(&client, &address).await.expect("answer");
    let mut body = Vec::new();
    response.read_body(10, &mut body).await.expect("body");
    assert_eq!(body, b"hello");
    std::fs::write(&path, "two").expect("file");
    get(&client, &address).await.expect("answer");
    let seen = serving.join().expect("server");
    for (request, expected) in seen.iter().zip(["dTpvbmU=", "dTp0d28="]) {
        assert!(request.contains(&format!("authorization: Basic {expected}")), "{request}");
        assert!(request.contains("x-a: b") && request.contains("x-a: c"), "{request}");
        assert!(request.contains("user-agent: test/1"), "{request}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_an_error() {
    let (address, serving) = serve(vec![answer("200 OK", "0123456789x")]);
    let mut response = get(&client(""), &address).await.expect("answer");
    let error = response.read_body(10, &mut Vec::new()).await.expect_err("too large");
    assert_eq!(error.to_string(), "body exceeds 10 bytes");
    serving.join().expect("server");
}

#[tokio::test]
async fn redirects_are_followed_only_where_allowed() {
    let redirect =
        "HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
    let (address, serving) = serve(vec![redirect.clone(), answer("200 OK", ""), redirect]);
    assert_eq!(get(&client(""), &address).await.expect("answer").status(), StatusCode::OK);
    let response = get(&client("follow_redirects: false"), &address).await.expect("answer");
    assert_eq!(response.status(), StatusCode::FOUND);
    serving.join().expect("server");
}

#[tokio::test]
async fn a_token_is_asked_for_once() {
    let token = r#"{"access_token":"t0k","token_type":"bearer","expires_in":3600}"#;
    let (tokens, token_server) = serve(vec![answer("401 Unauthorized", ""), answer("200 OK", token)]);
    let client = client(&format!(
        "oauth2: {{client_id: id, client_secret: s, scopes: [a, b], token_url: 'http://{tokens}/t'}}"
    ));
    let (address, serving) = serve(vec![answer("200 OK", ""), answer("200 OK", "")]);
    get(&client, &address).await.expect("answer");
    get(&client, &address).await.expect("answer");
    assert!(
        serving.join().expect("server").iter().all(|request| request.contains("authorization: Bearer t0k"))
    );
    let asked = token_server.join().expect("server");
    assert!(
        asked[0].contains("authorization: Basic aWQ6cw==") && asked[0].contains("scope=a+b"),
        "{asked:?}"
    );
    assert!(asked[1].contains("client_id=id&client_secret=s"), "{asked:?}");
}

#[tokio::test]
async fn a_token_is_asked_for_with_an_assertion() {
    let token = r#"{"access_token":"t0k"}"#;
    let (tokens, token_server) = serve(vec![answer("200 OK", token)]);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/jwt_key.pem");
    let client = client(&format!(
        "oauth2: {{client_id: id, grant_type: jwt-bearer, client_certificate_key_file: {key}, claims: {{n: 1}}, \
         endpoint_params: {{p: q}}, token_url: 'http://{tokens}/t'}}"
    ));
    let (address, serving) = serve(vec![answer("200 OK", "")]);
    get(&client, &address).await.expect("answer");
    assert!(serving.join().expect("server")[0].contains("authorization: Bearer t0k"));
    let asked = token_server.join().expect("server");
    let form = asked[0].split("\r\n\r\n").nth(1).unwrap_or_default();
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(fields[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!((fields[1].0.as_str(), fields[1].1.split('.').count()), ("assertion", 3));
    assert_eq!(fields[2], ("p".to_owned(), "q".to_owned()));
    assert!(!asked[0].to_lowercase().contains("authorization:"), "{asked:?}");
}

#[tokio::test]
async fn a_tunnel_is_asked_for_with_its_headers() {
    let (proxy, proxy_server) = serve(vec![answer("407 Proxy Authentication Required", "")]);
    let client = client(&format!("proxy_url: http://{proxy}\nproxy_connect_header: {{X-Way: [a, b]}}"));
    let url = Url::parse("https://behind.example/x").expect("url");
    client.send(Request::get(url, Duration::from_secs(10))).await.expect_err("no tunnel");
    let seen = proxy_server.join().expect("server");
    assert!(seen[0].starts_with("CONNECT behind.example:443"), "{seen:?}");
    let lower = seen[0].to_lowercase();
    assert!(lower.contains("x-way: a") && lower.contains("x-way: b"), "{seen:?}");
}

#[tokio::test]
async fn an_error_names_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let error = get(&client(""), &address).await.expect_err("nobody listens");
    let text = error.chain();
    assert!(text.starts_with(&format!("GET http://{address}/x: ")) && text.contains("refused"), "{text}");
    let missing = HttpClientConfig {
        tls: TlsClientConfig {
            ca: Some(SecretSource::File("/nonexistent/ca".into())),
            ..TlsClientConfig::default()
        },
        ..HttpClientConfig::default()
    };
    let error = HttpClient::new(missing, ClientOptions::default()).expect_err("no file");
    assert!(error.chain().starts_with("ca_file /nonexistent/ca: No such file"), "{}", error.chain());
}
