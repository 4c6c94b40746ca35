//! Sockets by protocol, from /proc/net/sockstat and sockstat6.

use super::{CollectError, HostContext};
use crate::page::Page;

/// Bytes in a page of memory on the architectures that we build for.
const PAGE_BYTES: f64 = 4096.0;

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let ipv4 = ctx.read(&ctx.roots.net("sockstat"))?;
    // A kernel without IPv6 has no such file.
    let ipv6 = ctx.read(&ctx.roots.net("sockstat6")).unwrap_or_default();
    render(&ipv4, page);
    render(&ipv6, page);
    Ok(())
}

fn render(text: &str, page: &mut Page) {
    for line in text.lines() {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        for pair in words.chunks_exact(2) {
            let Ok(value) = pair[1].parse::<f64>() else { continue };
            let help = "Sockets or their memory by protocol.";
            page.gauge(format!("node_sockstat_{protocol}_{}", pair[0]), help, value);
            if pair[0] == "mem" {
                page.gauge(format!("node_sockstat_{protocol}_mem_bytes"), help, value * PAGE_BYTES);
            }
        }
    }
}
