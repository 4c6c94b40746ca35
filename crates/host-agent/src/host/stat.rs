//! Boot time, context switches, forks, interrupts and the run queue, from /proc/stat.

use super::{CollectError, HostContext};
use crate::page::{Kind, Page};

const FIELDS: [(&str, &str, Kind, &str); 6] = [
    ("btime", "node_boot_time_seconds", Kind::Gauge, "When the machine was booted, as Unix time."),
    ("ctxt", "node_context_switches_total", Kind::Counter, "Context switches."),
    ("intr", "node_intr_total", Kind::Counter, "Interrupts served."),
    ("processes", "node_forks_total", Kind::Counter, "Processes forked."),
    ("procs_running", "node_procs_running", Kind::Gauge, "Processes that can run."),
    ("procs_blocked", "node_procs_blocked", Kind::Gauge, "Processes that wait for I/O."),
];

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let text = ctx.read(&ctx.roots.proc("stat"))?;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        let Some((_, name, kind, help)) = FIELDS.into_iter().find(|field| field.0 == key) else { continue };
        if let Ok(value) = value.parse() {
            page.family(name, kind, help).add(&[], value);
        }
    }
    Ok(())
}
