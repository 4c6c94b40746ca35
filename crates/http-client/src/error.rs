//! Why a request failed.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

/// A client that cannot be built, or a request that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// A file of a secret or a certificate cannot be read.
    #[error("{key} {path}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// Certificates or keys cannot be used.
    #[error("tls_config: {reason}")]
    Tls {
        /// What is wrong with which of them.
        reason: String,
    },
    /// A header's value is not valid.
    #[error("{what} is not a valid header value")]
    Header {
        /// Which header, or which secret goes into it.
        what: String,
    },
    /// The client cannot be built from its settings.
    #[error("http client")]
    Build(#[source] reqwest::Error),
    /// No answer: name, connection, TLS, timeout.
    #[error("{method} {url}")]
    Request {
        /// The method.
        method: String,
        /// The URL, without its password.
        url: String,
        /// The error.
        #[source]
        source: reqwest::Error,
    },
    /// No token from the OAuth2 server.
    #[error("oauth2 token from {url}: {reason}")]
    Token {
        /// The token URL.
        url: String,
        /// What it answered.
        reason: String,
    },
    /// The answer's body is larger than allowed.
    #[error("body exceeds {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: u64,
    },
    /// A blocking read was interrupted by the end of the process.
    #[error("service is stopping")]
    Stopping,
}

impl HttpClientError {
    /// The error and its causes in one line, as a target's last error shows it.
    pub fn chain(&self) -> String {
        let mut out = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !out.ends_with(&text) {
                write!(out, ": {text}").ok();
            }
            source = error.source();
        }
        out
    }

    /// Whether the request took longer than it was given.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Request { source, .. } if source.is_timeout())
    }
}
