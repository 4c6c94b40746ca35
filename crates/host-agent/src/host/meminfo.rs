//! Memory: every line of /proc/meminfo.

use super::{CollectError, HostContext};
use crate::page::Page;

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let path = ctx.roots.proc("meminfo");
    let text = ctx.read(&path)?;
    let fields = parse(&text);
    if fields.is_empty() {
        return Err(CollectError::Format { path, what: "no line of the form `Name: 123 kB`".to_owned() });
    }
    for (name, value) in fields {
        page.gauge(format!("node_memory_{name}"), "A field of /proc/meminfo.", value);
    }
    Ok(())
}

/// Names as metrics have them (`Active(anon)` is `Active_anon_bytes`) and values in bytes or, without a unit, as they stand.
pub(crate) fn parse(text: &str) -> Vec<(String, f64)> {
    let mut fields = Vec::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next().and_then(|word| word.parse::<f64>().ok()) else { continue };
        let mut name = name.replace('(', "_").replace(')', "");
        match words.next() {
            Some("kB") => {
                name.push_str("_bytes");
                fields.push((name, value * 1024.0));
            }
            _ => fields.push((name, value)),
        }
    }
    fields
}
