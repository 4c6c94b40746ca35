//! Delivery over Loki's HTTP push, for our log server behind a reverse proxy and for any other that speaks it.

use std::sync::Arc;
use std::time::Duration;

use http_client::header::RETRY_AFTER;
use http_client::{
    Authorization, BasicAuth, ClientOptions, HeaderName, HeaderValue, HttpClient, HttpClientConfig,
    HttpClientError, Request, SecretSource, StatusCode, TlsClientConfig, Url,
};
use prost::Message as _;
use tokio::sync::mpsc;
use wire::delivery::{Label, Line, SourceLines};
use wire::loki::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};

use super::delivery::{Batch, Event};
use super::link::{LinkCommand, LinkHealth};
use super::options::Credentials;

const TIMEOUT: Duration = Duration::from_secs(60);
const SLOW_DOWN: Duration = Duration::from_secs(5);
const ERROR_BYTES_MAX: usize = 300;

/// The link to one server.
#[derive(Debug)]
pub(super) struct LokiLink {
    pub(super) url: Url,
    pub(super) snappy: bool,
    pub(super) tenant: Option<HeaderValue>,
    pub(super) client: HttpClient,
    pub(super) health: Arc<LinkHealth>,
}

/// A client for a server. Blocks, as it reads certificates.
pub(super) fn client(
    credentials: Option<&Credentials>,
    tls: &TlsClientConfig,
) -> Result<HttpClient, HttpClientError> {
    let mut config = HttpClientConfig { tls: tls.clone(), ..HttpClientConfig::default() };
    match credentials {
        Some(Credentials::Basic { user, password }) => {
            let username = Some(SecretSource::Inline(config::Secret::new(user.clone())));
            let password = Some(SecretSource::Inline(password.clone()));
            config.basic_auth = Some(BasicAuth { username, password });
        }
        Some(Credentials::Bearer(token)) => {
            let credentials = Some(SecretSource::Inline(token.clone()));
            config.authorization = Some(Authorization { scheme: "Bearer".to_owned(), credentials });
        }
        None => {}
    }
    let user_agent = format!("watchbell-agent/{}", env!("CARGO_PKG_VERSION"));
    HttpClient::new(config, ClientOptions { user_agent, ..ClientOptions::default() })
}

