//! The block's settings, read from the map of the block around it.

use std::path::PathBuf;

use crate::jwt::SignatureAlgorithm;
use config::{Map, Node, Reported, Secret};
use reqwest::Url;

/// The block. The default is plain HTTP or HTTPS with the system's certificate authorities.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpClientConfig {
    /// A name and a password.
    pub basic_auth: Option<BasicAuth>,
    /// An `Authorization` header.
    pub authorization: Option<Authorization>,
    /// A token from an OAuth2 server.
    pub oauth2: Option<Box<OAuth2Config>>,
    /// Certificates and keys.
    pub tls: TlsClientConfig,
    /// Through which proxy.
    pub proxy: ProxyConfig,
    /// Whether a redirect is followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 may be spoken.
    pub enable_http2: bool,
    /// Headers that every request gets.
    pub headers: Vec<(String, HeaderValues)>,
}

/// A secret as it stands in the configuration, or the file that holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    /// In the configuration.
    Inline(Secret),
    /// In a file, read at each use.
    File(PathBuf),
}

/// `basic_auth`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BasicAuth {
    /// The name.
    pub username: Option<SecretSource>,
    /// The password.
    pub password: Option<SecretSource>,
}

/// `authorization`
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// The scheme, `Bearer` by default.
    pub scheme: String,
    /// What follows it.
    pub credentials: Option<SecretSource>,
}

/// `oauth2` with client credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2Config {
    /// Who asks for the token.
    pub client_id: String,
    /// The secret.
    pub client_secret: Option<SecretSource>,
    /// What the token is for.
    pub scopes: Vec<String>,
    /// Whom to ask.
    pub token_url: Url,
    /// Further form fields.
    pub endpoint_params: Vec<(String, String)>,
    /// A signed assertion in place of the secret, where that is how it asks.
    pub jwt: Option<JwtConfig>,
    /// Certificates and keys towards the token server.
    pub tls: TlsClientConfig,
    /// The proxy towards the token server.
    pub proxy: ProxyConfig,
}

/// The keys of `oauth2` for `grant_type: jwt-bearer`.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtConfig {
    /// The private key, PEM.
    pub key: SecretSource,
    /// What the token server knows it as.
    pub key_id: Option<String>,
    /// How is signed.
    pub algorithm: SignatureAlgorithm,
    /// Who signs; the client's id where absent.
    pub issuer: Option<String>,
    /// For whom the assertion is; the token URL where absent.
    pub audience: Option<String>,
    /// Further claims.
    pub claims: Vec<(String, serde_json::Value)>,
}

/// `tls_config`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsClientConfig {
    /// Certificate authorities; the system's where absent.
    pub ca: Option<SecretSource>,
    /// The client's certificate.
    pub cert: Option<SecretSource>,
    /// The client's key.
    pub key: Option<SecretSource>,
    /// The name that the server's certificate must have, where it is not the URL's host.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
    /// The oldest version to speak.
    pub min_version: Option<TlsVersion>,
    /// The newest version to speak.
    pub max_version: Option<TlsVersion>,
}

/// A version of TLS. 1.0 and 1.1 can be named, and are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// `TLS10`
    Tls10,
    /// `TLS11`
    Tls11,
    /// `TLS12`
    Tls12,
    /// `TLS13`
    Tls13,
}

