//! The membership protocol with its timers and its socket; changes go along with its messages.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use foca::{AccumulatingRuntime, BroadcastHandler, Foca, Invalidates, Timer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use service::Lifecycle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::change::{Change, ChangeReadError};
use super::exchange;
use super::metrics::GOSSIP;
use super::packets::Packets;
use super::peer::{Peer, PeerCodec};
use super::pulse::Pulse;
use super::{Cluster, Command, QUEUE_MAX};

/// Larger changes do not go by gossip: a packet holds two of these.
const GOSSIP_BYTES_MAX: usize = 700;
/// How many changes are remembered as known.
const SEEN_MAX: usize = 16_384;
/// The longest wait for a timer.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The task.
pub(super) struct Gossip {
    cluster: Cluster,
    lifecycle: Lifecycle,
    packets: Packets,
    pulse: Pulse,
    commands: mpsc::Receiver<Command>,
    merges: mpsc::Sender<Vec<Change>>,
    foca: Foca<Peer, PeerCodec, StdRng, Inbox>,
    out: AccumulatingRuntime<Peer>,
    inbox: mpsc::UnboundedReceiver<Change>,
    timers: BTreeMap<(Duration, u64), Timer<Peer>>,
    timer_no: u64,
}

impl Gossip {
    pub(super) fn new(
        cluster: Cluster,
        lifecycle: Lifecycle,
        packets: Packets,
        commands: mpsc::Receiver<Command>,
        merges: mpsc::Sender<Vec<Change>>,
    ) -> Self {
        let options = &cluster.0.options;
        // Emptied after each packet, so that it never holds more than one packet's changes.
        let (sender, inbox) = mpsc::unbounded_channel();
        let foca = Foca::with_custom_broadcast(
            cluster.0.me.clone(),
            options.protocol(),
            StdRng::from_os_rng(),
            PeerCodec,
            Inbox { seen: Seen::default(), received: sender },
        );
        let pulse = Pulse::new(cluster.0.metrics.clone(), options.probe_interval);
        Self {
            lifecycle,
            packets,
            pulse,
            commands,
            merges,
            foca,
            out: AccumulatingRuntime::new(),
            inbox,
            timers: BTreeMap::new(),
            timer_no: 0,
            cluster,
        }
    }

    pub(super) async fn run(mut self, stopping: CancellationToken) {
        loop {
            let now = self.cluster.0.clock.monotonic();
            let next = self.timers.first_key_value().map_or(SLEEP_MAX, |((at, _), _)| at.saturating_sub(now));
            tokio::select! {
                received = self.packets.receive() => match received {
                    Some(packet) => self.take_in(&packet),
                    None => self.cluster.0.metrics.ignored.inc(),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Tell(change)) => self.tell(&change),
                    Some(Command::Announce(address)) => {
                        self.foca.announce(Peer::unknown(address), &mut self.out).ok();
                    }
                    None => return,
                },
                () = tokio::time::sleep(next.min(SLEEP_MAX)) => {}
                () = stopping.cancelled() => {
                    self.foca.leave_cluster(&mut self.out).ok();
                    self.send().await;
                    return;
                }
            }
            self.run_timers();
            self.send().await;
        }
    }

    fn run_timers(&mut self) {
        let now = self.cluster.0.clock.monotonic();
        self.pulse.look(now);
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let timer = entry.remove();
            if let Err(error) = self.foca.handle_timer(timer, &mut self.out) {
                tracing::debug!(error = %error, "membership timer failed");
            }
        }
    }

    fn take_in(&mut self, packet: &[u8]) {
        let metrics = &self.cluster.0.metrics;
        self.pulse.received(packet, self.cluster.0.clock.monotonic());
        metrics.received.with(&[GOSSIP]).inc();
        metrics.received_size.with(&[GOSSIP]).add(packet.len() as u64);
        if let Err(error) = self.foca.handle_data(packet, &mut self.out) {
            metrics.ignored.inc();
            tracing::debug!(error = %error, "packet of a peer was not understood");
        }
        let mut changes = Vec::new();
        while let Ok(change) = self.inbox.try_recv() {
            changes.push(change);
        }
        if !changes.is_empty() && self.merges.try_send(changes).is_err() {
            // The next exchange of everything brings them.
            metrics.pruned.inc();
        }
    }

    fn tell(&mut self, change: &Change) {
        let bytes = change.encode();
        let metrics = &self.cluster.0.metrics;
        if bytes.len() > GOSSIP_BYTES_MAX {
            exchange::send_large(&self.cluster, bytes);
            return;
        }
        if self.foca.custom_broadcast_backlog() >= QUEUE_MAX {
            metrics.pruned.inc();
            return;
        }
        let told = self.foca.add_broadcast(&bytes).and_then(|_| self.foca.gossip(&mut self.out));
        if let Err(error) = told {
            tracing::debug!(error = %error, "change was not gossiped");
        }
        metrics.queued.set(self.foca.custom_broadcast_backlog() as f64);
    }

    async fn send(&mut self) {
        let metrics = self.cluster.0.metrics.clone();
        while let Some((peer, data)) = self.out.to_send() {
            self.pulse.sent(&data, self.cluster.0.clock.monotonic());
            // What does not go out is like what gets lost.
            self.packets.send(&self.cluster, &self.lifecycle, peer.address, &data).await;
            metrics.sent.with(&[GOSSIP]).inc();
            metrics.sent_size.with(&[GOSSIP]).add(data.len() as u64);
        }
        let now = self.cluster.0.clock.monotonic();
        while let Some((after, timer)) = self.out.to_schedule() {
            self.timer_no += 1;
            self.timers.insert((now + after, self.timer_no), timer);
        }
        let mut is_changed = false;
        while let Some(notification) = self.out.to_notify() {
            is_changed = true;
            if matches!(notification, foca::OwnedNotification::Rename(..)) {
                metrics.updated.inc();
            }
        }
        if is_changed {
            self.cluster.set_members(self.foca.iter_members().map(|member| member.id().clone()).collect());
        }
        metrics.queued.set(self.foca.custom_broadcast_backlog() as f64);
    }
}

/// What comes along with the protocol's messages: what was not seen before is taken and goes on.
struct Inbox {
    seen: Seen,
    received: mpsc::UnboundedSender<Change>,
}

/// What a change that is being gossiped is about.
struct Subject(u64);

impl Invalidates for Subject {
    fn invalidates(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl BroadcastHandler<Peer> for Inbox {
    type Key = Subject;
    type Error = ChangeReadError;

    fn receive_item(
        &mut self,
        data: &[u8],
        sender: Option<&Peer>,
    ) -> Result<Option<Subject>, ChangeReadError> {
        if !self.seen.insert(hash(data)) {
            return Ok(None);
        }
        let change = Change::decode(data)?;
        let subject = Subject(hash(change.subject().as_bytes()));
        if sender.is_some() {
            // The other end lives in the same task.
            self.received.send(change).ok();
        }
        Ok(Some(subject))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(bytes)
}

/// The latest hashes.
#[derive(Default)]
struct Seen {
    set: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// False where it is known.
    fn insert(&mut self, hash: u64) -> bool {
        if !self.set.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}
