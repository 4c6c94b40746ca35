//! Groups of targets, as every kind of discovery yields them.

use ::config::{Document, Node, Reported};
use model::{Labels, LabelsBuilder};

/// The label that holds a target's address, `host:port`.
pub const ADDRESS_LABEL: &str = "__address__";

/// Targets with labels in common.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// Where the group comes from, unique within its discovery.
    pub source: String,
    /// Labels of all targets; a target's own win.
    pub labels: Labels,
    /// The targets' own labels, among them the address.
    pub targets: Vec<Labels>,
}

impl TargetGroup {
    /// Reads `{targets: […], labels: {…}}`.
    ///
    /// # Errors
    /// Where a key is wrong or unknown.
    pub fn read(node: &Node, source: String) -> Result<Self, Reported> {
        let map = node.map()?;
        let targets = map.read_or("targets", Vec::new(), Node::strings)?;
        let labels = map.read_or("labels", Vec::new(), Node::string_pairs)?;
        map.finish()?;
        let targets = targets.iter().map(|target| Labels::from_pairs([(ADDRESS_LABEL, target)])).collect();
        Ok(Self { source, labels: Labels::from_pairs(labels), targets })
    }

    /// Reads a list of groups, YAML or JSON, as files and HTTP endpoints give it. `origin` names it in errors and
    /// sources; `meta` is a label that all targets get.
    pub(crate) fn read_list(
        origin: &str,
        text: &str,
        meta: (&str, &str),
    ) -> Result<Vec<Self>, ::config::ConfigErrors> {
        let document = Document::parse_yaml(origin, text)?;
        let loaded = document.read(|root| {
            let mut idx = 0;
            root.list_of(|node| {
                let mut group = Self::read(node, format!("{origin}:{idx}"))?;
                let mut labels = LabelsBuilder::from_labels(&group.labels);
                labels.set(meta.0, meta.1);
                group.labels = labels.build();
                idx += 1;
                Ok(group)
            })
        })?;
        Ok(loaded.value)
    }
}
