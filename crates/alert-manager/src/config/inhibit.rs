//! Inhibition rules.

use config::{Node, Reported};

use super::route::read_matchers;
use crate::matchers::{MatcherMode, MatcherSet};

/// A rule: alerts that match `target` are muted while one that matches `source` has the same `equal` labels.
#[derive(Clone, Debug)]
pub struct InhibitRule {
    /// Its name, may be empty.
    pub name: String,
    /// What mutes.
    pub source: MatcherSet,
    /// What is muted.
    pub target: MatcherSet,
    /// Labels that must have the same value on both; a missing one is empty.
    pub equal: Vec<String>,
}

impl InhibitRule {
    pub(super) fn read(node: &Node, mode: MatcherMode) -> Result<Self, Reported> {
        let map = node.map()?;
        let rule = Self {
            name: map.read_or("name", String::new(), Node::string)?,
            source: read_matchers(&map, "source_", mode)?,
            target: read_matchers(&map, "target_", mode)?,
            equal: map.read_or("equal", Vec::new(), Node::strings)?,
        };
        map.finish()?;
        Ok(rule)
    }
}
