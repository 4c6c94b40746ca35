//! How well this member gets on with the others: how long answers to probes take, and how many of the last ones did not come.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use foca::{Codec, Message};

use super::metrics::ClusterMetrics;
use super::peer::PeerCodec;

/// The worst score.
const SCORE_MAX: u32 = 7;

/// Looks at the packets that go and come.
pub(super) struct Pulse {
    metrics: ClusterMetrics,
    /// After how long an answer is missed.
    patience: Duration,
    /// Probes without an answer yet.
    probes: BTreeMap<SocketAddr, Duration>,
    score: u32,
}

impl Pulse {
    pub(super) fn new(metrics: ClusterMetrics, patience: Duration) -> Self {
        Self { metrics, patience, probes: BTreeMap::new(), score: 0 }
    }

    /// A packet goes out.
    pub(super) fn sent(&mut self, packet: &[u8], now: Duration) {
        if let Ok(header) = PeerCodec.decode_header(packet)
            && matches!(header.message, Message::Ping(_))
        {
            self.probes.insert(header.dst.address, now);
        }
    }

    /// A packet has come.
    pub(super) fn received(&mut self, packet: &[u8], now: Duration) {
        let Ok(header) = PeerCodec.decode_header(packet) else {
            return;
        };
        self.metrics.alive.with(&[&header.src.name]).inc();
        if !matches!(header.message, Message::Ack(_)) {
            return;
        }
        if let Some(sent) = self.probes.remove(&header.src.address) {
            self.metrics.pings.with(&[&header.src.name]).observe(now.saturating_sub(sent).as_secs_f64());
            self.score = self.score.saturating_sub(1);
            self.metrics.health_score.set(f64::from(self.score));
        }
    }

    /// Time has passed.
    pub(super) fn look(&mut self, now: Duration) {
        let (before, patience) = (self.probes.len(), self.patience);
        self.probes.retain(|_, sent| now.saturating_sub(*sent) < patience);
        let missed = u32::try_from(before - self.probes.len()).unwrap_or(u32::MAX);
        if missed > 0 {
            self.score = self.score.saturating_add(missed).min(SCORE_MAX);
            self.metrics.health_score.set(f64::from(self.score));
        }
    }
}

#[cfg(test)]
mod tests {
    use foca::Header;
    use telemetry::{Format, Registry};

    use super::super::peer::Peer;
    use super::*;

    #[test]
    fn answers_are_timed_and_missed() {
        let registry = Registry::new();
        let mut pulse = Pulse::new(ClusterMetrics::register(&registry), Duration::from_secs(1));
        let peer = |name: &str, port: u16| Peer {
            name: name.to_owned(),
            ..Peer::unknown(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let packet = |src: Peer, dst: Peer, message: Message<Peer>| {
            let mut bytes = Vec::new();
            let header = Header { src, src_incarnation: 0, dst, message };
            PeerCodec.encode_header(&header, &mut bytes).unwrap();
            bytes
        };
        let (me, other) = (peer("a", 1), peer("b", 2));
        let ping = packet(me.clone(), other.clone(), Message::Ping(1));
        let ack = packet(other, me, Message::Ack(1));
        let at = Duration::from_millis;
        // Missed, then answered in 200 ms; an answer that nobody waits for says that somebody is there.
        pulse.sent(&ping, at(0));
        pulse.look(at(999));
        pulse.look(at(1000));
        let shown = || registry.render(Format::Prometheus);
        assert!(shown().contains("alertmanager_cluster_health_score 1\n"));
        pulse.sent(&ping, at(2000));
        pulse.received(&ack, at(2200));
        pulse.received(&ack, at(2300));
        pulse.received(b"nonsense", at(2300));
        for line in [
            "alertmanager_cluster_health_score 0\n",
            "alertmanager_cluster_pings_seconds_sum{peer=\"b\"} 0.2\n",
            "alertmanager_cluster_pings_seconds_count{peer=\"b\"} 1\n",
            "alertmanager_cluster_alive_messages_total{peer=\"b\"} 2\n",
        ] {
            assert!(shown().contains(line), "{line} in {}", shown());
        }
    }
}
