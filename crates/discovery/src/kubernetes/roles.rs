//! Groups of targets out of objects, one for each object of the role.

use model::Labels;
use serde_json::Value;

use super::objects::{Kind, Objects, key};
use super::{Attach, KubernetesConfig, Role};
use crate::meta::{Meta, host_port, items, pairs, plain, sanitized, text};
use crate::target_group::TargetGroup;

mod endpoints;

const PREFIX: &str = "__meta_kubernetes_";

/// All groups of the role.
pub(super) fn groups(config: &KubernetesConfig, objects: &Objects) -> Vec<TargetGroup> {
    let cluster = Cluster { attach: config.attach, objects };
    let kind = Kind::of(config.role);
    let group = |object: &Value| {
        let (labels, targets) = match config.role {
            Role::Node => node(object)?,
            Role::Service => service(&cluster, object),
            Role::Pod => pod(&cluster, object),
            Role::Endpoints => endpoints::of_endpoints(&cluster, object),
            Role::EndpointSlice => endpoints::of_slice(&cluster, object),
            Role::Ingress => ingress(&cluster, object),
        };
        let (namespace, name) = key(object);
        let source = format!("{}/{namespace}/{name}", kind.place().1);
        Some(TargetGroup { source, labels: labels.build(), targets })
    };
    objects.all(kind).filter_map(group).collect()
}

/// What groups are made from.
#[derive(Debug)]
struct Cluster<'a> {
    attach: Attach,
    objects: &'a Objects,
}

impl Cluster<'_> {
    fn namespace_labels(&self, meta: &mut Meta, namespace: &str) {
        if self.attach.namespace
            && let Some(object) = self.objects.find(Kind::Namespace, "", namespace)
        {
            set_annotations_and_labels(meta, object, "namespace");
        }
    }

    fn node_labels(&self, meta: &mut Meta, name: &str) {
        if self.attach.node
            && let Some(object) = self.objects.find(Kind::Node, "", name)
        {
            set_object(meta, object, "node");
        }
    }

    /// What is told of a pod wherever it appears.
    fn pod_labels(&self, pod: &Value) -> Meta {
        let mut meta = Meta::new(PREFIX);
        meta.set("pod_ip", text(pod, "/status/podIP"))
            .set("pod_ready", pod_ready(pod))
            .set("pod_phase", text(pod, "/status/phase"))
            .set("pod_node_name", text(pod, "/spec/nodeName"))
            .set("pod_host_ip", text(pod, "/status/hostIP"))
            .set("pod_uid", text(pod, "/metadata/uid"));
        set_object(&mut meta, pod, "pod");
        let Some((kind, name)) = controller(pod) else { return meta };
        meta.set("pod_controller_kind", kind).set("pod_controller_name", name);
        let namespace = text(pod, "/metadata/namespace");
        let above = |of: Kind, wanted: &str| {
            let owner = controller(self.objects.find(of, namespace, name)?)?;
            Some(owner.1.to_owned()).filter(|_| owner.0 == wanted)
        };
        match kind {
            "ReplicaSet" if self.attach.deployment => {
                meta.set("pod_deployment_name", &above(Kind::ReplicaSet, "Deployment").unwrap_or_default());
            }
            "Job" => {
                if self.attach.job {
                    meta.set("pod_job_name", name);
                }
                if self.attach.cronjob {
                    meta.set("pod_cronjob_name", &above(Kind::Job, "CronJob").unwrap_or_default());
                }
            }
            _ => {}
        }
        meta
    }
}

/// The kind and name of what controls an object.
fn controller(object: &Value) -> Option<(&str, &str)> {
    let is_controller = |owner: &&Value| owner["controller"].as_bool() == Some(true);
    let owner = items(object, "/metadata/ownerReferences").iter().find(is_controller)?;
    Some((text(owner, "/kind"), text(owner, "/name")))
}

