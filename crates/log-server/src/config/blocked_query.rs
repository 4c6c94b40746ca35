//! `blocked_queries`: queries that a tenant may not run.

use config::{Node, Reported};
use go_regex::Regex;

/// An entry of `blocked_queries`: a query is refused where all that is given fits.
#[derive(Clone, Debug)]
pub struct BlockedQuery {
    /// The whole text.
    pattern: Option<String>,
    /// The whole text as a regular expression.
    regex: Option<Regex>,
    /// The FNV-1 hash of the text.
    hash: Option<u32>,
    /// The kinds; empty for all.
    kinds: Vec<QueryClass>,
}

/// A kind of query, as `blocked_queries` tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryClass {
    /// A metric query.
    Metric,
    /// A log query with a pipeline.
    Filter,
    /// A selector alone.
    Limited,
}

impl BlockedQuery {
    /// Reads an entry.
    pub(super) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let is_regex = map.read_or("regex", false, Node::bool)?;
        let mut blocked = Self { pattern: None, regex: None, hash: None, kinds: Vec::new() };
        if let Some(pattern) = map.optional("pattern") {
            if is_regex {
                blocked.regex = Some(pattern.parse_with(Regex::anchored)?);
            } else {
                blocked.pattern = Some(pattern.string()?.trim().to_owned()).filter(|text| !text.is_empty());
            }
        }
        blocked.hash = map.read("hash", Node::integer)?.filter(|hash| *hash != 0);
        if let Some(types) = map.optional("types") {
            let kinds = [
                ("metric", QueryClass::Metric),
                ("filter", QueryClass::Filter),
                ("limited", QueryClass::Limited),
            ];
            let text = types.string()?;
            for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                match kinds.iter().find(|(name, _)| *name == word) {
                    Some((_, kind)) => blocked.kinds.push(*kind),
                    None => return Err(types.error(format_args!("unknown type of query {word:?}"))),
                }
            }
        }
        map.optional("tags");
        map.finish()?;
        Ok(blocked)
    }

    /// Whether a query is meant.
    pub fn blocks(&self, query: &str, kind: QueryClass) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.pattern.as_deref().is_none_or(|pattern| pattern == query.trim())
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(query.trim()))
            && self.hash.is_none_or(|hash| hash == fnv(query))
    }
}

/// FNV-1 with 32 bits, by which the original names queries.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte))
}
