//! Attributes of network devices, from /sys/class/net.

use super::{CollectError, HostContext, matches};
use crate::files::{names_in, read_number, read_trimmed};
use crate::page::{Kind, Page};

/// Files, metrics and what a value is multiplied with.
const GAUGES: [(&str, &str, f64); 14] = [
    ("addr_assign_type", "node_network_address_assign_type", 1.0),
    ("carrier", "node_network_carrier", 1.0),
    ("dev_id", "node_network_device_id", 1.0),
    ("dormant", "node_network_dormant", 1.0),
    ("flags", "node_network_flags", 1.0),
    ("ifindex", "node_network_iface_id", 1.0),
    ("iflink", "node_network_iface_link", 1.0),
    ("link_mode", "node_network_iface_link_mode", 1.0),
    ("mtu", "node_network_mtu_bytes", 1.0),
    ("name_assign_type", "node_network_name_assign_type", 1.0),
    ("netdev_group", "node_network_net_dev_group", 1.0),
    // The kernel tells Mbit/s.
    ("speed", "node_network_speed_bytes", 125_000.0),
    ("tx_queue_len", "node_network_transmit_queue_length", 1.0),
    ("type", "node_network_protocol_type", 1.0),
];
const COUNTERS: [(&str, &str); 3] = [
    ("carrier_changes", "node_network_carrier_changes_total"),
    ("carrier_up_count", "node_network_carrier_up_changes_total"),
    ("carrier_down_count", "node_network_carrier_down_changes_total"),
];

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let class = ctx.roots.sys("class/net");
    let names = names_in(&class).map_err(|source| CollectError::Read { path: class.clone(), source })?;
    for device in names {
        let dir = class.join(&device);
        if !dir.is_dir() || matches(ctx.options.filters.netclass_exclude.as_ref(), &device) {
            continue;
        }
        let labels = [("device", device.as_str())];
        let text = |name: &str| read_trimmed(&dir.join(name)).unwrap_or_default();
        for (file, metric, factor) in GAUGES {
            let Some(value) = parse_number(&text(file)) else { continue };
            if file != "speed" || value >= 0.0 {
                page.family(metric, Kind::Gauge, "An attribute of a network device.")
                    .add(&labels, value * factor);
            }
        }
        for (file, metric) in COUNTERS {
            if let Some(value) = read_number(&dir.join(file)) {
                page.family(metric, Kind::Counter, "How often the carrier of a network device changed.")
                    .add(&labels, value);
            }
        }
        let operstate = text("operstate");
        let flags = parse_number(&text("flags")).unwrap_or(0.0) as u64;
        let adminstate = if flags & 1 == 1 { "up" } else { "down" };
        let up = if operstate == "up" { 1.0 } else { 0.0 };
        page.family("node_network_up", Kind::Gauge, "Whether operstate is up.").add(&labels, up);
        let (address, broadcast) = (text("address"), text("broadcast"));
        let (duplex, ifalias) = (text("duplex"), text("ifalias"));
        page.family("node_network_info", Kind::Gauge, "Attributes of a network device that are no numbers.")
            .add(
                &[
                    ("address", &address),
                    ("adminstate", adminstate),
                    ("broadcast", &broadcast),
                    ("device", &device),
                    ("duplex", &duplex),
                    ("ifalias", &ifalias),
                    ("operstate", &operstate),
                ],
                1.0,
            );
    }
    Ok(())
}

/// Decimal, or hexadecimal behind `0x`.
fn parse_number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|value| value as f64),
        None => text.parse().ok(),
    }
}
