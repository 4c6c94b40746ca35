//! Block devices, from /proc/diskstats and udev's database.

use super::{CollectError, HostContext, matches};
use crate::files::{read_text, read_trimmed};
use crate::page::{Kind, Page};

/// What the kernel counts sectors in, whatever the device's own size is.
const SECTOR_BYTES: f64 = 512.0;
const MILLISECONDS: f64 = 0.001;

/// Columns after the device's name, in order: metric, factor, help. `io_now` alone is no counter.
const COLUMNS: [(&str, f64, &str); 17] = [
    ("node_disk_reads_completed_total", 1.0, "Reads completed."),
    ("node_disk_reads_merged_total", 1.0, "Reads merged."),
    ("node_disk_read_bytes_total", SECTOR_BYTES, "Bytes read."),
    ("node_disk_read_time_seconds_total", MILLISECONDS, "Seconds spent by all reads."),
    ("node_disk_writes_completed_total", 1.0, "Writes completed."),
    ("node_disk_writes_merged_total", 1.0, "Writes merged."),
    ("node_disk_written_bytes_total", SECTOR_BYTES, "Bytes written."),
    ("node_disk_write_time_seconds_total", MILLISECONDS, "Seconds spent by all writes."),
    ("node_disk_io_now", 1.0, "Requests in progress."),
    ("node_disk_io_time_seconds_total", MILLISECONDS, "Seconds with a request in progress."),
    (
        "node_disk_io_time_weighted_seconds_total",
        MILLISECONDS,
        "Seconds with requests in progress, weighted.",
    ),
    ("node_disk_discards_completed_total", 1.0, "Discards completed."),
    ("node_disk_discards_merged_total", 1.0, "Discards merged."),
    ("node_disk_discarded_sectors_total", 1.0, "Sectors discarded."),
    ("node_disk_discard_time_seconds_total", MILLISECONDS, "Seconds spent by all discards."),
    ("node_disk_flush_requests_total", 1.0, "Flushes completed."),
    ("node_disk_flush_requests_time_seconds_total", MILLISECONDS, "Seconds spent by all flushes."),
];

/// A line of /proc/diskstats.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DiskStats {
    /// The device's major number.
    pub(crate) major: u32,
    /// The device's minor number.
    pub(crate) minor: u32,
    /// The device's name.
    pub(crate) device: String,
    /// The counters, as many as this kernel has.
    pub(crate) columns: Vec<f64>,
}

/// Reads /proc/diskstats. Lines that are no device are skipped.
pub(crate) fn parse(text: &str) -> Vec<DiskStats> {
    let mut disks = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        let columns: Vec<f64> = words.map_while(|word| word.parse().ok()).take(COLUMNS.len()).collect();
        if columns.len() >= 11 {
            disks.push(DiskStats { major, minor, device: device.to_owned(), columns });
        }
    }
    disks
}

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let text = ctx.read(&ctx.roots.proc("diskstats"))?;
    let filters = &ctx.options.filters;
    for disk in parse(&text) {
        let included =
            filters.diskstats_include.as_ref().is_none_or(|include| include.is_match(&disk.device));
        if !included || matches(filters.diskstats_exclude.as_ref(), &disk.device) {
            continue;
        }
        for ((metric, factor, help), value) in COLUMNS.into_iter().zip(&disk.columns) {
            let kind = if metric == "node_disk_io_now" { Kind::Gauge } else { Kind::Counter };
            page.family(metric, kind, help).add(&[("device", &disk.device)], value * factor);
        }
        render_info(ctx, &disk, page);
    }
    Ok(())
}

fn render_info(ctx: &HostContext, disk: &DiskStats, page: &mut Page) {
    let (major, minor) = (disk.major.to_string(), disk.minor.to_string());
    let udev = ctx.roots.host_path("run/udev/data").join(format!("b{major}:{minor}"));
    let database = read_text(&udev).unwrap_or_default();
    let property = |names: &[&str]| {
        let found = names.iter().find_map(|name| {
            database.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(name)?.strip_prefix('='))
        });
        found.unwrap_or_default().to_owned()
    };
    let rotational =
        read_trimmed(&ctx.roots.sys("block").join(&disk.device).join("queue/rotational")).unwrap_or_default();
    page.family("node_disk_info", Kind::Gauge, "Attributes of a block device.").add(
        &[
            ("device", &disk.device),
            ("major", &major),
            ("minor", &minor),
            ("model", &property(&["ID_MODEL"])),
            ("path", &property(&["ID_PATH"])),
            ("revision", &property(&["ID_REVISION"])),
            ("rotational", &rotational),
            ("serial", &property(&["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT"])),
            ("wwn", &property(&["ID_WWN"])),
        ],
        1.0,
    );
}
