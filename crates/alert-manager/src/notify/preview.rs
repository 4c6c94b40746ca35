//! What would be sent, without sending it.

use http_client::Request;
use serde::Serialize;
use serde_json::Value;

/// A request that was not sent. Secrets are taken out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// The method; `MAIL` for a mail.
    pub method: String,
    /// The server; the path may hold secrets.
    pub host: String,
    /// The body: JSON, form or mail.
    pub body: Value,
}

/// Keys whose values are secrets in some provider's body.
const SECRETS: &[&str] = &["routing_key", "service_key", "token", "user"];

/// An answer that every kind of receiver takes for a good one.
pub(super) const GOOD_ANSWER: &str =
    r#"{"ok":true,"success":true,"errcode":0,"access_token":"preview","issues":[],"key":"PREVIEW-1"}"#;

impl Preview {
    pub(super) fn of(request: &Request) -> Self {
        let text = request.body.as_ref().and_then(|body| body.as_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        let mut body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if let Some(fields) = body.as_object_mut() {
            for key in SECRETS {
                if let Some(value) = fields.get_mut(*key) {
                    *value = "<secret>".into();
                }
            }
        }
        let host = request.url.host_str().unwrap_or_default();
        let host = request.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self { method: request.method.to_string(), host, body }
    }

    pub(super) fn of_mail(host: &str, mail: &[u8]) -> Self {
        let body = String::from_utf8_lossy(mail).into_owned().into();
        Self { method: "MAIL".to_owned(), host: host.to_owned(), body }
    }
}
