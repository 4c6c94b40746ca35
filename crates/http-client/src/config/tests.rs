//! Blocks as data: what is read, and what is refused with which message.

use config::Document;

use super::*;

fn read(text: &str) -> Result<HttpClientConfig, String> {
    let document = Document::parse_yaml("c.yml", text).map_err(|error| error.to_string())?;
    let loaded = document
        .read(|root| {
            let map = root.map()?;
            let block = HttpClientConfig::read_inline(&map)?;
            map.finish()?;
            Ok(block)
        })
        .map_err(|errors| errors.to_string())?;
    Ok(loaded.value)
}

#[test]
fn blocks_are_read() {
    assert_eq!(read(""), Ok(HttpClientConfig::default()));
    let block =
        read("basic_auth: {username: a, password_file: p}\nfollow_redirects: no\nenable_http2: false")
            .expect("valid");
    let auth = block.basic_auth.expect("basic_auth");
    assert_eq!(auth.password, Some(SecretSource::File(PathBuf::from("p"))));
    assert!(!block.follow_redirects && !block.enable_http2);
    let block = read("authorization: {credentials: x}").expect("valid");
    assert_eq!(block.authorization.expect("authorization").scheme, "Bearer");
    let block = read("http_headers: {X-A: {values: [b, c], secrets: [d]}}").expect("valid");
    assert_eq!(block.headers[0].1.values, ["b", "c"]);
    assert!(!format!("{block:?}").contains("\"d\""));
}

#[test]
fn blocks_that_contradict_themselves_are_refused() {
    for (text, message) in [
        ("basic_auth: {}\nauthorization: {}", "at most one of basic_auth, authorization may be set"),
        ("basic_auth: {password: a, password_file: b}", "at most one of password, password_file may be set"),
        ("basic_auth: {usernam: a}", "unknown key \"usernam\", did you mean \"username\""),
        ("authorization: {type: Basic}", "authorization type cannot be \"basic\", use basic_auth instead"),
        ("oauth2: {token_url: http://a}", "required key \"client_id\" is missing"),
        ("oauth2: {client_id: a}", "required key \"token_url\" is missing"),
        (
            "oauth2: {client_id: a, token_url: http://a, grant_type: jwt-bearer}",
            "needs client_certificate_key",
        ),
        (
            "oauth2: {client_id: a, token_url: http://a, grant_type: password}",
            "expected one of client_credentials",
        ),
        ("proxy_connect_header: {A: [b]}", "needs proxy_url or proxy_from_environment"),
        ("proxy_url: http://p\nproxy_connect_header: {'a b': [c]}", "is not a header's name"),
        ("tls_config: {cert_file: a}", "a client certificate needs both"),
        ("tls_config: {min_version: TLS13, max_version: TLS12}", "min_version is newer than max_version"),
        ("tls_config: {min_version: TLS9}", "expected one of TLS10, TLS11, TLS12, TLS13"),
        ("no_proxy: a", "no_proxy needs proxy_url"),
        ("proxy_from_environment: true\nproxy_url: http://p", "proxy_from_environment cannot be set beside"),
        ("http_headers: {Authorization: {values: [a]}}", "is set by the client"),
        ("proxy_url: nonsense", "write it with its scheme"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    }
}
