//! Prometheus' HTTP client block: what a scrape, a push or a notification needs to reach its server.
//!
//! [`HttpClientConfig::read_inline`] takes the block's keys out of the map of the block around it; [`HttpClient`] is
//! built from it. Files of secrets and certificates are read again at each use, as they are replaced while a service runs.
//! Nothing is global: TLS uses its own provider, proxies from the environment only where the block says so.

#![warn(missing_docs)]

mod aliases;
mod client;
mod config;
mod error;
mod jwt;
mod oauth2;
mod tls;

pub use aliases::HostAliases;
pub use client::{ClientOptions, HttpClient, Request, Response};
pub use config::{
    Authorization, BasicAuth, HeaderValues, HttpClientConfig, JwtConfig, OAuth2Config, ProxyConfig,
    RESERVED_HEADERS, SecretSource, TlsClientConfig, TlsVersion,
};
pub use error::HttpClientError;
pub use jwt::SignatureAlgorithm;
pub use tls::tls_client;

/// What travels in requests and answers, from the `http` crate and `reqwest`.
pub use reqwest::{
    Body, Method, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
