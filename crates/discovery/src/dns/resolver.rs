//! Asking name servers: over UDP, over TCP where an answer does not fit, with the search list of the system.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::RecordType;
use super::message::{Answer, Record, answer, question};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const TIMEOUT: Duration = Duration::from_secs(5);
const PORT: u16 = 53;
/// The largest answer over UDP.
const UDP_BYTES_MAX: usize = 4096;

/// Where and how names are looked up.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    /// Name servers in place of the system's.
    servers: Option<Vec<SocketAddr>>,
}

/// What the system says of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with so many dots is tried as it is first.
    ndots: usize,
}

impl Resolver {
    /// Asks the system's name servers; their file is read at each look-up.
    pub(crate) fn system() -> Self {
        Self { servers: None }
    }

    /// Asks these name servers.
    #[cfg(test)]
    pub(crate) fn with_servers(servers: Vec<SocketAddr>) -> Self {
        Self { servers: Some(servers) }
    }

    /// The records of a name. A name that does not exist has none; that no server answers is an error.
    pub(super) async fn look_up(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, String> {
        let settings = match &self.servers {
            Some(servers) => Settings { servers: servers.clone(), search: Vec::new(), ndots: 1 },
            None => {
                let text = tokio::fs::read_to_string(RESOLV_CONF).await;
                parse(&text.map_err(|error| format!("{RESOLV_CONF}: {error}"))?)
            }
        };
        let mut failed = None;
        for name in settings.names(name) {
            match ask_all(&settings.servers, &name, kind).await {
                Ok(Some(records)) => return Ok(records),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        // Only where every name is known not to exist is it certain that there is nothing.
        failed.map_or(Ok(Vec::new()), Err)
    }
}

impl Settings {
    /// The names to try, in order.
    fn names(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut names: Vec<String> =
            self.search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.'))).collect();
        let as_it_is = format!("{name}.");
        if name.matches('.').count() >= self.ndots {
            names.insert(0, as_it_is);
        } else {
            names.push(as_it_is);
        }
        names
    }
}

/// The first server that knows: records, or `None` where the name does not exist.
async fn ask_all(
    servers: &[SocketAddr],
    name: &str,
    kind: RecordType,
) -> Result<Option<Vec<Record>>, String> {
    let mut failed = "no name server is configured".to_owned();
    for server in servers {
        match tokio::time::timeout(TIMEOUT, ask(*server, name, kind)).await {
            Ok(Ok(Answer::Records(records))) => return Ok(Some(records)),
            Ok(Ok(Answer::NoSuchName)) => return Ok(None),
            Ok(Ok(Answer::Truncated)) => failed = format!("{server}: the answer is cut off"),
            Ok(Err(error)) => failed = format!("{server}: {error}"),
            Err(_) => failed = format!("{server}: no answer"),
        }
    }
    Err(failed)
}

async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Result<Answer, String> {
    let failed = |error: std::io::Error| error.to_string();
    // Unpredictable, as the port is, so that nobody else can answer.
    let id = RandomState::new().build_hasher().finish() as u16;
    let question = question(id, name, kind).ok_or("not a name that DNS can hold")?;
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(&question).await.map_err(failed)?;
    let mut buf = vec![0; UDP_BYTES_MAX];
    let length = socket.recv(&mut buf).await.map_err(failed)?;
    match answer(id, &buf[..length], kind)? {
        Answer::Truncated => {}
        answered => return Ok(answered),
    }
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let mut framed = (question.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&question);
    stream.write_all(&framed).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    buf.resize(usize::from(length), 0);
    stream.read_exact(&mut buf).await.map_err(failed)?;
    answer(id, &buf, kind)
}

/// Reads `resolv.conf`.
fn parse(text: &str) -> Settings {
    let mut settings = Settings { ndots: 1, ..Settings::default() };
    for line in text.lines() {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|word| word.split('%').next()?.parse::<IpAddr>().ok());
                settings.servers.extend(address.map(|ip| SocketAddr::new(ip, PORT)));
            }
            Some("search" | "domain") => settings.search = words.map(str::to_owned).collect(),
            Some("options") => {
                let ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                settings.ndots = ndots.unwrap_or(settings.ndots);
            }
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_settings_are_read_and_names_are_tried_in_order() {
        let settings = parse(
            "# c\nnameserver 10.0.0.1\nnameserver fe80::1%eth0 ; x\nsearch a.b c.\noptions ndots:2 rotate\n",
        );
        let addresses: Vec<String> = settings.servers.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1:53", "[fe80::1]:53"]);
        for (name, names) in [
            ("x.", &["x."][..]),
            ("x", &["x.a.b", "x.c", "x."]),
            ("x.y.z", &["x.y.z.", "x.y.z.a.b", "x.y.z.c"]),
        ] {
            assert_eq!(settings.names(name), names, "{name}");
        }
    }
}
