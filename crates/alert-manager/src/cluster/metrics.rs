//! The cluster's metrics, under Alertmanager's names.

use telemetry::{Counter, Family, Gauge, Histogram, Registry};

#[derive(Clone, Debug)]
pub(super) struct ClusterMetrics {
    pub(super) members: Gauge,
    pub(super) failed_peers: Gauge,
    pub(super) position: Gauge,
    pub(super) queued: Gauge,
    pub(super) health_score: Gauge,
    pub(super) alive: Family<Counter>,
    pub(super) pings: Family<Histogram>,
    pub(super) peer_info: Family<Gauge>,
    pub(super) joined: Counter,
    pub(super) left: Counter,
    pub(super) updated: Counter,
    pub(super) name_conflicts: Counter,
    pub(super) reconnections: Counter,
    pub(super) reconnections_failed: Counter,
    pub(super) refresh_join: Counter,
    pub(super) refresh_join_failed: Counter,
    pub(super) pruned: Counter,
    pub(super) received: Family<Counter>,
    pub(super) received_size: Family<Counter>,
    pub(super) sent: Family<Counter>,
    pub(super) sent_size: Family<Counter>,
    pub(super) oversized_sent: Counter,
    pub(super) oversized_dropped: Counter,
    pub(super) oversized_failed: Counter,
    pub(super) oversized_duration: Histogram,
    pub(super) ignored: Counter,
    pub(super) silences_propagated: Counter,
    pub(super) log_propagated: Counter,
}

/// What kinds of messages there are: gossip, and the exchange of everything.
pub(super) const GOSSIP: &str = "update";
pub(super) const FULL_STATE: &str = "full_state";

impl ClusterMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(&format!("alertmanager_{name}"), help);
        let gauge = |name: &str, help: &str| registry.gauge(&format!("alertmanager_{name}"), help);
        let by_kind = |name: &str, help: &str| {
            let family =
                registry.counter_family(&format!("alertmanager_cluster_{name}"), help, &["msg_type"]);
            for kind in [GOSSIP, FULL_STATE] {
                family.with(&[kind]);
            }
            family
        };
        Self {
            members: gauge("cluster_members", "Members of the cluster, this one included."),
            failed_peers: gauge("cluster_failed_peers", "Members that are lost and tried again."),
            position: gauge(
                "peer_position",
                "This member's place: it waits so many times for those before it.",
            ),
            queued: gauge("cluster_messages_queued", "Changes that wait to be gossiped."),
            health_score: gauge(
                "cluster_health_score",
                "How many answers to probes were lately missed, less those that came; 0: well.",
            ),
            alive: registry.counter_family(
                "alertmanager_cluster_alive_messages_total",
                "Packets of other members that have come.",
                &["peer"],
            ),
            pings: registry.histogram_family(
                "alertmanager_cluster_pings_seconds",
                "How long answers to probes took.",
                &["peer"],
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
            ),
            peer_info: registry.gauge_family(
                "alertmanager_cluster_peer_info",
                "This member's name.",
                &["peer"],
            ),
            joined: counter("cluster_peers_joined_total", "Members that have come."),
            left: counter("cluster_peers_left_total", "Members that have gone."),
            updated: counter("cluster_peers_update_total", "Members that have come under a new identity."),
            name_conflicts: counter(
                "cluster_peer_name_conflicts_total",
                "Members that have this one's name.",
            ),
            reconnections: counter("cluster_reconnections_total", "Lost members that have come back."),
            reconnections_failed: counter(
                "cluster_reconnections_failed_total",
                "Attempts to reach a lost member that failed.",
            ),
            refresh_join: counter(
                "cluster_refresh_join_total",
                "Attempts to join peers by their names that worked.",
            ),
            refresh_join_failed: counter(
                "cluster_refresh_join_failed_total",
                "Attempts to join peers by their names that failed.",
            ),
            pruned: counter("cluster_messages_pruned_total", "Changes that found the queue full."),
            received: by_kind("messages_received_total", "Messages received."),
            received_size: by_kind("messages_received_size_total", "Bytes of the messages received."),
            sent: by_kind("messages_sent_total", "Messages sent."),
            sent_size: by_kind("messages_sent_size_total", "Bytes of the messages sent."),
            oversized_sent: counter(
                "oversized_gossip_message_sent_total",
                "Changes that were too large for gossip and went by TCP.",
            ),
            oversized_dropped: counter(
                "oversized_gossip_message_dropped_total",
                "Changes that were too large for gossip and found too many under way.",
            ),
            oversized_failed: counter(
                "oversized_gossip_message_failure_total",
                "Changes that were too large for gossip and did not arrive.",
            ),
            oversized_duration: registry.histogram(
                "alertmanager_oversize_gossip_message_duration_seconds",
                "How long it took to send changes that were too large for gossip.",
                &[0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0],
            ),
            ignored: counter(
                "cluster_messages_ignored_total",
                "Packets and connections that were not understood or had another label.",
            ),
            silences_propagated: counter(
                "silences_gossip_messages_propagated_total",
                "Silences that were gossiped.",
            ),
            log_propagated: counter(
                "nflog_gossip_messages_propagated_total",
                "Entries of the notification log that were gossiped.",
            ),
        }
    }
}