/// Which proxy to go through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyConfig {
    /// The proxy.
    pub url: Option<Url>,
    /// Hosts that are reached directly.
    pub no_proxy: Option<String>,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` count.
    pub from_environment: bool,
    /// Headers of the request that opens a tunnel.
    pub connect_headers: Vec<(String, Vec<Secret>)>,
}

/// A header's values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderValues {
    /// As they stand.
    pub values: Vec<String>,
    /// As they stand, never shown.
    pub secrets: Vec<Secret>,
    /// Read from files at each use.
    pub files: Vec<PathBuf>,
}

/// Whether a grant type is that of signed assertions.
const GRANT_TYPES: [(&str, bool); 4] = [
    ("client_credentials", false),
    ("", false),
    ("jwt-bearer", true),
    ("urn:ietf:params:oauth:grant-type:jwt-bearer", true),
];

/// Headers, in lower case, that the client or another key of a block sets.
pub const RESERVED_HEADERS: [&str; 14] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
];

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            tls: TlsClientConfig::default(),
            proxy: ProxyConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            headers: Vec::new(),
        }
    }
}

impl HttpClientConfig {
    /// Takes the block's keys from `map`, whose reader finishes it.
    ///
    /// # Errors
    /// Where a key is wrong, or two keys exclude each other.
    pub fn read_inline(map: &Map) -> Result<Self, Reported> {
        let mut block = Self::default();
        map.at_most_one(&["basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file"])?;
        map.set_some(&mut block.basic_auth, "basic_auth", BasicAuth::read);
        map.set_some(&mut block.authorization, "authorization", Authorization::read);
        map.set_some(&mut block.oauth2, "oauth2", |node| OAuth2Config::read(node).map(Box::new));
        if let Some(credentials) = secret(map, "bearer_token", "bearer_token_file")? {
            let credentials = Some(credentials);
            block.authorization = Some(Authorization { scheme: "Bearer".to_owned(), credentials });
        }
        map.set(&mut block.tls, "tls_config", TlsClientConfig::read);
        block.proxy = ProxyConfig::read_inline(map)?;
        map.set(&mut block.follow_redirects, "follow_redirects", Node::bool);
        map.set(&mut block.enable_http2, "enable_http2", Node::bool);
        map.set(&mut block.headers, "http_headers", read_headers);
        Ok(block)
    }
}

impl BasicAuth {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let username_file = map.read("username_file", Node::file_path)?;
        let username = map.read("username", Node::string)?.filter(|name| !name.is_empty());
        if username.is_some() && username_file.is_some() {
            return Err(map.error("at most one of username, username_file may be set"));
        }
        let username = username
            .map(|name| SecretSource::Inline(Secret::new(name)))
            .or(username_file.map(SecretSource::File));
        let password = secret(&map, "password", "password_file")?;
        map.finish()?;
        Ok(Self { username, password })
    }
}

impl Authorization {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let scheme = map.read_or("type", "Bearer".to_owned(), Node::non_empty_string)?;
        if scheme.trim().eq_ignore_ascii_case("basic") {
            return Err(map.error("authorization type cannot be \"basic\", use basic_auth instead"));
        }
        let credentials = secret(&map, "credentials", "credentials_file")?;
        map.finish()?;
        Ok(Self { scheme: scheme.trim().to_owned(), credentials })
    }
}

impl OAuth2Config {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let by_jwt = map.read_or("grant_type", false, |node| node.one_of(&GRANT_TYPES))?;
        let jwt = JwtConfig::read_inline(&map)?;
        if by_jwt && jwt.is_none() {
            let message = "grant_type jwt-bearer needs client_certificate_key or client_certificate_key_file";
            return Err(map.error(message));
        }
        let config = Self {
            client_id: map.required("client_id")?.non_empty_string()?,
            client_secret: secret(&map, "client_secret", "client_secret_file")?,
            scopes: map.read_or("scopes", Vec::new(), Node::strings)?,
            token_url: map.required("token_url")?.parse_with(parse_url)?,
            endpoint_params: map.read_or("endpoint_params", Vec::new(), Node::string_pairs)?,
            // As in the original, what only assertions need is left aside where none is sent.
            jwt: jwt.filter(|_| by_jwt),
            tls: map.read_or("tls_config", TlsClientConfig::default(), TlsClientConfig::read)?,
            proxy: ProxyConfig::read_inline(&map)?,
        };
        map.finish()?;
        Ok(config)
    }
}

impl JwtConfig {
    /// `None` where no key is set.
    fn read_inline(map: &Map) -> Result<Option<Self>, Reported> {
        let key = secret(map, "client_certificate_key", "client_certificate_key_file")?;
        let text = |key: &str| Ok(map.read(key, Node::string)?.filter(|text: &String| !text.is_empty()));
        let key_id = text("client_certificate_key_id")?;
        let (issuer, audience) = (text("iss")?, text("audience")?);
        let algorithm = map.read_or("signature_algorithm", SignatureAlgorithm::default(), |node| {
            node.one_of(&SignatureAlgorithm::NAMES)
        })?;
        let claims = map.read_or("claims", Vec::new(), |node| {
            let entries = node.map()?.entries().into_iter();
            entries.map(|(name, node)| Ok((name, claim(&node)?))).collect()
        })?;
        Ok(key.map(|key| Self { key, key_id, algorithm, issuer, audience, claims }))
    }
}

/// Numbers and booleans stay what they are; all else is text.
fn claim(node: &Node) -> Result<serde_json::Value, Reported> {
    let text = node.string()?;
    let plain = || serde_json::from_str(&text).ok().filter(|value: &serde_json::Value| !value.is_string());
    let value = if node.is_quoted() { None } else { plain() };
    Ok(value.unwrap_or_else(|| serde_json::Value::from(text.clone())))
}

impl TlsClientConfig {
    /// Reads a `tls_config` block.
    ///
    /// # Errors
    /// Where a key is wrong, or two keys exclude each other.
    pub fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let versions = [
            ("TLS10", TlsVersion::Tls10),
            ("TLS11", TlsVersion::Tls11),
            ("TLS12", TlsVersion::Tls12),
            ("TLS13", TlsVersion::Tls13),
        ];
        let config = Self {
            ca: plain(&map, "ca", "ca_file")?,
            cert: plain(&map, "cert", "cert_file")?,
            key: secret(&map, "key", "key_file")?,
            server_name: map.read("server_name", Node::string)?.filter(|name| !name.is_empty()),
            insecure_skip_verify: map.read_or("insecure_skip_verify", false, Node::bool)?,
            min_version: map.read("min_version", |node| node.one_of(&versions))?,
            max_version: map.read("max_version", |node| node.one_of(&versions))?,
        };
        if config.cert.is_some() != config.key.is_some() {
            return Err(map.error("a client certificate needs both cert or cert_file, and key or key_file"));
        }
        if let (Some(min), Some(max)) = (config.min_version, config.max_version)
            && min > max
        {
            return Err(map.error("min_version is newer than max_version"));
        }
        if config.max_version.is_some_and(|max| max < TlsVersion::Tls12) {
            return Err(map.error("TLS 1.0 and 1.1 are not spoken: set max_version to TLS12 or TLS13"));
        }
        map.finish()?;
        Ok(config)
    }
}

impl ProxyConfig {
    fn read_inline(map: &Map) -> Result<Self, Reported> {
        let config = Self {
            url: map
                .read("proxy_url", |node| {
                    node.mark_secret();
                    node.parse_with(|text| if text.is_empty() { Ok(None) } else { parse_url(text).map(Some) })
                })?
                .flatten(),
            no_proxy: map.read("no_proxy", Node::string)?.filter(|hosts| !hosts.is_empty()),
            from_environment: map.read_or("proxy_from_environment", false, Node::bool)?,
            connect_headers: map.read_or("proxy_connect_header", Vec::new(), |node| {
                let entries = node.map()?.entries().into_iter();
                entries.map(|(name, values)| Ok((name, values.list_of(Node::secret)?))).collect()
            })?,
        };
        let has_proxy = config.from_environment || config.url.is_some();
        if !config.connect_headers.is_empty() && !has_proxy {
            return Err(map.error("proxy_connect_header needs proxy_url or proxy_from_environment"));
        }
        for (name, _) in &config.connect_headers {
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(map.error(format_args!("proxy_connect_header: {name:?} is not a header's name")));
            }
        }
        if config.from_environment && (config.url.is_some() || config.no_proxy.is_some()) {
            return Err(map.error("proxy_from_environment cannot be set beside proxy_url or no_proxy"));
        }
        if config.no_proxy.is_some() && config.url.is_none() {
            return Err(map.error("no_proxy needs proxy_url"));
        }
        Ok(config)
    }
}

fn read_headers(node: &Node) -> Result<Vec<(String, HeaderValues)>, Reported> {
    let mut headers = Vec::new();
    for (name, node) in node.map()?.entries() {
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(
                node.error(format_args!("header {name:?} is set by the client and cannot be changed"))
            );
        }
        if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(node.error(format_args!("{name:?} is not a valid header name")));
        }
        let map = node.map()?;
        let values = HeaderValues {
            values: map.read_or("values", Vec::new(), Node::strings)?,
            secrets: map.read_or("secrets", Vec::new(), |list| list.list_of(Node::secret))?,
            files: map.read_or("files", Vec::new(), |list| list.list_of(Node::file_path))?,
        };
        map.finish()?;
        headers.push((name, values));
    }
    Ok(headers)
}

/// Reads a URL that has a host.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}: write it with its scheme, such as http://host:port"))?;
    if url.has_host() { Ok(url) } else { Err("the URL has no host".to_owned()) }
}

/// A secret or the file that holds it; at most one of both.
fn secret(map: &Map, key: &str, file_key: &str) -> Result<Option<SecretSource>, Reported> {
    map.at_most_one(&[key, file_key])?;
    let inline = map.read(key, Node::secret)?.filter(|secret| !secret.is_empty());
    let file = map.read(file_key, Node::file_path)?.filter(|path| !path.as_os_str().is_empty());
    Ok(inline.map(SecretSource::Inline).or(file.map(SecretSource::File)))
}

/// Like [`secret`] for what may be shown.
fn plain(map: &Map, key: &str, file_key: &str) -> Result<Option<SecretSource>, Reported> {
    map.at_most_one(&[key, file_key])?;
    let inline = map.read(key, Node::string)?.filter(|text| !text.is_empty()).map(Secret::new);
    let file = map.read(file_key, Node::file_path)?.filter(|path| !path.as_os_str().is_empty());
    Ok(inline.map(SecretSource::Inline).or(file.map(SecretSource::File)))
}

#[cfg(test)]
mod tests;
