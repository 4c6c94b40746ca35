//! Traffic by network device, from /proc/net/dev.

use super::{CollectError, HostContext, matches};
use crate::page::{Kind, Page};

/// The columns of /proc/net/dev, in order: receive, then transmit.
const RECEIVE: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const TRANSMIT: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

/// Counters of one device, as in the file's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetDevice {
    /// The device's name.
    pub(crate) name: String,
    /// The sixteen columns.
    pub(crate) columns: [u64; 16],
}

/// Reads /proc/net/dev. Lines that are no device are skipped.
pub(crate) fn parse(text: &str) -> Vec<NetDevice> {
    let mut devices = Vec::new();
    for line in text.lines().skip(2) {
        // A device's name may hold a colon (an alias), the counters never do.
        let Some((name, counters)) = line.rsplit_once(':') else { continue };
        let mut columns = [0; 16];
        let mut found = 0;
        for (slot, word) in columns.iter_mut().zip(counters.split_ascii_whitespace()) {
            *slot = word.parse().unwrap_or(0);
            found += 1;
        }
        if found == columns.len() {
            devices.push(NetDevice { name: name.trim().to_owned(), columns });
        }
    }
    devices
}

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let text = ctx.read(&ctx.roots.net("dev"))?;
    let filters = &ctx.options.filters;
    for device in parse(&text) {
        let excluded = matches(filters.netdev_exclude.as_ref(), &device.name)
            || filters.netdev_include.as_ref().is_some_and(|include| !include.is_match(&device.name));
        if excluded {
            continue;
        }
        let directions =
            [("receive", RECEIVE, &device.columns[..8]), ("transmit", TRANSMIT, &device.columns[8..])];
        for (direction, names, values) in directions {
            for (name, value) in names.into_iter().zip(values) {
                let metric = format!("node_network_{direction}_{name}_total");
                page.family(metric, Kind::Counter, "A counter of a network device.")
                    .add(&[("device", &device.name)], *value as f64);
            }
        }
        // Not in /proc/net/dev; sysfs has it since Linux 4.6.
        let statistics = ctx.roots.sys("class/net").join(&device.name).join("statistics/rx_nohandler");
        if let Some(value) = crate::files::read_number(&statistics) {
            let help = "A counter of a network device.";
            page.family("node_network_receive_nohandler_total", Kind::Counter, help)
                .add(&[("device", &device.name)], value);
        }
    }
    Ok(())
}
