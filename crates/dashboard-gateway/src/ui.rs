//! The single-page UI, embedded.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use rust_embed::RustEmbed;

/// What `npm run build` makes of `ui/`; nothing where it has not been built.
#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Files;

/// The UI's own routes: the page answers them all, and reads the rest from its URL.
pub(crate) const ROUTES: [&str; 14] = [
    "/",
    "/home",
    "/login",
    "/dashboards",
    "/d/{uid}",
    "/d/{uid}/{slug}",
    "/explore",
    "/alerts",
    "/targets",
    "/status",
    "/container",
    "/container/{*rest}",
    "/host",
    "/host/{*rest}",
];

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Watchbell</title></head><body>\
    <h1>The UI is not in this binary</h1><p>Build it and then the gateway: \
    <code>cd crates/dashboard-gateway/ui &amp;&amp; npm ci &amp;&amp; npm run build &amp;&amp; cargo build -p dashboard-gateway</code></p>\
    <p>The API and the proxies (<code>/prometheus</code>, <code>/loki</code>, <code>/alertmanager</code>) work.</p></body></html>";

/// The page, told under which prefix it lies.
pub(crate) fn page(prefix: &str) -> Response {
    let file = Files::get("index.html");
    let html = match &file {
        Some(file) => String::from_utf8_lossy(&file.data).into_owned(),
        None => NOT_BUILT.to_owned(),
    };
    let base = format!("<head><base href=\"{}/\">", escape(prefix));
    let html = html.replacen("<head>", &base, 1);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, html).into_response()
}

/// A file below `assets/`: its name holds a hash of its content, so it never changes.
pub(crate) async fn asset(Path(path): Path<String>) -> Response {
    file(&format!("assets/{path}"), "public, max-age=31536000, immutable")
}

/// The icon.
pub(crate) async fn icon() -> Response {
    file("favicon.svg", "public, max-age=86400")
}

fn file(path: &str, cache: &'static str) -> Response {
    let Some(file) = Files::get(path) else {
        return service::text(StatusCode::NOT_FOUND, "404 page not found");
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(path))),
        (CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, file.data.into_owned()).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" | "map" => "application/json",
        "woff2" => "font/woff2",
        "html" => "text/html; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
