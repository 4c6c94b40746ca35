//! Endpoints and slices of endpoints: a target for each address and port, and one for each port of a pod behind them that
//! no endpoint names.

use std::collections::BTreeMap;

use model::Labels;
use serde_json::Value;

use super::{Cluster, PREFIX, container_labels, containers, port_labels, service_labels, set_object};
use crate::kubernetes::objects::{Key, Kind, key};
use crate::meta::{Meta, host_port, items, pairs, plain, sanitized, text};

/// The label that tells a slice's service.
const SERVICE_NAME: &str = "/metadata/labels/kubernetes.io~1service-name";

/// The targets of one object as they come together.
struct Targets<'a> {
    cluster: &'a Cluster<'a>,
    targets: Vec<Labels>,
    /// The pods behind the targets, and the ports that endpoints name.
    pods: BTreeMap<Key, (&'a Value, Vec<u64>)>,
}

impl<'a> Targets<'a> {
    fn new(cluster: &'a Cluster<'a>) -> Self {
        Self { cluster, targets: Vec::new(), pods: BTreeMap::new() }
    }

    /// Adds a target; `reference` is what stands behind it.
    fn add(
        &mut self,
        mut target: Meta,
        reference: Option<&Value>,
        port: Option<u64>,
        protocol: Option<&str>,
    ) {
        let is_pod = |reference: &&Value| text(reference, "/kind") == "Pod";
        let pod = reference.filter(is_pod).and_then(|reference| {
            let (namespace, name) = (text(reference, "/namespace"), text(reference, "/name"));
            self.cluster.objects.find(Kind::Pod, namespace, name)
        });
        let Some(pod) = pod else {
            self.targets.push(target.build());
            return;
        };
        target.merge(&self.cluster.pod_labels(pod).build());
        for (container, is_init) in containers(pod) {
            let same = |one: &&Value| port.is_some() && one["containerPort"].as_u64() == port;
            if let Some(container_port) = items(container, "/ports").iter().find(same) {
                container_labels(&mut target, container, is_init);
                port_labels(&mut target, container_port);
                if let Some(protocol) = protocol {
                    target.set("pod_container_port_protocol", protocol);
                }
            }
        }
        self.pods.entry(key(pod)).or_insert((pod, Vec::new())).1.extend(port);
        self.targets.push(target.build());
    }

    /// All targets, with those of ports that no endpoint names.
    fn finish(mut self) -> Vec<Labels> {
        for (pod, named) in self.pods.values() {
            let ip = text(pod, "/status/podIP");
            if ip.is_empty() {
                continue;
            }
            let common = self.cluster.pod_labels(pod);
            for (container, is_init) in containers(pod) {
                let is_named =
                    |port: &&Value| port["containerPort"].as_u64().is_some_and(|n| named.contains(&n));
                for port in items(container, "/ports").iter().filter(|port| !is_named(port)) {
                    let mut target = common.clone();
                    container_labels(&mut target, container, is_init);
                    port_labels(&mut target, port);
                    target.address(&host_port(ip, plain(port, "/containerPort")));
                    self.targets.push(target.build());
                }
            }
        }
        self.targets
    }
}

