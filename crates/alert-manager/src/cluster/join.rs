//! Finding the others: at the start, when names resolve to other addresses, when somebody was lost; and coming to rest.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::exchange::Exchange;
use super::{Cluster, Ledger};

/// How often the names of peers are resolved again.
const REFRESH_EVERY: Duration = Duration::from_secs(15);
/// How long it waits before it tries again to resolve them at the start.
const RESOLVE_PAUSE: Duration = Duration::from_millis(500);
/// The cluster is at rest when so many looks have found the same members.
const SAME_LOOKS: usize = 3;
/// Gossip intervals between looks.
const LOOK_GOSSIPS: u32 = 10;
/// Addresses that the names of peers stand for, at most.
const ADDRESSES_MAX: usize = 256;

/// The task.
pub(super) async fn run<L: Ledger>(exchange: Exchange<L>) {
    let stopping = exchange.lifecycle.stopping().clone();
    tokio::select! {
        () = join_and_keep(&exchange) => {}
        () = stopping.cancelled() => {}
    }
}

async fn join_and_keep<L: Ledger>(exchange: &Exchange<L>) {
    let options = &exchange.cluster.0.options;
    // Most are alone: they have nobody to wait for.
    if options.peers.is_empty() {
        exchange.cluster.0.settled.send_replace(true);
    }
    let mut known: BTreeSet<SocketAddr> = BTreeSet::new();
    let settle = async {
        if timeout(options.settle_timeout, settle(exchange)).await.is_err() {
            tracing::warn!("cluster has not come to rest, notifications go out all the same");
        }
        exchange.cluster.0.settled.send_replace(true);
    };
    let keep = async {
        let every = |period: Duration| {
            let mut interval = interval_at(Instant::now() + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let mut refresh = every(REFRESH_EVERY);
        let mut reconnect = every(options.reconnect_interval);
        // 0 switches it off, as in the original.
        let is_on = !options.pushpull_interval.is_zero();
        let mut pushpull = every(if is_on { options.pushpull_interval } else { REFRESH_EVERY });
        let mut look = every(options.gossip_interval * 2);
        loop {
            tokio::select! {
                _ = refresh.tick() => rejoin(exchange).await,
                _ = reconnect.tick() => reconnect_lost(exchange).await,
                _ = pushpull.tick() => if is_on { exchange_with_one(exchange).await },
                _ = look.tick() => meet_new(exchange, &mut known).await,
            }
        }
    };
    tokio::join!(settle, keep);
}

async fn resolve(cluster: &Cluster) -> BTreeSet<SocketAddr> {
    let mut addresses = BTreeSet::new();
    for peer in &cluster.0.options.peers {
        match lookup_host(peer).await {
            Ok(found) => addresses.extend(found.take(ADDRESSES_MAX)),
            Err(error) => tracing::debug!(peer, error = %error, "peer's name does not resolve"),
        }
    }
    addresses.remove(&cluster.0.me.address);
    addresses
}

/// Joins, and waits until the same members are found several times.
async fn settle<L: Ledger>(exchange: &Exchange<L>) {
    let options = &exchange.cluster.0.options;
    if options.peers.is_empty() {
        return;
    }
    let resolving = async {
        loop {
            let addresses = resolve(&exchange.cluster).await;
            if !addresses.is_empty() {
                return addresses;
            }
            tokio::time::sleep(RESOLVE_PAUSE).await;
        }
    };
    match timeout(options.resolve_timeout, resolving).await {
        Ok(addresses) => {
            for address in addresses {
                join(exchange, address).await;
            }
        }
        Err(_) => tracing::warn!("no peer's name has resolved to another member"),
    }
    let (mut same, mut before) = (0, None);
    while same < SAME_LOOKS {
        tokio::time::sleep(options.gossip_interval * LOOK_GOSSIPS).await;
        let members = exchange.cluster.status().members;
        same = if before.as_ref() == Some(&members) { same + 1 } else { 0 };
        before = Some(members);
    }
}

async fn join<L: Ledger>(exchange: &Exchange<L>, address: SocketAddr) -> bool {
    exchange.cluster.announce(address);
    match exchange.exchange(address).await {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(address = %address, error = %error, "peer cannot be joined");
            false
        }
    }
}

/// Peers whose names stand for addresses that are no members.
async fn rejoin<L: Ledger>(exchange: &Exchange<L>) {
    let cluster = &exchange.cluster;
    for address in resolve(cluster).await {
        if cluster.is_member(address) || cluster.0.lost.lock().contains_key(&address) {
            continue;
        }
        match join(exchange, address).await {
            true => cluster.0.metrics.refresh_join.inc(),
            false => cluster.0.metrics.refresh_join_failed.inc(),
        }
    }
}

async fn reconnect_lost<L: Ledger>(exchange: &Exchange<L>) {
    let cluster = &exchange.cluster;
    let forget_before = cluster.0.clock.monotonic().checked_sub(cluster.0.options.reconnect_timeout);
    let lost: Vec<SocketAddr> = {
        let mut lost = cluster.0.lost.lock();
        lost.retain(|_, since| forget_before.is_none_or(|limit| *since > limit));
        cluster.0.metrics.failed_peers.set(lost.len() as f64);
        lost.keys().copied().collect()
    };
    for address in lost {
        if !join(exchange, address).await {
            cluster.0.metrics.reconnections_failed.inc();
        }
    }
}

async fn exchange_with_one<L: Ledger>(exchange: &Exchange<L>) {
    let address = {
        let members = exchange.cluster.0.members.read();
        match members.len() {
            0 => return,
            len => members[rand::random_range(0..len)].address,
        }
    };
    if let Err(error) = exchange.exchange(address).await {
        tracing::debug!(address = %address, error = %error, "exchange with a peer failed");
    }
}

/// With everybody who has come, or come back, everything is exchanged at once.
async fn meet_new<L: Ledger>(exchange: &Exchange<L>, known: &mut BTreeSet<SocketAddr>) {
    let members: BTreeSet<SocketAddr> =
        exchange.cluster.0.members.read().iter().map(|peer| peer.address).collect();
    known.retain(|address| members.contains(address));
    for address in members {
        if known.contains(&address) {
            continue;
        }
        match exchange.exchange(address).await {
            Ok(()) => drop(known.insert(address)),
            Err(error) => tracing::debug!(address = %address, error = %error, "exchange with a peer failed"),
        }
    }
}
