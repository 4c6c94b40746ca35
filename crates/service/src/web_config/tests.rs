//! Web configuration files, right and wrong.

use super::*;

fn errors(text: &str) -> String {
    let document = Document::parse_yaml("web.yml", text).unwrap();
    document.read(WebConfig::read).map_or_else(|errors| errors.to_string(), |_| String::new())
}

#[test]
fn files_of_the_original_load_and_wrong_ones_name_the_key() {
    let hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
    for (text, expected) in [
        ("", ""),
        ("tls_server_config: {}\n", ""),
        ("tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS13\n", ""),
        (&format!("basic_auth_users:\n  alice: {hash}\n"), ""),
        ("http_server_config:\n  headers:\n    X-Frame-Options: deny\n", ""),
        ("basic_auth_users: {bob: hunter2}\n", "web.yml:1:25: basic_auth_users.bob: expected a bcrypt hash"),
        ("tls_server_config: {cert_file: a}\n", "web.yml:1:20: tls_server_config: cert_file and key_file"),
        (
            "tls_server_conf: {}\n",
            "web.yml:1:1: unknown key \"tls_server_conf\", did you mean \"tls_server_config\"",
        ),
        (
            "http_server_config: {headers: {\"a b\": c}}\n",
            "web.yml:1:39: http_server_config.headers.a b: not the name",
        ),
    ] {
        let errors = errors(text);
        assert!(errors.starts_with(expected) && errors.is_empty() == expected.is_empty(), "{text}: {errors}");
    }
}