fn pod_ready(pod: &Value) -> &'static str {
    let conditions = items(pod, "/status/conditions");
    let ready = conditions.iter().find(|condition| text(condition, "/type") == "Ready");
    match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "true",
        Some("False") => "false",
        _ => "unknown",
    }
}

/// An object's name, annotations and labels.
fn set_object(meta: &mut Meta, object: &Value, role: &str) {
    meta.set(&format!("{role}_name"), text(object, "/metadata/name"));
    set_annotations_and_labels(meta, object, role);
}

fn set_annotations_and_labels(meta: &mut Meta, object: &Value, role: &str) {
    for (what, pointer) in [("label", "/metadata/labels"), ("annotation", "/metadata/annotations")] {
        for (name, value) in pairs(object, pointer) {
            let name = sanitized(name);
            meta.set(&format!("{role}_{what}_{name}"), value);
            meta.set(&format!("{role}_{what}present_{name}"), "true");
        }
    }
}

/// Preference of a node's addresses.
const ADDRESS_TYPES: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

fn node(node: &Value) -> Option<(Meta, Vec<Labels>)> {
    let mut meta = Meta::new(PREFIX);
    meta.set("node_provider_id", text(node, "/spec/providerID"));
    for condition in items(node, "/status/conditions") {
        let name = sanitized(&text(condition, "/type").to_lowercase());
        meta.set(&format!("node_condition_{name}"), &text(condition, "/status").to_lowercase());
    }
    set_object(&mut meta, node, "node");
    let addresses = items(node, "/status/addresses");
    let first = |kind: &str| addresses.iter().find(|address| text(address, "/type") == kind);
    let address = ADDRESS_TYPES.iter().find_map(|kind| first(kind))?;
    let mut target = Meta::new(PREFIX);
    let port = plain(node, "/status/daemonEndpoints/kubeletEndpoint/Port");
    target.address(&host_port(text(address, "/address"), if port.is_empty() { "0" } else { &port }));
    target.set_plain("instance", text(node, "/metadata/name"));
    for address in addresses.iter().rev() {
        // Backwards, so that the first of each type stays.
        target.set(&format!("node_address_{}", sanitized(text(address, "/type"))), text(address, "/address"));
    }
    Some((meta, vec![target.build()]))
}

/// What is told of a service wherever it appears.
fn service_labels(service: &Value) -> Meta {
    let mut meta = Meta::new(PREFIX);
    meta.set("namespace", text(service, "/metadata/namespace"));
    set_object(&mut meta, service, "service");
    meta
}

fn service(cluster: &Cluster<'_>, service: &Value) -> (Meta, Vec<Labels>) {
    let mut meta = service_labels(service);
    let (namespace, name) = key(service);
    cluster.namespace_labels(&mut meta, &namespace);
    let kind = text(service, "/spec/type");
    let target = |port: &Value| {
        let number = plain(port, "/port");
        let mut target = Meta::new(PREFIX);
        target
            .address(&host_port(&format!("{name}.{namespace}.svc"), &number))
            .set("service_port_name", text(port, "/name"))
            .set("service_port_number", &number)
            .set("service_port_protocol", text(port, "/protocol"))
            .set("service_type", kind);
        match kind {
            "ExternalName" => target.set("service_external_name", text(service, "/spec/externalName")),
            _ => target.set("service_cluster_ip", text(service, "/spec/clusterIP")),
        };
        if kind == "LoadBalancer" {
            let ingress = items(service, "/status/loadBalancer/ingress");
            let ips: Vec<&str> =
                ingress.iter().map(|one| text(one, "/ip")).filter(|ip| !ip.is_empty()).collect();
            let wanted = text(service, "/spec/loadBalancerIP").to_owned();
            target.set("service_loadbalancer_ip", &if ips.is_empty() { wanted } else { ips.join(",") });
        }
        target.build()
    };
    (meta, items(service, "/spec/ports").iter().map(target).collect())
}

