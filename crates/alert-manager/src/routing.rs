//! Which routes an alert takes, and which group it joins there.

use model::{Labels, LabelsBuilder};

use crate::config::{GroupBy, Route};

/// The routes that an alert takes, as indexes into the tree. The root is at 0.
pub fn matching(routes: &[Route], labels: &Labels) -> Vec<usize> {
    let mut found = Vec::new();
    if !routes.is_empty() {
        visit(routes, 0, labels, &mut found);
    }
    found
}

/// Whether the route took the alert.
fn visit(routes: &[Route], idx: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
    let route = &routes[idx];
    if !route.matchers.matches(labels) {
        return false;
    }
    let before = found.len();
    for child in &route.children {
        let matched = visit(routes, *child, labels, found);
        if matched && !routes[*child].continues {
            break;
        }
    }
    if found.len() == before {
        found.push(idx);
    }
    true
}

/// The labels that make an alert's group in a route; those that it lacks are left out.
pub fn group_labels(route: &Route, labels: &Labels) -> Labels {
    match &route.group_by {
        GroupBy::All => labels.clone(),
        GroupBy::Labels(names) => {
            let mut builder = LabelsBuilder::new();
            for name in names {
                builder.set(name, labels.value(name));
            }
            builder.build()
        }
    }
}

/// `<route key>:{a="b", c="d"}`
pub fn group_key(route: &Route, labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", crate::matchers::quote(value))).collect();
    format!("{}:{{{}}}", route.key, pairs.join(", "))
}
