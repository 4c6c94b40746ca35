//! Sockets, and the errors that name their flag.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::failure::Failure;

/// A bound socket that nobody answers yet.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`: `host:port`, `:port` for all interfaces, port 0 for any free one. `flag` is the flag or key that
    /// sets it, for the error.
    pub async fn bind(address: &str, flag: &str) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::usage(refused(address, flag, &error));
        let bound = match address.strip_prefix(':') {
            Some(port) => bind_all(port).await,
            None => TcpListener::bind(address).await,
        };
        let socket = bound.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        Ok(Self { socket, address })
    }

    /// The address with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// All interfaces, of IPv6 too where the machine has it.
async fn bind_all(port: &str) -> io::Result<TcpListener> {
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        bound => bound,
    }
}

fn refused(address: &str, flag: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another process: stop it, or choose another address with {flag}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("this user may not listen on {address}: choose a port above 1023 with {flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is no address of this machine: choose another one with {flag}")
        }
        _ => format!("cannot listen on {address} ({flag}): {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bare_port_listens_on_all_interfaces() {
        let listener = Listener::bind(":0", "--web.listen-address").await.unwrap();
        let address = format!("127.0.0.1:{}", listener.address().port());
        assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    }

    #[tokio::test]
    async fn a_taken_port_names_its_flag() {
        let first = Listener::bind("127.0.0.1:0", "--web.listen-address").await.unwrap();
        let address = first.address().to_string();
        let failure = Listener::bind(&address, "--web.listen-address").await.unwrap_err();
        let expected = format!(
            "{address} is taken by another process: stop it, or choose another address with --web.listen-address"
        );
        assert_eq!((failure.exit_code, failure.to_string()), (2, expected));
    }
}
