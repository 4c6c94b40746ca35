//! `tail`

use base64::prelude::{BASE64_STANDARD, Engine};
use clap::Args;
use futures::StreamExt;
use serde_json::Value;
use service::Failure;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use super::{Output, ServerArgs, output};

/// `tail`
#[derive(Args, Clone, Debug)]
pub struct TailArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Lines from before the start
    #[arg(long = "limit", default_value_t = 30)]
    limit: usize,
    /// How far back these may lie
    #[arg(long = "since", default_value = "1h", value_name = "DURATION")]
    since: String,
    /// Seconds to wait for late lines
    #[arg(long = "delay-for", default_value_t = 0)]
    delay_for: u64,
    /// LogQL
    #[arg(value_name = "QUERY")]
    query: String,
}

impl TailArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let params = [
            ("query", self.query.clone()),
            ("limit", self.limit.to_string()),
            ("since", self.since.clone()),
            ("delay_for", self.delay_for.to_string()),
        ];
        let mut url = self.server.url("/loki/api/v1/tail", &params)?;
        let scheme = match url.scheme() {
            "http" => "ws",
            // TLS needs a client of its own, which is not there yet.
            other => return Err(Failure::usage(format!("tail over {other} is not built yet: use http"))),
        };
        // The scheme of an http URL can always be changed to ws.
        url.set_scheme(scheme).ok();
        let mut request = url.as_str().into_client_request().map_err(Failure::runtime)?;
        for (name, value) in self.server.headers()? {
            // The same names and values, of another crate's types.
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(Failure::usage)?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(Failure::usage)?;
            request.headers_mut().insert(name, value);
        }
        if let Some((user, password)) = self.server.credentials() {
            let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let value = HeaderValue::from_str(&format!("Basic {token}")).map_err(Failure::usage)?;
            request.headers_mut().insert("authorization", value);
        }
        let (mut socket, _) = connect_async(request).await.map_err(Failure::runtime)?;
        while let Some(message) = socket.next().await {
            match message.map_err(Failure::runtime)? {
                Message::Text(text) => show(&text, self.server.output)?,
                Message::Close(Some(frame)) if !frame.reason.is_empty() => {
                    return Err(Failure::runtime(format!("the server closed the tail: {}", frame.reason)));
                }
                Message::Close(_) => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn show(text: &str, kind: Output) -> Result<(), Failure> {
    if kind == Output::Json {
        return output::print(&format!("{text}\n"));
    }
    let frame: Value = serde_json::from_str(text)
        .map_err(|error| Failure::runtime(format!("a frame is not JSON: {error}")))?;
    output::print(&output::lines(&frame["streams"], kind, true))
}
