//! How the membership protocol's packets get to the others: by UDP, or with TLS over connections that stay open.
//!
//! Such a connection begins as every other one and carries packets one way, each as its length (2 bytes, big-endian) and its
//! bytes. What does not get through is like a packet that is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use service::{BoxError, Lifecycle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Cluster;

/// The first byte after the prefix of a connection that carries packets.
pub(super) const PACKETS: u8 = 2;
/// The largest packet that is read.
const PACKET_BYTES_MAX: usize = 2048;
/// Connections to other members, and to each so many packets that wait.
pub(super) const LINES_MAX: usize = 256;
const WAITING_MAX: usize = 64;
/// After how long without a packet a connection is closed, and how much longer the other side waits for one.
const IDLE: Duration = Duration::from_secs(60);

/// The way of packets.
pub(super) enum Packets {
    Udp { socket: UdpSocket, buf: Vec<u8>, prefix: Vec<u8> },
    Tls { received: mpsc::Receiver<Vec<u8>>, lines: BTreeMap<SocketAddr, mpsc::Sender<Vec<u8>>> },
}

impl Packets {
    pub(super) fn udp(socket: UdpSocket, prefix: Vec<u8>) -> Self {
        Self::Udp { socket, buf: vec![0; PACKET_BYTES_MAX], prefix }
    }

    /// Also where to put the packets that come by connections.
    pub(super) fn tls() -> (Self, mpsc::Sender<Vec<u8>>) {
        let (sender, received) = mpsc::channel(WAITING_MAX);
        (Self::Tls { received, lines: BTreeMap::new() }, sender)
    }

    /// The next packet; none where something came that is not a member's.
    pub(super) async fn receive(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Udp { socket, buf, prefix } => {
                // An error is of an earlier packet that did not arrive.
                let (len, _) = socket.recv_from(buf).await.ok()?;
                buf[..len].strip_prefix(prefix.as_slice()).map(<[u8]>::to_vec)
            }
            Self::Tls { received, .. } => received.recv().await,
        }
    }

    pub(super) async fn send(
        &mut self,
        cluster: &Cluster,
        lifecycle: &Lifecycle,
        to: SocketAddr,
        packet: &[u8],
    ) {
        match self {
            Self::Udp { socket, prefix, .. } => {
                let whole = [prefix.as_slice(), packet].concat();
                socket.send_to(&whole, to).await.ok();
            }
            Self::Tls { lines, .. } => {
                let line = lines.get(&to).filter(|line| !line.is_closed());
                let line = match line {
                    Some(line) => line.clone(),
                    None => {
                        lines.retain(|_, line| !line.is_closed());
                        if lines.len() >= LINES_MAX {
                            return;
                        }
                        let (sender, waiting) = mpsc::channel(WAITING_MAX);
                        lines.insert(to, sender.clone());
                        open_line(cluster, lifecycle, to, waiting);
                        sender
                    }
                };
                line.try_send(packet.to_vec()).ok();
            }
        }
    }
}

fn open_line(cluster: &Cluster, lifecycle: &Lifecycle, to: SocketAddr, waiting: mpsc::Receiver<Vec<u8>>) {
    let (cluster, stopping) = (cluster.clone(), lifecycle.stopping().clone());
    lifecycle.spawn("cluster-line", async move {
        tokio::select! {
            result = carry(&cluster, to, waiting) => {
                if let Err(error) = result {
                    tracing::debug!(address = %to, error = %error, "connection for a peer's packets failed");
                }
            }
            () = stopping.cancelled() => {}
        }
    });
}

async fn carry(
    cluster: &Cluster,
    to: SocketAddr,
    mut waiting: mpsc::Receiver<Vec<u8>>,
) -> Result<(), BoxError> {
    let patience = cluster.0.options.tcp_timeout;
    let mut stream = cluster.connect(to).await?;
    let mut frame = cluster.0.options.prefix();
    frame.push(PACKETS);
    while let Ok(Some(packet)) = timeout(IDLE, waiting.recv()).await {
        let len = u16::try_from(packet.len())?;
        frame.extend_from_slice(&len.to_be_bytes());
        frame.extend_from_slice(&packet);
        timeout(patience, stream.write_all(&frame)).await??;
        timeout(patience, stream.flush()).await??;
        frame.clear();
    }
    timeout(patience, stream.shutdown()).await??;
    Ok(())
}

/// Takes packets from a connection until it ends.
pub(super) async fn take_in(
    reader: &mut (impl AsyncRead + Unpin),
    packets: &mpsc::Sender<Vec<u8>>,
) -> Result<(), BoxError> {
    loop {
        let Ok(len) = timeout(IDLE * 2, reader.read_u16()).await? else {
            return Ok(());
        };
        let len = usize::from(len);
        if len > PACKET_BYTES_MAX {
            return Err(format!("a packet has {len} bytes, at most {PACKET_BYTES_MAX} are read").into());
        }
        let mut packet = vec![0; len];
        timeout(IDLE, reader.read_exact(&mut packet)).await??;
        packets.send(packet).await?;
    }
}