pub(super) fn of_endpoints(cluster: &Cluster<'_>, endpoints: &Value) -> (Meta, Vec<Labels>) {
    let (namespace, name) = key(endpoints);
    let mut meta = Meta::new(PREFIX);
    meta.set("namespace", &namespace);
    set_object(&mut meta, endpoints, "endpoints");
    if let Some(service) = cluster.objects.find(Kind::Service, &namespace, &name) {
        meta.merge(&service_labels(service).build());
    }
    cluster.namespace_labels(&mut meta, &namespace);
    let mut targets = Targets::new(cluster);
    for subset in items(endpoints, "/subsets") {
        for port in items(subset, "/ports") {
            for (pointer, ready) in [("/addresses", "true"), ("/notReadyAddresses", "false")] {
                for address in items(subset, pointer) {
                    let mut target = Meta::new(PREFIX);
                    let node = text(address, "/nodeName");
                    let reference = address.get("targetRef");
                    target
                        .address(&host_port(text(address, "/ip"), plain(port, "/port")))
                        .set("endpoint_port_name", text(port, "/name"))
                        .set("endpoint_port_protocol", text(port, "/protocol"))
                        .set("endpoint_ready", ready)
                        .set("endpoint_address_target_kind", text(address, "/targetRef/kind"))
                        .set("endpoint_address_target_name", text(address, "/targetRef/name"))
                        .set("endpoint_node_name", node)
                        .set("endpoint_hostname", text(address, "/hostname"));
                    let is_node = text(address, "/targetRef/kind") == "Node";
                    match node {
                        "" if is_node => cluster.node_labels(&mut target, text(address, "/targetRef/name")),
                        node => cluster.node_labels(&mut target, node),
                    }
                    targets.add(target, reference, port["port"].as_u64(), Some(text(port, "/protocol")));
                }
            }
        }
    }
    (meta, targets.finish())
}

pub(super) fn of_slice(cluster: &Cluster<'_>, slice: &Value) -> (Meta, Vec<Labels>) {
    let namespace = text(slice, "/metadata/namespace");
    let mut meta = Meta::new(PREFIX);
    meta.set("namespace", namespace).set("endpointslice_address_type", text(slice, "/addressType"));
    set_object(&mut meta, slice, "endpointslice");
    if let Some(service) = cluster.objects.find(Kind::Service, namespace, text(slice, SERVICE_NAME)) {
        meta.merge(&service_labels(service).build());
    }
    cluster.namespace_labels(&mut meta, namespace);
    let mut targets = Targets::new(cluster);
    for endpoint in items(slice, "/endpoints") {
        for port in items(slice, "/ports") {
            for address in items(endpoint, "/addresses") {
                let address = address.as_str().unwrap_or_default();
                let number = port["port"].as_u64();
                let mut target = Meta::new(PREFIX);
                match number {
                    Some(number) => target.address(&host_port(address, number)),
                    None => target.address(address),
                };
                endpoint_labels(&mut target, endpoint, port);
                let is_node = text(endpoint, "/targetRef/kind") == "Node";
                let node = if is_node { "/targetRef/name" } else { "/nodeName" };
                cluster.node_labels(&mut target, text(endpoint, node));
                targets.add(target, endpoint.get("targetRef"), number, None);
            }
        }
    }
    (meta, targets.finish())
}

fn endpoint_labels(target: &mut Meta, endpoint: &Value, port: &Value) {
    target
        .set("endpointslice_port_name", text(port, "/name"))
        .set("endpointslice_port_protocol", text(port, "/protocol"))
        .set("endpointslice_port", &plain(port, "/port"))
        .set("endpointslice_port_app_protocol", text(port, "/appProtocol"))
        .set("endpointslice_endpoint_conditions_ready", &plain(endpoint, "/conditions/ready"))
        .set("endpointslice_endpoint_conditions_serving", &plain(endpoint, "/conditions/serving"))
        .set("endpointslice_endpoint_conditions_terminating", &plain(endpoint, "/conditions/terminating"))
        .set("endpointslice_endpoint_hostname", text(endpoint, "/hostname"))
        .set("endpointslice_address_target_kind", text(endpoint, "/targetRef/kind"))
        .set("endpointslice_address_target_name", text(endpoint, "/targetRef/name"))
        .set("endpointslice_endpoint_node_name", text(endpoint, "/nodeName"))
        .set("endpointslice_endpoint_zone", text(endpoint, "/zone"));
    for (name, value) in pairs(endpoint, "/deprecatedTopology") {
        let name = sanitized(name);
        target.set(&format!("endpointslice_endpoint_topology_{name}"), value);
        target.set(&format!("endpointslice_endpoint_topology_present_{name}"), "true");
    }
}