/// A pod's containers, those that run first last; with each whether it is one of those.
fn containers(pod: &Value) -> impl Iterator<Item = (&Value, bool)> {
    let usual = items(pod, "/spec/containers").iter().map(|container| (container, false));
    usual.chain(items(pod, "/spec/initContainers").iter().map(|container| (container, true)))
}

fn container_labels(meta: &mut Meta, container: &Value, is_init: bool) {
    meta.set("pod_container_name", text(container, "/name"))
        .set("pod_container_image", text(container, "/image"))
        .set("pod_container_init", if is_init { "true" } else { "false" });
}

fn port_labels(meta: &mut Meta, port: &Value) {
    meta.set("pod_container_port_name", text(port, "/name"))
        .set("pod_container_port_number", &plain(port, "/containerPort"))
        .set("pod_container_port_protocol", text(port, "/protocol"));
}

fn pod(cluster: &Cluster<'_>, pod: &Value) -> (Meta, Vec<Labels>) {
    let ip = text(pod, "/status/podIP");
    let (namespace, node) = (text(pod, "/metadata/namespace"), text(pod, "/spec/nodeName"));
    let is_node_known = || cluster.objects.find(Kind::Node, "", node).is_some();
    if ip.is_empty() || (cluster.attach.node && !is_node_known()) {
        return (Meta::new(PREFIX), Vec::new());
    }
    let mut meta = cluster.pod_labels(pod);
    meta.set("namespace", namespace);
    cluster.node_labels(&mut meta, node);
    cluster.namespace_labels(&mut meta, namespace);
    let mut targets = Vec::new();
    for (container, is_init) in containers(pod) {
        let statuses = if is_init { "/status/initContainerStatuses" } else { "/status/containerStatuses" };
        let name = text(container, "/name");
        let status = items(pod, statuses).iter().find(|status| text(status, "/name") == name);
        let mut target = Meta::new(PREFIX);
        container_labels(&mut target, container, is_init);
        target.set("pod_container_id", status.map_or("", |status| text(status, "/containerID")));
        let ports = items(container, "/ports");
        if ports.is_empty() {
            targets.push(target.clone().address(ip).build());
        }
        for port in ports {
            let mut target = target.clone();
            port_labels(&mut target, port);
            targets.push(target.address(&host_port(ip, plain(port, "/containerPort"))).build());
        }
    }
    (meta, targets)
}

fn ingress(cluster: &Cluster<'_>, ingress: &Value) -> (Meta, Vec<Labels>) {
    let namespace = text(ingress, "/metadata/namespace");
    let mut meta = Meta::new(PREFIX);
    meta.set("namespace", namespace).set("ingress_class_name", text(ingress, "/spec/ingressClassName"));
    set_object(&mut meta, ingress, "ingress");
    cluster.namespace_labels(&mut meta, namespace);
    let secured: Vec<&str> = items(ingress, "/spec/tls")
        .iter()
        .flat_map(|tls| items(tls, "/hosts"))
        .filter_map(Value::as_str)
        .collect();
    let mut targets = Vec::new();
    for rule in items(ingress, "/spec/rules") {
        let host = text(rule, "/host");
        let scheme = if secured.iter().any(|pattern| covers(pattern, host)) { "https" } else { "http" };
        let mut paths: Vec<&str> =
            items(rule, "/http/paths").iter().map(|path| text(path, "/path")).collect();
        if rule.pointer("/http").is_none_or(Value::is_null) {
            paths.push("/");
        }
        for path in paths {
            let mut target = Meta::new(PREFIX);
            target
                .address(host)
                .set("ingress_scheme", scheme)
                .set("ingress_host", host)
                .set("ingress_path", if path.is_empty() { "/" } else { path });
            targets.push(target.build());
        }
    }
    (meta, targets)
}

/// Whether a certificate for `pattern` is one for `host`: `*` stands for the first part of a name.
fn covers(pattern: &str, host: &str) -> bool {
    let wildcard = pattern.strip_prefix("*.").zip(host.split_once('.'));
    pattern == host || wildcard.is_some_and(|(rest, (_, host_rest))| rest == host_rest)
}
