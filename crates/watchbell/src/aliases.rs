//! The compose deployment's names, as they are found in one process: services at their listeners, files in `--conf`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::flags::Flags;

/// `NAME:PORT=ADDRESS` for each service that configuration files reach by its name in the compose deployment.
pub(crate) fn host_aliases(flags: &Flags) -> Vec<String> {
    let all = [
        ("cadvisor:8080", flags.agent),
        ("prometheus:9090", flags.metrics),
        ("loki:3100", flags.logs),
        ("alertmanager:9093", flags.alerts),
        ("grafana:3000", flags.gateway),
    ];
    all.into_iter().map(|(name, address)| format!("{name}={}", reachable(address))).collect()
}

/// An address to connect to: one that listens on all interfaces is reached over loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
    address
}
