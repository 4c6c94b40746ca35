//! How commands reach a server.

use std::path::PathBuf;
use std::time::Duration;

use ::config::{Document, Node, Reported};
use clap::Args;
use http_client::{
    ClientOptions, HeaderName, HeaderValue, HttpClient, HttpClientConfig, Request, StatusCode, Url,
};
use serde_json::Value;
use service::Failure;

use super::console::{FAILED, complain, parse_pair};

const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Longer than a server lets a query run.
const QUERY_TIMEOUT: Duration = Duration::from_secs(130);

/// How a server is reached.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ClientFlags {
    /// HTTP client configuration file, for TLS, authentication and proxies
    #[arg(long = "http.config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Header to send, as NAME=VALUE; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = parse_pair)]
    headers: Vec<(String, String)>,
}

/// A server's URL; `http` where no scheme is given.
pub(super) fn parse_server(text: &str) -> Result<Url, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("expected a URL with http or https".to_owned());
    }
    Ok(url)
}

fn read_config(root: &Node) -> Result<HttpClientConfig, Reported> {
    let map = root.map()?;
    let config = HttpClientConfig::read_inline(&map)?;
    map.finish()?;
    Ok(config)
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient,
    server: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Client {
    /// Blocks, as it reads the configuration and certificates.
    pub(super) fn new(server: Url, flags: &ClientFlags) -> Result<Self, Failure> {
        let config = match &flags.config_file {
            None => HttpClientConfig::default(),
            Some(_) if !server.username().is_empty() => {
                return Err(Failure::runtime(
                    "a user in the server's URL and --http.config.file cannot be used together",
                ));
            }
            Some(file) => {
                Document::load(file)
                    .and_then(|document| document.read(read_config))
                    .map_err(|errors| Failure::runtime(format!("cannot load HTTP config file: {errors}")))?
                    .value
            }
        };
        let options = ClientOptions {
            user_agent: concat!("watchbell-metrics/", env!("CARGO_PKG_VERSION")).to_owned(),
            gzip: true,
            ..ClientOptions::default()
        };
        let http = HttpClient::new(config, options).map_err(|error| Failure::runtime(error.chain()))?;
        let header = |(name, value): &(String, String)| {
            let wrong = || Failure::runtime(format!("--header: {name:?} cannot be sent"));
            let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value))
        };
        let headers = flags.headers.iter().map(header).collect::<Result<_, Failure>>()?;
        Ok(Self { http, server, headers })
    }

    /// The URL of a path below the server's own.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.server.clone();
        url.set_path(&format!("{}/{path}", self.server.path().trim_end_matches('/')));
        url
    }

    /// Sends a request and reads its answer whole.
    pub(super) async fn send(&self, mut request: Request) -> Result<(StatusCode, Vec<u8>), Failure> {
        for (name, value) in &self.headers {
            request.headers.insert(name.clone(), value.clone());
        }
        let failed = |error: http_client::HttpClientError| Failure::runtime(error.chain());
        let mut response = self.http.send(request).await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        response.read_body(ANSWER_BYTES_MAX, &mut body).await.map_err(failed)?;
        Ok((status, body))
    }

    /// Asks the HTTP API; gives back `data`. What went wrong has been told.
    pub(super) async fn ask(&self, path: &str, params: &[(&str, String)]) -> Result<Value, Failure> {
        self.try_ask(path, params).await.map_err(|failure| {
            complain(&format!("query error: {failure}\n"));
            Failure::told(FAILED)
        })
    }

    async fn try_ask(&self, path: &str, params: &[(&str, String)]) -> Result<Value, Failure> {
        let mut url = self.url(path);
        for (name, value) in params {
            url.query_pairs_mut().append_pair(name, value);
        }
        let (status, body) = self.send(Request::get(url, QUERY_TIMEOUT)).await?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| {
            let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            Failure::runtime(format!("{status}: {error}: {text}"))
        })?;
        if status != StatusCode::OK || answer["status"] != "success" {
            let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            return Err(Failure::runtime(format!("{}: {}", text("errorType"), text("error"))));
        }
        for warning in answer["warnings"].as_array().into_iter().flatten() {
            complain(&format!("query warning: {}\n", warning.as_str().unwrap_or_default()));
        }
        Ok(answer["data"].take())
    }
}
