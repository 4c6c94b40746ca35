//! Peers: alert managers that get the same alerts and tell somebody once.
//!
//! Every member is sent all alerts by their sources and decides for itself; what they share is who was told, the silences and
//! the acknowledgements. Changes are gossiped along the membership protocol (SWIM, by `foca`) over UDP; two members exchange
//! everything over TCP when they meet and now and then; with TLS the packets go over connections, too. Of two versions the later one stays, so no order matters. Each member
//! waits before it tells somebody for as many times the peer timeout as there are members before it; what was told by then it
//! does not tell. Whoever is alone, cut off or not understood tells: peers are never a reason to say nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use service::{BoxError, Failure, Lifecycle};
use sys::Clock;
use telemetry::Registry;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tokio::sync::{mpsc, watch};

mod change;
mod exchange;
mod gossip;
mod join;
mod metrics;
mod options;
mod packets;
mod peer;
mod pulse;
#[cfg(test)]
mod tests;
mod tls;

pub use change::{CHANGE_BYTES_MAX, Change, ChangeReadError, check_change};
pub use options::ClusterOptions;
pub use peer::{PacketError, Peer, PeerCodec, check_packet};

use metrics::ClusterMetrics;
use packets::Packets;
use tls::ClusterTls;

/// Changes that wait to be gossiped.
const QUEUE_MAX: usize = 4096;
/// Batches of changes that have come and wait to be stored.
const MERGES_MAX: usize = 256;
/// Connections from other members at a time, and changes that wait as gossip does not carry them.
const CONNECTIONS_MAX: usize = 16;

/// What members share, as it is kept.
pub trait Ledger: Clone + Send + Sync + 'static {
    /// All that the others may need.
    fn snapshot(&self) -> Vec<Change>;
    /// Takes over what is news.
    fn merge(&self, changes: Vec<Change>) -> impl Future<Output = ()> + Send;
}

/// This member of the cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ClusterOptions,
    me: Peer,
    clock: Arc<dyn Clock>,
    metrics: ClusterMetrics,
    /// The others, in order.
    members: RwLock<Vec<Peer>>,
    /// Members that are gone, and since when.
    lost: Mutex<BTreeMap<SocketAddr, Duration>>,
    commands: mpsc::Sender<Command>,
    settled: watch::Sender<bool>,
    large: mpsc::Sender<Vec<u8>>,
    tls: Option<ClusterTls>,
    starting: Mutex<Option<Starting>>,
}

/// What the tasks are made of.
#[derive(Debug)]
struct Starting {
    /// None where packets go by TLS.
    udp: Option<UdpSocket>,
    tcp: TcpListener,
    commands: mpsc::Receiver<Command>,
    large: mpsc::Receiver<Vec<u8>>,
}

/// What the gossiping task is asked for.
#[derive(Debug)]
enum Command {
    Tell(Box<Change>),
    Announce(SocketAddr),
}

/// A connection between two members.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Who is in the cluster, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// This member's name.
    pub name: String,
    /// Whether it has come to rest.
    pub is_settled: bool,
    /// All members with their addresses, this one included.
    pub members: Vec<(String, SocketAddr)>,
}

impl Cluster {
    /// Binds its port.
    pub async fn bind(
        options: ClusterOptions,
        registry: &Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let (udp, tcp) = bind(&options.listen_address).await.map_err(|error| {
            Failure::usage(format!(
                "--cluster.listen-address {}: {error} (leave it empty to work alone)",
                options.listen_address
            ))
        })?;
        let bound = tcp.local_addr().map_err(Failure::runtime)?;
        let towards = match options.peers.first() {
            Some(peer) => lookup_host(peer).await.ok().and_then(|mut addresses| addresses.next()),
            None => None,
        };
        let address = options.advertised(bound, towards)?;
        let tls = match options.tls_config.clone() {
            Some(path) => {
                let loading = tokio::task::spawn_blocking(move || ClusterTls::load(&path));
                Some(loading.await.map_err(Failure::runtime)??)
            }
            None => None,
        };
        let udp = tls.is_none().then_some(udp);
        let metrics = ClusterMetrics::register(registry);
        metrics.peer_info.with(&[&options.name]).set(1.0);
        metrics.members.set(1.0);
        let life = u64::try_from(clock.now_ms()).unwrap_or(0);
        let me = Peer { name: options.name.clone(), address, life };
        tracing::info!(name = me.name, address = %me.address, listen = %bound, "cluster member");
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (large_sender, large) = mpsc::channel(CONNECTIONS_MAX);
        Ok(Self(Arc::new(Inner {
            me,
            options,
            clock,
            metrics,
            members: RwLock::default(),
            lost: Mutex::default(),
            commands: sender,
            settled: watch::Sender::new(false),
            large: large_sender,
            tls,
            starting: Mutex::new(Some(Starting { udp, tcp, commands: receiver, large })),
        })))
    }

