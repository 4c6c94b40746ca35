//! TLS towards servers.

use std::path::Path;
use std::sync::Arc;

use config::Secret;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::{SecretSource, TlsClientConfig, TlsVersion};
use crate::error::HttpClientError;

/// Where systems keep their certificate authorities.
const SYSTEM_CA_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// The texts of all files that the settings name: a change of one means a new client.
pub(crate) type Materials = [Option<Secret>; 3];

/// Reads the files. Blocks.
pub(crate) fn read_materials(config: &TlsClientConfig) -> Result<Materials, HttpClientError> {
    let one = |key, source: &Option<SecretSource>| source.as_ref().map(|source| source.read(key)).transpose();
    Ok([one("ca_file", &config.ca)?, one("cert_file", &config.cert)?, one("key_file", &config.key)?])
}

/// Builds the TLS side of a client. Blocks, as it may read the system's authorities.
pub(crate) fn client_config(
    config: &TlsClientConfig,
    materials: &Materials,
    enable_http2: bool,
) -> Result<ClientConfig, HttpClientError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(config, materials[0].as_ref(), &provider)?;
    let versions = versions(config);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut client = match (&materials[1], &materials[2]) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates("cert", cert)?, private_key(key)?)
            .map_err(|error| tls(format!("client certificate: {error}")))?,
        _ => builder.with_no_client_auth(),
    };
    if enable_http2 {
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(client)
}

/// The TLS side of a client of another protocol than HTTP. Blocks, as it reads the files that the settings name.
///
/// # Errors
/// Where they cannot be read or used.
pub fn tls_client(config: &TlsClientConfig) -> Result<Arc<ClientConfig>, HttpClientError> {
    client_config(config, &read_materials(config)?, false).map(Arc::new)
}

fn versions(config: &TlsClientConfig) -> Vec<&'static rustls::SupportedProtocolVersion> {
    let (min, max) =
        (config.min_version.unwrap_or(TlsVersion::Tls12), config.max_version.unwrap_or(TlsVersion::Tls13));
    let known = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    known
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, version)| version)
        .collect()
}

fn verifier(
    config: &TlsClientConfig,
    ca: Option<&Secret>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, HttpClientError> {
    if config.insecure_skip_verify {
        return Ok(Arc::new(AnyCertificate(Arc::clone(provider))));
    }
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in certificates("ca", pem)? {
                roots.add(certificate).map_err(|error| tls(format!("ca: {error}")))?;
            }
        }
        None => add_system_roots(&mut roots),
    }
    if roots.is_empty() {
        // Without any authority there is nothing to verify with: plain HTTP still works, HTTPS fails when used.
        return Ok(Arc::new(NoCertificate(Arc::clone(provider))));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| tls(error.to_string()))?;
    let Some(name) = &config.server_name else {
        return Ok(verifier);
    };
    let name = ServerName::try_from(name.clone())
        .map_err(|_| tls(format!("server_name {name:?} is not a name or an address")))?;
    Ok(Arc::new(OtherName { verifier, name }))
}

fn add_system_roots(roots: &mut RootCertStore) {
    for path in SYSTEM_CA_FILES {
        let Ok(pem) = std::fs::read(path) else {
            continue;
        };
        // A bundle may hold a certificate that rustls does not take; the others still count.
        let mut pem = pem.as_slice();
        roots.add_parsable_certificates(rustls_pemfile::certs(&mut pem).filter_map(Result::ok));
        return;
    }
}

fn certificates(key: &str, pem: &Secret) -> Result<Vec<CertificateDer<'static>>, HttpClientError> {
    let found: Result<Vec<_>, _> = rustls_pemfile::certs(&mut pem.expose().as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(tls(format!("{key} holds no PEM certificate"))),
        Err(error) => Err(tls(format!("{key}: {error}"))),
    }
}

pub(crate) fn private_key(pem: &Secret) -> Result<PrivateKeyDer<'static>, HttpClientError> {
    match rustls_pemfile::private_key(&mut pem.expose().as_bytes()) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(tls("key holds no PEM private key".to_owned())),
        Err(error) => Err(tls(format!("key: {error}"))),
    }
}

fn tls(reason: String) -> HttpClientError {
    HttpClientError::Tls { reason }
}

impl SecretSource {
    /// The text; a file is read anew. Blocks.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(crate) fn read(&self, key: &'static str) -> Result<Secret, HttpClientError> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(key, path),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

pub(crate) fn read_file(key: &'static str, path: &Path) -> Result<Secret, HttpClientError> {
    Secret::read_file(path).map_err(|source| HttpClientError::File { key, path: path.to_owned(), source })
}

/// Takes the server's certificate for another name than the URL's host.
#[derive(Debug)]
struct OtherName {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

/// `insecure_skip_verify`
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

/// No authorities are known.
#[derive(Debug)]
struct NoCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for OtherName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Both of the verifiers without authorities check signatures alike and differ in what they say of certificates.
macro_rules! signatures_by_provider {
    ($verifier:ident, $answer:expr) => {
        impl ServerCertVerifier for $verifier {
            fn verify_server_cert(
                &self,
                _end_entity: &CertificateDer<'_>,
                _intermediates: &[CertificateDer<'_>],
                _server_name: &ServerName<'_>,
                _ocsp_response: &[u8],
                _now: UnixTime,
            ) -> Result<ServerCertVerified, rustls::Error> {
                $answer
            }

            fn verify_tls12_signature(
                &self,
                message: &[u8],
                cert: &CertificateDer<'_>,
                dss: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, rustls::Error> {
                verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
            }

            fn verify_tls13_signature(
                &self,
                message: &[u8],
                cert: &CertificateDer<'_>,
                dss: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, rustls::Error> {
                verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
            }

            fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
                self.0.signature_verification_algorithms.supported_schemes()
            }
        }
    };
}

signatures_by_provider!(AnyCertificate, Ok(ServerCertVerified::assertion()));
signatures_by_provider!(
    NoCertificate,
    Err(rustls::Error::General(
        "no certificate authorities found on this system: set tls_config.ca_file".to_owned()
    ))
);
