//! The `healthcheck` subcommand: one GET of the service's own health page.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::failure::Failure;

const TIMEOUT: Duration = Duration::from_secs(5);

/// GETs `url` (`http://host:port/path`) and fails unless the answer is 2xx, or 401: who asks for a password lives. Blocks.
///
/// An `https` service is only connected to: this probe runs beside it and has no certificate to check it by.
pub fn probe(url: &str) -> Result<(), Failure> {
    let fail = |why: String| Failure::runtime(format!("{url}: {why}"));
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/-/healthy"),
    };
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let status =
        get(&address, authority, path, scheme == "https").map_err(|error| fail(error.to_string()))?;
    match status {
        200..=299 | 401 => Ok(()),
        status => Err(fail(format!("answered {status}"))),
    }
}

fn get(address: &str, host: &str, path: &str, connect_only: bool) -> io::Result<u16> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        if connect_only {
            return Ok(200);
        }
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut head = Vec::new();
        stream.take(64).read_to_end(&mut head)?;
        let head = String::from_utf8_lossy(&head);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        return status.ok_or_else(|| io::Error::other("the answer is not HTTP"));
    }
    Err(last)
}
