//! The routing tree.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use config::{Map, Node, Reported};
use model::{MatchOp, Matcher};

use super::fields;
use crate::matchers::{self, MatcherMode, MatcherSet};
use crate::time_interval::TimeInterval;

/// Which labels make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// `...`
    All,
    /// These, as far as an alert has them.
    Labels(BTreeSet<String>),
}

/// A node of the tree, with what it inherits filled in.
#[derive(Clone, Debug)]
pub struct Route {
    /// The matchers of the path from the root, joined by `/`.
    pub key: String,
    /// Where its notifications go.
    pub receiver: String,
    /// What makes its groups.
    pub group_by: GroupBy,
    /// How long a new group collects.
    pub group_wait: Duration,
    /// How long a group waits before it tells of changes.
    pub group_interval: Duration,
    /// How long an unchanged group waits before it is told again.
    pub repeat_interval: Duration,
    /// What an alert has to match.
    pub matchers: MatcherSet,
    /// Whether later siblings are tried too.
    pub continues: bool,
    /// Intervals in which nothing is sent.
    pub mute_time_intervals: Vec<String>,
    /// Intervals outside of which nothing is sent.
    pub active_time_intervals: Vec<String>,
    /// Labels of the route; templates.
    pub labels: BTreeMap<String, String>,
    /// Indexes of its children.
    pub children: Vec<usize>,
}

/// A route with where it stands, for later checks.
pub(super) struct Read {
    pub(super) route: Route,
    node: Node,
}

/// Reads the tree into an arena.
pub(super) fn read(node: &Node, mode: MatcherMode) -> Result<Vec<Read>, Reported> {
    let mut arena = Vec::new();
    read_into(node, None, mode, &mut arena)?;
    Ok(arena)
}

fn read_into(
    node: &Node,
    parent: Option<usize>,
    mode: MatcherMode,
    arena: &mut Vec<Read>,
) -> Result<usize, Reported> {
    let map = node.map()?;
    let inherited = parent.map(|idx| arena[idx].route.clone());
    let matchers = read_matchers(&map, "", mode)?;
    let key = match &inherited {
        Some(parent) => format!("{}/{matchers}", parent.key),
        None => matchers.to_string(),
    };
    let defaults = inherited.unwrap_or_else(|| Route {
        key: String::new(),
        receiver: String::new(),
        group_by: GroupBy::Labels(BTreeSet::new()),
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_secs(300),
        repeat_interval: Duration::from_secs(4 * 3600),
        matchers: MatcherSet::default(),
        continues: false,
        mute_time_intervals: Vec::new(),
        active_time_intervals: Vec::new(),
        labels: BTreeMap::new(),
        children: Vec::new(),
    });
    let mut labels = defaults.labels;
    labels.extend(map.read_or("labels", BTreeMap::new(), read_labels)?);
    let route = Route {
        key,
        receiver: map.read_or("receiver", defaults.receiver, Node::string)?,
        group_by: match map.present("group_by") {
            Some(list) => read_group_by(&list)?,
            None => defaults.group_by,
        },
        group_wait: map.read_or("group_wait", defaults.group_wait, Node::duration)?,
        group_interval: map.read_or("group_interval", defaults.group_interval, not_zero)?,
        repeat_interval: map.read_or("repeat_interval", defaults.repeat_interval, not_zero)?,
        matchers,
        continues: map.read_or("continue", false, Node::bool)?,
        mute_time_intervals: map.read_or("mute_time_intervals", Vec::new(), Node::strings)?,
        active_time_intervals: map.read_or("active_time_intervals", Vec::new(), Node::strings)?,
        labels,
        children: Vec::new(),
    };
    if parent.is_none() {
        check_root(&map, &route)?;
    }
    let idx = arena.len();
    arena.push(Read { route, node: node.clone() });
    let children = map.read_or("routes", Vec::new(), Node::list)?;
    for child in children {
        let child = read_into(&child, Some(idx), mode, arena)?;
        arena[idx].route.children.push(child);
    }
    map.finish()?;
    Ok(idx)
}

fn check_root(map: &Map, route: &Route) -> Result<(), Reported> {
    if route.receiver.is_empty() {
        return Err(map.error("root route must specify a default receiver"));
    }
    if !route.matchers.is_empty() {
        return Err(map.error("root route must not have any matchers"));
    }
    if !route.mute_time_intervals.is_empty() {
        return Err(map.error("root route must not have any mute time intervals"));
    }
    if !route.active_time_intervals.is_empty() {
        return Err(map.error("root route must not have any active time intervals"));
    }
    if route.continues {
        return Err(map.error("cannot have continue in root route"));
    }
    Ok(())
}

fn not_zero(node: &Node) -> Result<Duration, Reported> {
    let duration = node.duration()?;
    if duration.is_zero() { Err(node.error("cannot be zero")) } else { Ok(duration) }
}

fn read_labels(node: &Node) -> Result<BTreeMap<String, String>, Reported> {
    let mut labels = BTreeMap::new();
    for (name, value) in node.map()?.entries() {
        if name.is_empty() {
            return Err(value.error("invalid label name"));
        }
        labels.insert(name, fields::template_node(&value)?);
    }
    Ok(labels)
}

fn read_group_by(node: &Node) -> Result<GroupBy, Reported> {
    let names = node.strings()?;
    if names.iter().any(|name| name == "...") {
        if names.len() > 1 {
            return Err(node.error("cannot have wildcard group_by (`...`) and other labels at the same time"));
        }
        return Ok(GroupBy::All);
    }
    let mut labels = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(node.error("invalid label name in group_by list"));
        }
        if !labels.insert(name.clone()) {
            return Err(node.error(format_args!("duplicated label {name:?} in group_by")));
        }
    }
    Ok(GroupBy::Labels(labels))
}

/// `<prefix>match`, `<prefix>match_re` and `<prefix>matchers`, all of which must match.
pub(super) fn read_matchers(map: &Map, prefix: &str, mode: MatcherMode) -> Result<MatcherSet, Reported> {
    let mut all = Vec::new();
    for (key, op) in [("match", MatchOp::Equal), ("match_re", MatchOp::Regex)] {
        let Some(node) = map.optional(&format!("{prefix}{key}")) else {
            continue;
        };
        for (name, value) in node.string_pairs()? {
            if name.is_empty() || (mode == MatcherMode::Classic && !matchers::is_classic_name(&name)) {
                return Err(node.error(format_args!("invalid label name {name:?}")));
            }
            all.push(Matcher::new(name, op, value));
        }
    }
    if let Some(node) = map.optional(&format!("{prefix}matchers")) {
        for item in node.list()? {
            let text = item.string()?;
            let (read, warning) = matchers::parse(&text, mode).map_err(|error| item.error(error))?;
            if let Some(warning) = warning {
                item.warn(warning);
            }
            all.extend(read);
        }
    }
    MatcherSet::new(all).map_err(|error| map.error(error))
}

/// Checks what the tree refers to.
pub(super) fn check(
    routes: &[Read],
    receivers: &HashSet<&str>,
    intervals: &BTreeMap<String, Vec<TimeInterval>>,
) -> Result<(), Reported> {
    let mut outcome = Ok(());
    for Read { route, node } in routes {
        if !receivers.contains(route.receiver.as_str()) {
            outcome = Err(node.error(format_args!("undefined receiver {:?} used in route", route.receiver)));
        }
        for name in route.mute_time_intervals.iter().chain(&route.active_time_intervals) {
            if !intervals.contains_key(name) {
                outcome = Err(node.error(format_args!("undefined time interval {name:?} used in route")));
            }
        }
    }
    outcome
}
