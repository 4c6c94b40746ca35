//! Prometheus' web configuration file: TLS, users, headers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Document, Map, Node, Reported, Secret};
use http::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use crate::failure::Failure;
use crate::tls::{ClientAuth, TlsFiles};

/// The file with its defaults.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// TLS, where it is on.
    pub(crate) tls: Option<TlsFiles>,
    /// bcrypt hashes by user; nobody has to log in where it is empty.
    pub(crate) users: BTreeMap<String, Secret>,
    /// Headers of every answer.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether HTTP/2 is answered.
    pub(crate) http2: bool,
}

/// What is in force: the file with its certificates read.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    pub(crate) config: WebConfig,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Web {
    /// Without a file: no TLS, no users.
    pub(crate) fn open() -> Self {
        Self { config: WebConfig { http2: true, ..WebConfig::default() }, tls: None }
    }

    /// Reads the file and the certificates that it names. Blocks.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let config = Document::load(path)?.read(WebConfig::read)?.value;
        let http2 = config.http2;
        let tls = match &config.tls {
            Some(files) => {
                Some(files.server_config(http2).map_err(|error| Failure::usage(error.to_string()))?)
            }
            None => None,
        };
        Ok(Self { config, tls })
    }
}

impl WebConfig {
    /// Reads a file and the certificates that it names, as a server would, and says what it warns of. Blocks.
    ///
    /// # Errors
    /// Where the file or what it names cannot be used.
    pub fn check(path: &Path) -> Result<Vec<String>, Failure> {
        let loaded = Document::load(path)?.read(Self::read)?;
        if let Some(files) = &loaded.value.tls {
            files
                .server_config(loaded.value.http2)
                .map_err(|error| Failure::usage(crate::failure::error_chain(&error)))?;
        }
        Ok(loaded.warnings.iter().map(ToString::to_string).collect())
    }

    /// Reads the file's tree.
    pub fn read(root: &Node) -> Result<Self, Reported> {
        let map = root.map()?;
        let mut web = Self { http2: true, ..Self::default() };
        map.read("tls_server_config", |node| {
            web.tls = read_tls(&node.map()?)?;
            Ok(())
        })?;
        map.read("http_server_config", |node| read_http(&node.map()?, &mut web))?;
        map.read("basic_auth_users", |node| {
            for (user, hash) in node.map()?.entries() {
                let secret = hash.secret()?;
                if !is_bcrypt(secret.expose()) {
                    return Err(hash.error("expected a bcrypt hash, as htpasswd -nBC 10 \"\" makes it"));
                }
                web.users.insert(user, secret);
            }
            Ok(())
        })?;
        map.finish()?;
        Ok(web)
    }
}

/// A `tls_server_config` block of another file, with its certificates read, for a protocol that is not HTTP. Blocks.
///
/// # Errors
/// Where the block is empty, or it or what it names cannot be used.
pub fn tls_server(node: &Node) -> Result<Arc<ServerConfig>, Reported> {
    let Some(files) = read_tls(&node.map()?)? else {
        return Err(node.error("cert_file and key_file (or cert and key) are both needed"));
    };
    let config =
        files.server_config(false).map_err(|error| node.error(crate::failure::error_chain(&error)))?;
    let mut config = ServerConfig::clone(&config);
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

fn is_bcrypt(hash: &str) -> bool {
    hash.len() == 60 && ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix))
}

fn read_http(map: &Map, web: &mut WebConfig) -> Result<(), Reported> {
    map.set(&mut web.http2, "http2", Node::bool);
    map.read("headers", |node| {
        for (name, value) in node.map()?.entries() {
            let text = value.string()?;
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| value.error("not the name of a header"))?;
            let text = HeaderValue::from_str(&text).map_err(|_| value.error("not a header's value"))?;
            web.headers.push((name, text));
        }
        Ok(())
    })?;
    map.finish()
}

/// An empty block is no TLS, as with the original.
fn read_tls(map: &Map) -> Result<Option<TlsFiles>, Reported> {
    let path = |key: &str| map.read_or(key, PathBuf::new(), Node::file_path);
    let (cert_file, key_file, client_ca_file) =
        (path("cert_file")?, path("key_file")?, path("client_ca_file")?);
    let cert = map.read_or("cert", String::new(), Node::string)?;
    let key = map.read_or("key", Secret::default(), Node::secret)?;
    let client_ca = map.read_or("client_ca", String::new(), Node::string)?;
    let client_auth = map.read_or("client_auth_type", ClientAuth::None, |node| {
        node.one_of(&[
            ("", ClientAuth::None),
            ("NoClientCert", ClientAuth::None),
            ("RequestClientCert", ClientAuth::Optional),
            ("VerifyClientCertIfGiven", ClientAuth::Optional),
            ("RequireAnyClientCert", ClientAuth::Required),
            ("RequireAndVerifyClientCert", ClientAuth::Required),
        ])
    })?;
    let versions = [("TLS10", 10), ("TLS11", 11), ("TLS12", 12), ("TLS13", 13)];
    let min_version = map.read_or("min_version", 12, |node| node.one_of(&versions))?;
    let max_version = map.read_or("max_version", 13, |node| node.one_of(&versions))?;
    map.without_meaning(
        &["cipher_suites", "curve_preferences", "prefer_server_cipher_suites"],
        "only current cipher suites and curves are built in",
    );
    let client_allowed_sans = map.read_or("client_allowed_sans", Vec::new(), Node::strings)?;
    if !client_allowed_sans.is_empty() {
        return Err(map.error("client_allowed_sans is known but not built yet: remove it"));
    }
    map.finish()?;
    if min_version > max_version || max_version < 12 {
        return Err(map.error("min_version and max_version leave no version: TLS12 and TLS13 are built in"));
    }
    let files = TlsFiles {
        cert_file,
        key_file,
        client_ca_file,
        cert,
        key,
        client_ca,
        client_auth,
        tls12: min_version <= 12,
        tls13: max_version >= 13,
    };
    if files.is_empty() {
        return Ok(None);
    }
    if !files.has_pair() {
        return Err(map.error("cert_file and key_file (or cert and key) are both needed"));
    }
    if client_auth == ClientAuth::Required && !files.has_client_ca() {
        return Err(map.error("client_auth_type asks for client certificates: set client_ca_file"));
    }
    Ok(Some(files))
}

#[cfg(test)]
mod tests;
