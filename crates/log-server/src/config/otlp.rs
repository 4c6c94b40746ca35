//! `otlp_config`: what becomes of the attributes of OpenTelemetry's logs.

use std::sync::Arc;

use config::{Map, Node, Reported};
use go_regex::Regex;

use super::block;

/// Attributes of a resource that become labels where nothing else is said.
const DEFAULT_LABELS: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

/// What becomes of attributes.
#[derive(Clone, Debug)]
pub struct OtlpConfig {
    /// Attributes of a resource that become labels before any rule is asked.
    pub(super) default_labels: Arc<[String]>,
    ignores_defaults: bool,
    resource: Vec<AttributeRule>,
    scope: Vec<AttributeRule>,
    log: Vec<AttributeRule>,
    /// Whether a record's severity text becomes the label `severity_text`.
    pub severity_text_as_label: bool,
}

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeAction {
    /// It is a label of the stream.
    Label,
    /// It goes with each line.
    Metadata,
    /// It is dropped.
    Drop,
}

/// An entry of a list of attributes.
#[derive(Clone, Debug)]
struct AttributeRule {
    action: AttributeAction,
    attributes: Vec<String>,
    regex: Option<Regex>,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            default_labels: DEFAULT_LABELS.map(str::to_owned).into(),
            ignores_defaults: false,
            resource: Vec::new(),
            scope: Vec::new(),
            log: Vec::new(),
            severity_text_as_label: false,
        }
    }
}

impl OtlpConfig {
    /// Of an attribute of a resource.
    pub fn of_resource(&self, name: &str) -> AttributeAction {
        if !self.ignores_defaults && self.default_labels.iter().any(|label| label == name) {
            return AttributeAction::Label;
        }
        action(&self.resource, name)
    }

    /// Of an attribute of a scope: never a label.
    pub fn of_scope(&self, name: &str) -> AttributeAction {
        action(&self.scope, name)
    }

    /// Of an attribute of a record.
    pub fn of_record(&self, name: &str) -> AttributeAction {
        action(&self.log, name)
    }
}

fn action(rules: &[AttributeRule], name: &str) -> AttributeAction {
    let fits = |rule: &&AttributeRule| match &rule.regex {
        Some(regex) => regex.is_match(name),
        None => rule.attributes.iter().any(|attribute| attribute == name),
    };
    rules.iter().find(fits).map_or(AttributeAction::Metadata, |rule| rule.action)
}

/// Reads the block; `default_labels` are those of the server.
pub(super) fn read(node: &Node, default_labels: &Arc<[String]>) -> Result<OtlpConfig, Reported> {
    let map = node.map()?;
    let mut otlp = OtlpConfig { default_labels: Arc::clone(default_labels), ..OtlpConfig::default() };
    block(&map, "resource_attributes", |resource| {
        resource.set(&mut otlp.ignores_defaults, "ignore_defaults", Node::bool);
        resource.set(&mut otlp.resource, "attributes_config", |node| node.list_of(rule));
        Ok(())
    })?;
    map.set(&mut otlp.scope, "scope_attributes", |node| {
        node.list_of(|item| {
            let rule = rule(item)?;
            if rule.action == AttributeAction::Label {
                return Err(
                    item.error("attributes of a scope cannot become labels: index_label is not known here")
                );
            }
            Ok(rule)
        })
    });
    map.set(&mut otlp.log, "log_attributes", |node| node.list_of(rule));
    map.set(&mut otlp.severity_text_as_label, "severity_text_as_label", Node::bool);
    map.finish()?;
    Ok(otlp)
}

/// Reads what `distributor.otlp_config` says for all tenants.
pub(super) fn read_defaults(distributor: &Map, otlp: &mut OtlpConfig) -> Result<(), Reported> {
    block(distributor, "otlp_config", |map| {
        let mut labels = otlp.default_labels.to_vec();
        map.set(&mut labels, "default_resource_attributes_as_index_labels", Node::strings);
        otlp.default_labels = labels.into();
        Ok(())
    })
}

fn rule(node: &Node) -> Result<AttributeRule, Reported> {
    let map = node.map()?;
    let actions = [
        ("index_label", AttributeAction::Label),
        ("structured_metadata", AttributeAction::Metadata),
        ("drop", AttributeAction::Drop),
    ];
    let rule = AttributeRule {
        action: map.read_or("action", AttributeAction::Metadata, |node| node.one_of(&actions))?,
        attributes: map.read_or("attributes", Vec::new(), Node::strings)?,
        regex: map.read("regex", |node| node.parse_with(Regex::anchored))?,
    };
    map.finish()?;
    match (rule.attributes.is_empty(), rule.regex.is_some()) {
        (true, false) => Err(node.error("attributes or regex must be set")),
        (false, true) => Err(node.error("only one of attributes or regex must be set")),
        _ => Ok(rule),
    }
}
