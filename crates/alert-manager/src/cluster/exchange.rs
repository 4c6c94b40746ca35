//! Exchanges over TCP, or TLS: everything between two members, and single changes that gossip does not carry.
//!
//! A connection begins with the cluster's prefix and a byte that says what follows. Changes go as their length (4 bytes,
//! big-endian) and their bytes; the length 0 ends them. In an exchange the caller goes first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service::{BoxError, Lifecycle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::change::{CHANGE_BYTES_MAX, Change};
use super::metrics::{FULL_STATE, GOSSIP};
use super::packets::{self, LINES_MAX, PACKETS};
use super::{CONNECTIONS_MAX, Cluster, Connection, Ledger};

/// The most changes of one exchange.
const CHANGES_MAX: usize = 4_000_000;
/// How many are merged at a time.
const BATCH: usize = 1000;
/// What follows: an exchange of everything, or changes alone.
const ALL: u8 = 0;
const SOME: u8 = 1;
/// How long it waits before it accepts again after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Exchanges of one member.
#[derive(Clone)]
pub(super) struct Exchange<L> {
    pub(super) cluster: Cluster,
    pub(super) ledger: L,
    pub(super) lifecycle: Lifecycle,
    /// Where packets go that come by connections; none where they come by UDP.
    pub(super) packets: Option<mpsc::Sender<Vec<u8>>>,
}

impl<L: Ledger> Exchange<L> {
    /// Answers the others.
    pub(super) async fn serve(self, listener: TcpListener) {
        let stopping = self.lifecycle.stopping().clone();
        let lines_max = if self.packets.is_some() { LINES_MAX } else { 0 };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX + lines_max));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopping.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, most likely: it passes.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                self.cluster.0.metrics.ignored.inc();
                continue;
            };
            let (exchange, stopping) = (self.clone(), stopping.clone());
            self.lifecycle.spawn("cluster-connection", async move {
                let _place = place;
                tokio::select! {
                    result = exchange.answer(stream) => {
                        if let Err(error) = result {
                            exchange.cluster.0.metrics.ignored.inc();
                            tracing::debug!(error = %error, "exchange with a peer failed");
                        }
                    }
                    () = stopping.cancelled() => {}
                }
            });
        }
    }

    async fn answer(&self, stream: TcpStream) -> Result<(), BoxError> {
        let stream: Box<dyn Connection> = match &self.cluster.0.tls {
            Some(tls) => timeout(self.patience(), tls.accept(stream)).await??,
            None => Box::new(stream),
        };
        let (reader, writer) = split(stream);
        let (mut reader, mut writer) = (BufReader::new(reader), BufWriter::new(writer));
        let prefix = self.cluster.0.options.prefix();
        let mut got = vec![0; prefix.len() + 1];
        timeout(self.patience(), reader.read_exact(&mut got)).await??;
        let wants_all = match (got.strip_prefix(prefix.as_slice()), &self.packets) {
            (Some([ALL]), _) => true,
            (Some([SOME]), _) => false,
            (Some([PACKETS]), Some(packets)) => return packets::take_in(&mut reader, packets).await,
            _ => return Err("another cluster's, or no member".into()),
        };
        self.read(&mut reader).await?;
        if wants_all {
            self.write(&mut writer).await?;
        }
        Ok(())
    }

    /// Exchanges everything with another member.
    pub(super) async fn exchange(&self, address: SocketAddr) -> Result<(), BoxError> {
        let (reader, writer) = split(self.cluster.connect(address).await?);
        let (mut reader, mut writer) = (BufReader::new(reader), BufWriter::new(writer));
        let mut head = self.cluster.0.options.prefix();
        head.push(ALL);
        timeout(self.patience(), writer.write_all(&head)).await??;
        self.write(&mut writer).await?;
        self.read(&mut reader).await
    }

    fn patience(&self) -> Duration {
        self.cluster.0.options.tcp_timeout
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), BoxError> {
        let mut sent = 0;
        for change in self.ledger.snapshot() {
            let bytes = change.encode();
            if bytes.len() > CHANGE_BYTES_MAX {
                continue;
            }
            sent += bytes.len() as u64;
            timeout(self.patience(), write_one(writer, &bytes)).await??;
        }
        writer.write_u32(0).await?;
        timeout(self.patience(), writer.flush()).await??;
        let metrics = &self.cluster.0.metrics;
        metrics.sent.with(&[FULL_STATE]).inc();
        metrics.sent_size.with(&[FULL_STATE]).add(sent);
        Ok(())
    }

    async fn read(&self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), BoxError> {
        let (mut batch, mut received, mut is_done) = (Vec::new(), 0, false);
        for _ in 0..CHANGES_MAX {
            let len = timeout(self.patience(), reader.read_u32()).await?? as usize;
            if len == 0 {
                is_done = true;
                break;
            }
            if len > CHANGE_BYTES_MAX {
                return Err(format!("a change has {len} bytes, at most {CHANGE_BYTES_MAX} are read").into());
            }
            let mut bytes = vec![0; len];
            timeout(self.patience(), reader.read_exact(&mut bytes)).await??;
            received += len as u64;
            batch.push(Change::decode(&bytes)?);
            if batch.len() >= BATCH {
                self.ledger.merge(std::mem::take(&mut batch)).await;
            }
        }
        if !batch.is_empty() {
            self.ledger.merge(batch).await;
        }
        let metrics = &self.cluster.0.metrics;
        metrics.received.with(&[FULL_STATE]).inc();
        metrics.received_size.with(&[FULL_STATE]).add(received);
        if is_done { Ok(()) } else { Err(format!("more than {CHANGES_MAX} changes").into()) }
    }
}

