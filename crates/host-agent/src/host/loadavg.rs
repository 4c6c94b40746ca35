//! Load averages.

use super::{CollectError, HostContext};
use crate::page::Page;

const NAMES: [(&str, &str); 3] = [
    ("node_load1", "1m load average."),
    ("node_load5", "5m load average."),
    ("node_load15", "15m load average."),
];

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let path = ctx.roots.proc("loadavg");
    let text = ctx.read(&path)?;
    let loads: Vec<f64> =
        text.split_ascii_whitespace().take(3).filter_map(|word| word.parse().ok()).collect();
    if loads.len() != NAMES.len() {
        return Err(CollectError::Format { path, what: "three numbers expected".to_owned() });
    }
    for ((name, help), load) in NAMES.into_iter().zip(loads) {
        page.gauge(name, help, load);
    }
    Ok(())
}