impl LokiLink {
    /// Does what it is told until nobody tells it anything more.
    pub(super) async fn run(
        self,
        mut commands: mpsc::Receiver<LinkCommand>,
        events: mpsc::UnboundedSender<Event>,
    ) {
        while let Some(command) = commands.recv().await {
            let event = match command {
                // Nothing is known of a server before the first push.
                LinkCommand::Connect => Event::LinkUp,
                LinkCommand::Send { sequence, batch } => self.push(sequence, batch).await,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    }

    async fn push(&self, sequence: u64, batch: Arc<Batch>) -> Event {
        let snappy = self.snappy;
        let encoded = tokio::task::spawn_blocking(move || encode(&batch.sources, snappy)).await;
        let server = self.url.as_str();
        let Ok(body) = encoded else { return Event::Refused { sequence } };
        let content_type = if snappy { "application/x-protobuf" } else { "application/json" };
        let mut request = Request::post(self.url.clone(), TIMEOUT, content_type, body);
        if let Some(tenant) = &self.tenant {
            request.headers.insert(HeaderName::from_static("x-scope-orgid"), tenant.clone());
        }
        let response = match self.client.send(request).await {
            Ok(response) => response,
            Err(error) => {
                self.health.down(server, &error.chain());
                return Event::LinkDown;
            }
        };
        let status = response.status();
        let after = response.header(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        if status.is_success() {
            self.health.up(server);
            return Event::Acked { sequence, rejected: 0 };
        }
        let text = response.text_start(ERROR_BYTES_MAX).await;
        let event = verdict(status, sequence, after);
        if matches!(event, Event::Refused { .. }) {
            // The server is there; it will never take these lines.
            self.health.up(server);
            tracing::debug!(server, status = status.as_u16(), error = text, "batch refused");
        } else {
            self.health.down(server, &format!("{status}: {}", text.trim()));
        }
        event
    }
}

/// What an answer that is no success means. Who may not push, or pushes to the wrong path, keeps the lines: that is mended in
/// the configuration.
fn verdict(status: StatusCode, sequence: u64, after: Option<Duration>) -> Event {
    match status.as_u16() {
        429 => Event::SlowDown { sequence, after: after.unwrap_or(SLOW_DOWN) },
        401 | 403 | 404 | 407 | 408 => Event::LinkDown,
        400..=499 | 501 => Event::Refused { sequence },
        _ => Event::LinkDown,
    }
}

fn encode(sources: &[SourceLines], snappy: bool) -> Vec<u8> {
    if !snappy {
        return encode_json(sources);
    }
    let stream = |lines: &SourceLines| StreamAdapter {
        labels: selector(&lines.labels),
        entries: lines.lines.iter().map(entry).collect(),
        hash: 0,
    };
    let request = PushRequest { streams: sources.iter().map(stream).collect() };
    // It fails only on input beyond 4 GiB, which a batch never has.
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap_or_default()
}

fn entry(line: &Line) -> EntryAdapter {
    let pair = |label: &Label| LabelPairAdapter { name: label.name.clone(), value: label.value.clone() };
    EntryAdapter {
        timestamp: Some(prost_types::Timestamp {
            seconds: line.timestamp_ns.div_euclid(1_000_000_000),
            nanos: line.timestamp_ns.rem_euclid(1_000_000_000) as i32,
        }),
        line: line.text.clone(),
        structured_metadata: line.structured_metadata.iter().map(pair).collect(),
        parsed: Vec::new(),
    }
}

/// `{a="b",c="d"}`
fn selector(labels: &[Label]) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|label| {
            let value = label.value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{}=\"{value}\"", label.name)
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn encode_json(sources: &[SourceLines]) -> Vec<u8> {
    let object = |labels: &[Label]| {
        let pairs = labels.iter().map(|label| (label.name.clone(), label.value.clone().into()));
        serde_json::Value::Object(pairs.collect())
    };
    let value = |line: &Line| {
        let mut parts = vec![line.timestamp_ns.to_string().into(), line.text.clone().into()];
        if !line.structured_metadata.is_empty() {
            parts.push(object(&line.structured_metadata));
        }
        serde_json::Value::Array(parts)
    };
    let stream = |lines: &SourceLines| {
        let values: Vec<serde_json::Value> = lines.lines.iter().map(value).collect();
        serde_json::json!({ "stream": object(&lines.labels), "values": values })
    };
    let streams: Vec<serde_json::Value> = sources.iter().map(stream).collect();
    serde_json::json!({ "streams": streams }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<SourceLines> {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let line = Line {
            timestamp_ns: 1_500_000_000,
            text: "hello".to_owned(),
            offset: 1,
            ordinal: 1,
            structured_metadata: vec![label("stream", "stdout")],
        };
        let labels = vec![label("a", "x\"y\\z"), label("b", "c")];
        vec![SourceLines { labels, source: "s".to_owned(), generation: 1, lines: vec![line] }]
    }

    #[test]
    fn pushes_have_both_forms() {
        let json = String::from_utf8(encode(&sources(), false)).unwrap();
        let expected = "{\"streams\":[{\"stream\":{\"a\":\"x\\\"y\\\\z\",\"b\":\"c\"},\
            \"values\":[[\"1500000000\",\"hello\",{\"stream\":\"stdout\"}]]}]}";
        assert_eq!(json, expected);
        let bytes = snap::raw::Decoder::new().decompress_vec(&encode(&sources(), true)).unwrap();
        let request = PushRequest::decode(&bytes[..]).unwrap();
        assert_eq!(request.streams[0].labels, "{a=\"x\\\"y\\\\z\", b=\"c\"}");
        let entry = &request.streams[0].entries[0];
        let time = entry.timestamp.as_ref().map(|time| (time.seconds, time.nanos));
        assert_eq!((time, entry.line.as_str()), (Some((1, 500_000_000)), "hello"));
    }

    #[test]
    fn answers_decide() {
        let verdict = |status: u16| format!("{:?}", verdict(StatusCode::from_u16(status).unwrap(), 1, None));
        for (status, start) in [
            (429, "SlowDown"),
            (500, "LinkDown"),
            (503, "LinkDown"),
            (501, "Refused"),
            (400, "Refused"),
            (413, "Refused"),
            (401, "LinkDown"),
            (404, "LinkDown"),
        ] {
            assert!(verdict(status).starts_with(start), "{status}: {}", verdict(status));
        }
    }
}
