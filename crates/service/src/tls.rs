//! Certificates and keys into a TLS configuration.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::Secret;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    #[default]
    None,
    /// A certificate that is shown is verified.
    Optional,
    /// A verified certificate is needed.
    Required,
}

/// What the web configuration says of TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) client_ca_file: PathBuf,
    pub(crate) cert: String,
    pub(crate) key: Secret,
    pub(crate) client_ca: String,
    pub(crate) client_auth: ClientAuth,
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{what} holds no {wanted} in PEM form")]
    Empty { what: String, wanted: &'static str },
    #[error("TLS certificate, key or client CA is not usable: {0}")]
    Refused(String),
}

impl TlsFiles {
    pub(crate) fn is_empty(&self) -> bool {
        let no_files = self.cert_file.as_os_str().is_empty() && self.key_file.as_os_str().is_empty();
        no_files && self.cert.is_empty() && self.key.is_empty()
    }

    pub(crate) fn has_pair(&self) -> bool {
        let cert = !self.cert_file.as_os_str().is_empty() || !self.cert.is_empty();
        cert && (!self.key_file.as_os_str().is_empty() || !self.key.is_empty())
    }

    pub(crate) fn has_client_ca(&self) -> bool {
        !self.client_ca_file.as_os_str().is_empty() || !self.client_ca.is_empty()
    }

    /// Reads the files. Blocks.
    pub(crate) fn server_config(&self, http2: bool) -> Result<Arc<ServerConfig>, TlsError> {
        let refused = |error: &dyn std::fmt::Display| TlsError::Refused(error.to_string());
        let (what, pem) = source(&self.cert_file, &self.cert, "cert")?;
        let chain = certificates(&what, &pem)?;
        let (what, pem) = source(&self.key_file, self.key.expose(), "key")?;
        let key = private_key(&what, &pem)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut versions = Vec::new();
        if self.tls13 {
            versions.push(&rustls::version::TLS13);
        }
        if self.tls12 {
            versions.push(&rustls::version::TLS12);
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| refused(&error))?;
        let builder = match self.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional | ClientAuth::Required => {
                let (what, pem) = source(&self.client_ca_file, &self.client_ca, "client_ca")?;
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&what, &pem)? {
                    roots.add(certificate).map_err(|error| refused(&error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.client_auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Optional | ClientAuth::None => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| refused(&error))?;
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Arc::new(config))
    }
}

fn source(file: &Path, inline: &str, key: &str) -> Result<(String, Vec<u8>), TlsError> {
    if !inline.is_empty() {
        return Ok((key.to_owned(), inline.as_bytes().to_vec()));
    }
    let pem = std::fs::read(file).map_err(|source| TlsError::Read { path: file.to_owned(), source })?;
    Ok((file.display().to_string(), pem))
}

fn certificates(what: &str, mut pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = rustls_pemfile::certs(&mut pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::Empty { what: what.to_owned(), wanted: "certificate" }),
    }
}

fn private_key(what: &str, mut pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let empty = || TlsError::Empty { what: what.to_owned(), wanted: "private key" };
    rustls_pemfile::private_key(&mut pem).ok().flatten().ok_or_else(empty)
}
