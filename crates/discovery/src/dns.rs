//! `dns_sd_configs`: addresses from DNS records.

mod message;
mod resolver;

use std::time::Duration;

use ::config::{Node, Reported};
use model::Labels;

use crate::meta::{Meta, host_port};
use crate::metrics::Metrics;
use crate::refresh::{Refresh, Refreshed};
use crate::target_group::TargetGroup;
use message::Record;
pub(crate) use resolver::Resolver;

const PREFIX: &str = "__meta_dns_";

/// Names to be resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsConfig {
    /// The names.
    pub names: Vec<String>,
    /// Which records are asked for.
    pub record_type: RecordType,
    /// The port, where the records hold none.
    pub port: u16,
    /// How often.
    pub refresh_interval: Duration,
}

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
    /// Services with their ports.
    Srv,
}

impl DnsConfig {
    pub(crate) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let names = map.required("names")?.strings()?;
        if names.is_empty() {
            return Err(map.error("DNS-SD config must contain at least one SRV record name"));
        }
        let record_type = map.read_or("type", RecordType::Srv, |node| {
            let upper = node.string()?.to_ascii_uppercase();
            let types = [
                ("SRV", RecordType::Srv),
                ("A", RecordType::A),
                ("AAAA", RecordType::Aaaa),
                ("MX", RecordType::Mx),
                ("NS", RecordType::Ns),
            ];
            let found = types.iter().find(|(name, _)| *name == upper).map(|(_, kind)| *kind);
            found.ok_or_else(|| node.error(format_args!("invalid DNS-SD record type {upper:?}")))
        })?;
        let port = map.read("port", Node::integer::<u16>)?.filter(|port| *port != 0);
        if port.is_none() && record_type != RecordType::Srv {
            return Err(map.error("a port is required in DNS-SD configs for all record types except SRV"));
        }
        let refresh_interval = map.read_or("refresh_interval", Duration::from_secs(30), Node::duration)?;
        if refresh_interval.is_zero() {
            return Err(map.error("refresh_interval must be above 0"));
        }
        map.finish()?;
        Ok(Self { names, record_type, port: port.unwrap_or(0), refresh_interval })
    }
}

/// Resolves names again and again.
#[derive(Debug)]
pub(crate) struct DnsDiscovery {
    pub(crate) config: DnsConfig,
    pub(crate) resolver: Resolver,
    pub(crate) metrics: Metrics,
    /// The last good answers, by name.
    pub(crate) known: std::collections::BTreeMap<String, TargetGroup>,
}

impl Refresh for DnsDiscovery {
    fn kind(&self) -> &'static str {
        "dns"
    }

    fn interval(&self) -> Duration {
        self.config.refresh_interval
    }

    fn refresh(&mut self) -> Refreshed<'_> {
        Box::pin(async {
            let mut failed = None;
            for name in &self.config.names {
                self.metrics.dns_lookups.inc();
                match self.resolver.look_up(name, self.config.record_type).await {
                    Ok(records) => {
                        let targets =
                            records.iter().map(|record| target(name, record, self.config.port)).collect();
                        let group = TargetGroup { source: name.clone(), labels: Labels::empty(), targets };
                        self.known.insert(name.clone(), group);
                    }
                    Err(error) => {
                        self.metrics.dns_failures.inc();
                        failed = Some(format!("{name}: {error}"));
                    }
                }
            }
            match failed {
                // A name that cannot be resolved keeps its last targets, the others have their new ones.
                Some(error) if self.known.is_empty() => Err(error),
                Some(error) => {
                    tracing::error!(error, "name cannot be resolved");
                    Ok(self.known.values().cloned().collect())
                }
                None => Ok(self.known.values().cloned().collect()),
            }
        })
    }
}

fn target(name: &str, record: &Record, port: u16) -> Labels {
    let mut meta = Meta::new(PREFIX);
    meta.set("name", name);
    let without_dot = |host: &str| host.trim_end_matches('.').to_owned();
    match record {
        Record::Address(ip) => meta.address(&host_port(&ip.to_string(), port)),
        Record::Service { target, port } => meta
            .set("srv_record_target", target)
            .set("srv_record_port", &port.to_string())
            .address(&host_port(&without_dot(target), port)),
        Record::Mail(host) => {
            meta.set("mx_record_target", host).address(&host_port(&without_dot(host), port))
        }
        Record::NameServer(host) => {
            meta.set("ns_record_target", host).address(&host_port(&without_dot(host), port))
        }
    };
    meta.build()
}
