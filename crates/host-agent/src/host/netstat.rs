//! Chosen counters of the network protocols, from /proc/net/netstat, snmp and snmp6.

use super::{CollectError, HostContext, matches};
use crate::page::{Kind, Page};

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let mut fields = parse_tables(&ctx.read(&ctx.roots.net("netstat"))?);
    fields.extend(parse_tables(&ctx.read(&ctx.roots.net("snmp"))?));
    fields.extend(parse_snmp6(&ctx.read(&ctx.roots.net("snmp6")).unwrap_or_default()));
    for (key, value) in fields {
        if matches(ctx.options.filters.netstat_fields.as_ref(), &key) {
            let help = "A counter of a network protocol.";
            page.family(format!("node_netstat_{key}"), Kind::Untyped, help).add(&[], value);
        }
    }
    Ok(())
}

/// Pairs of lines: names, then values, both beginning with `Protocol:`.
fn parse_tables(text: &str) -> Vec<(String, f64)> {
    let mut fields = Vec::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (Some((protocol, names)), Some((_, values))) = (names.split_once(':'), values.split_once(':'))
        else {
            continue;
        };
        for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
            if let Ok(value) = value.parse() {
                fields.push((format!("{protocol}_{name}"), value));
            }
        }
    }
    fields
}

/// Lines such as `Ip6InOctets 5`, where the protocol ends with its `6`.
fn parse_snmp6(text: &str) -> Vec<(String, f64)> {
    let mut fields = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        let (Some(six), Ok(value)) = (key.find('6'), value.parse()) else { continue };
        fields.push((format!("{}_{}", &key[..=six], &key[six + 1..]), value));
    }
    fields
}
