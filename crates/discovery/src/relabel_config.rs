//! Relabel rules as the configuration writes them.

use ::config::{Node, Reported};
use relabel::{NameScheme, Rule, RuleSpec};

/// Reads a list of relabel rules.
///
/// # Errors
/// Where a rule is not valid.
pub fn read_relabel_rules(node: &Node, scheme: NameScheme) -> Result<Vec<Rule>, Reported> {
    node.list_of(|item| {
        if item.is_null() {
            return Err(item.error("empty or null relabeling rule"));
        }
        let map = item.map()?;
        let spec = RuleSpec {
            source_labels: map.read("source_labels", Node::strings)?,
            separator: map.present("separator").map(|node| node.string()).transpose()?,
            regex: map.present("regex").map(|node| node.string()).transpose()?,
            modulus: map.read("modulus", Node::integer)?,
            target_label: map.read("target_label", Node::string)?,
            replacement: map.present("replacement").map(|node| node.string()).transpose()?,
            action: map.read("action", Node::string)?,
        };
        map.finish()?;
        Rule::new(spec, scheme).map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => item.error(format_args!("{error}: {cause}")),
            None => item.error(error),
        })
    })
}