    /// Starts its tasks; they end with the service. What comes from others goes into `ledger`.
    pub fn start(&self, ledger: &impl Ledger, lifecycle: &Lifecycle) {
        let Some(Starting { udp, tcp, commands, large }) = self.0.starting.lock().take() else {
            return;
        };
        let (merges, waiting) = mpsc::channel(MERGES_MAX);
        let (cluster, stopping) = (self.clone(), lifecycle.stopping().clone());
        let (packets, by_connections) = match udp {
            Some(udp) => (Packets::udp(udp, cluster.0.options.prefix()), None),
            None => {
                let (packets, sender) = Packets::tls();
                (packets, Some(sender))
            }
        };
        let gossip = gossip::Gossip::new(cluster, lifecycle.clone(), packets, commands, merges);
        lifecycle.spawn("cluster-gossip", async move { gossip.run(stopping).await });
        let (keeper, stopping) = (ledger.clone(), lifecycle.stopping().clone());
        lifecycle.spawn("cluster-merge", async move { merge(keeper, waiting, stopping).await });
        let (sender, stopping) = (self.clone(), lifecycle.stopping().clone());
        lifecycle.spawn("cluster-large", async move {
            tokio::select! {
                () = exchange::run_large(sender, large) => {}
                () = stopping.cancelled() => {}
            }
        });
        let exchange = exchange::Exchange {
            cluster: self.clone(),
            ledger: ledger.clone(),
            lifecycle: lifecycle.clone(),
            packets: by_connections,
        };
        if let Some(tls) = self.0.tls.clone() {
            let stopping = lifecycle.stopping().clone();
            lifecycle.spawn("cluster-tls", async move {
                tokio::select! {
                    () = tls.keep_fresh() => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
        let (server, joiner) = (exchange.clone(), exchange);
        lifecycle.spawn("cluster-exchange", async move { server.serve(tcp).await });
        lifecycle.spawn("cluster-join", async move { join::run(joiner).await });
    }

    /// Tells the others of a change.
    pub fn tell(&self, change: Change) {
        let metrics = &self.0.metrics;
        match &change {
            Change::Silence(_) => metrics.silences_propagated.inc(),
            Change::Told(_) => metrics.log_propagated.inc(),
            Change::Ack(_) | Change::LinkKey(_) => {}
        }
        // Who misses it gets it with the next exchange of everything.
        if self.0.commands.try_send(Command::Tell(Box::new(change))).is_err() {
            metrics.pruned.inc();
        }
    }

    /// Returns once the cluster has come to rest after the start, or that took too long.
    pub async fn settled(&self) {
        // The sender lives as long as we do.
        self.0.settled.subscribe().wait_for(|is_settled| *is_settled).await.ok();
    }

    /// How long to wait for the members before this one.
    pub fn turn(&self) -> Duration {
        self.0.options.peer_timeout.saturating_mul(u32::try_from(self.position()).unwrap_or(u32::MAX))
    }

    /// This member's place among all, from 0.
    pub fn position(&self) -> usize {
        let me = (&self.0.me.name, self.0.me.address);
        self.0.members.read().iter().filter(|peer| (&peer.name, peer.address) < me).count()
    }

    /// Who is in the cluster.
    pub fn status(&self) -> ClusterStatus {
        let me = &self.0.me;
        let mut members: Vec<(String, SocketAddr)> =
            self.0.members.read().iter().map(|peer| (peer.name.clone(), peer.address)).collect();
        members.push((me.name.clone(), me.address));
        members.sort();
        ClusterStatus { name: me.name.clone(), is_settled: *self.0.settled.borrow(), members }
    }

    /// A connection to another member, with whatever encryption there is.
    async fn connect(&self, to: SocketAddr) -> Result<Box<dyn Connection>, BoxError> {
        let connecting = async {
            let stream = TcpStream::connect(to).await?;
            match &self.0.tls {
                Some(tls) => tls.connect(stream, to).await,
                None => Ok(Box::new(stream) as Box<dyn Connection>),
            }
        };
        tokio::time::timeout(self.0.options.tcp_timeout, connecting).await?
    }

    fn announce(&self, address: SocketAddr) {
        if self.0.commands.try_send(Command::Announce(address)).is_err() {
            self.0.metrics.pruned.inc();
        }
    }

    /// Whether an address is another member's.
    fn is_member(&self, address: SocketAddr) -> bool {
        self.0.members.read().iter().any(|peer| peer.address == address)
    }

    fn set_members(&self, mut members: Vec<Peer>) {
        members.sort();
        let (metrics, me, now) = (&self.0.metrics, &self.0.me, self.0.clock.monotonic());
        let mut known = self.0.members.write();
        let mut lost = self.0.lost.lock();
        for gone in known.iter().filter(|peer| !members.iter().any(|other| other.address == peer.address)) {
            lost.insert(gone.address, now);
            metrics.left.inc();
            tracing::warn!(name = gone.name, address = %gone.address, "cluster member lost");
        }
        for new in members.iter().filter(|peer| !known.iter().any(|other| other.address == peer.address)) {
            metrics.joined.inc();
            if lost.remove(&new.address).is_some() {
                metrics.reconnections.inc();
            }
            if new.name == me.name {
                metrics.name_conflicts.inc();
                tracing::error!(name = me.name, address = %new.address, "another cluster member has this one's name");
            }
            tracing::info!(name = new.name, address = %new.address, "cluster member found");
        }
        metrics.members.set((members.len() + 1) as f64);
        metrics.failed_peers.set(lost.len() as f64);
        *known = members;
        drop((known, lost));
        metrics.position.set(self.position() as f64);
    }
}

/// The same port for both; port 0 is any.
async fn bind(address: &str) -> Result<(UdpSocket, TcpListener), BoxError> {
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    let tcp = TcpListener::bind(&address).await?;
    let udp = UdpSocket::bind(tcp.local_addr()?).await?;
    Ok((udp, tcp))
}

/// What has come is stored, several batches at once where they wait.
async fn merge(
    ledger: impl Ledger,
    mut waiting: mpsc::Receiver<Vec<Change>>,
    stopping: tokio_util::sync::CancellationToken,
) {
    loop {
        let first = tokio::select! {
            batch = waiting.recv() => batch,
            () = stopping.cancelled() => return,
        };
        let Some(mut changes) = first else {
            return;
        };
        while let Ok(more) = waiting.try_recv() {
            changes.extend(more);
        }
        ledger.merge(changes).await;
    }
}
