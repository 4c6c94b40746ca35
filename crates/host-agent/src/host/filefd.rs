//! Open files of the whole machine.

use super::{CollectError, HostContext};
use crate::page::Page;

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let path = ctx.roots.proc("sys/fs/file-nr");
    let text = ctx.read(&path)?;
    let numbers: Vec<f64> = text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [allocated, _, maximum] = numbers[..] else {
        return Err(CollectError::Format { path, what: "three numbers expected".to_owned() });
    };
    page.gauge("node_filefd_allocated", "File descriptors in use on the machine.", allocated);
    page.gauge("node_filefd_maximum", "File descriptors that the machine allows.", maximum);
    Ok(())
}
