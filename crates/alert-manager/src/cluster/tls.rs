//! TLS between members, as `--cluster.tls-config` says: who connects and who is connected to both show certificates.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Document, Node, Reported};
use http_client::TlsClientConfig;
use parking_lot::RwLock;
use service::{BoxError, Failure, error_chain};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Connection;

/// How often the file and its certificates are read again: they are replaced while the service runs.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

/// Both sides of TLS.
#[derive(Clone)]
pub(super) struct ClusterTls(Arc<Inner>);

struct Inner {
    path: PathBuf,
    sides: RwLock<Sides>,
}

#[derive(Clone)]
struct Sides {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl std::fmt::Debug for ClusterTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterTls").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl ClusterTls {
    /// Reads the file and the certificates that it names. Blocks.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let sides = RwLock::new(load(path)?);
        Ok(Self(Arc::new(Inner { path: path.to_owned(), sides })))
    }

    /// Reads everything again now and then; what cannot be read changes nothing.
    pub(super) async fn keep_fresh(self) {
        loop {
            tokio::time::sleep(REFRESH_EVERY).await;
            let path = self.0.path.clone();
            match tokio::task::spawn_blocking(move || load(&path)).await {
                Ok(Ok(sides)) => *self.0.sides.write() = sides,
                Ok(Err(failure)) => {
                    let error = error_chain(&*failure.error);
                    tracing::error!(error, "--cluster.tls-config cannot be read again, the old one stays");
                }
                Err(_) => return,
            }
        }
    }

    /// The server's side of a connection.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<Box<dyn Connection>, BoxError> {
        let acceptor = self.0.sides.read().acceptor.clone();
        Ok(Box::new(acceptor.accept(stream).await?))
    }

    /// The client's side.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        to: SocketAddr,
    ) -> Result<Box<dyn Connection>, BoxError> {
        let connector = self.0.sides.read().connector.clone();
        // The file's `server_name` goes before the address, where it has one.
        Ok(Box::new(connector.connect(ServerName::from(to.ip()), stream).await?))
    }
}

fn load(path: &Path) -> Result<Sides, Failure> {
    let loaded = Document::load(path)?.read(read)?;
    for warning in &loaded.warnings {
        tracing::warn!(warning = %warning, "--cluster.tls-config");
    }
    Ok(loaded.value)
}

fn read(root: &Node) -> Result<Sides, Reported> {
    let map = root.map()?;
    let server = map.required("tls_server_config")?;
    let acceptor = service::tls_server(&server)?;
    let client = map.required("tls_client_config")?;
    let connector = http_client::tls_client(&TlsClientConfig::read(&client)?);
    let connector = connector.map_err(|error| client.error(error))?;
    map.finish()?;
    Ok(Sides { acceptor: TlsAcceptor::from(acceptor), connector: TlsConnector::from(connector) })
}