async fn write_one(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    writer.write_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).await?;
    writer.write_all(bytes).await
}

/// Sends a change that is too large for gossip to every member; who is not reached gets it with the next exchange.
pub(super) fn send_large(cluster: &Cluster, bytes: Vec<u8>) {
    let metrics = &cluster.0.metrics;
    if bytes.len() > CHANGE_BYTES_MAX {
        metrics.oversized_dropped.inc();
        return;
    }
    if cluster.0.large.try_send(bytes).is_err() {
        metrics.oversized_dropped.inc();
    }
}

/// The task that sends them.
pub(super) async fn run_large(cluster: Cluster, mut waiting: tokio::sync::mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = waiting.recv().await {
        let addresses: Vec<SocketAddr> = cluster.0.members.read().iter().map(|peer| peer.address).collect();
        let began = cluster.0.clock.monotonic();
        let sends = addresses.into_iter().map(|address| send_one(&cluster, address, &bytes));
        for result in futures::future::join_all(sends).await {
            let metrics = &cluster.0.metrics;
            match result {
                Ok(()) => {
                    metrics.oversized_sent.inc();
                    metrics.sent.with(&[GOSSIP]).inc();
                    metrics.sent_size.with(&[GOSSIP]).add(bytes.len() as u64);
                }
                Err(_) => metrics.oversized_failed.inc(),
            }
        }
        let took = cluster.0.clock.monotonic().saturating_sub(began);
        cluster.0.metrics.oversized_duration.observe_duration(took);
    }
}

async fn send_one(cluster: &Cluster, address: SocketAddr, bytes: &[u8]) -> Result<(), BoxError> {
    let send = async {
        let mut stream = BufWriter::new(cluster.connect(address).await?);
        let mut head = cluster.0.options.prefix();
        head.push(SOME);
        stream.write_all(&head).await?;
        write_one(&mut stream, bytes).await?;
        stream.write_u32(0).await?;
        stream.flush().await?;
        stream.shutdown().await?;
        Ok::<(), BoxError>(())
    };
    timeout(cluster.0.options.tcp_timeout, send).await??;
    Ok(())
}
