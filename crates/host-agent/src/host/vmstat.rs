//! Chosen fields of /proc/vmstat.

use super::{CollectError, HostContext, matches};
use crate::page::{Kind, Page};

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let text = ctx.read(&ctx.roots.proc("vmstat"))?;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let wanted = matches(ctx.options.filters.vmstat_fields.as_ref(), key);
        if let (true, Ok(value)) = (wanted, value.trim().parse()) {
            page.family(format!("node_vmstat_{key}"), Kind::Untyped, "A field of /proc/vmstat.")
                .add(&[], value);
        }
    }
    Ok(())
}
