//! What each part of a query took: for those who ask why it is slow.

use std::sync::Mutex;
use std::time::Duration;

use hashbrown::HashMap;

use crate::plan::{Plan, PlanKind};
use crate::value::{ExplainNode, NodeCost};

/// Deeper parts are left out: chains of operators may be as long as a query.
const DEPTH_MAX: usize = 100;

/// Costs by part. A part's address tells it from others while the plan lives.
#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<HashMap<usize, NodeCost>>);

impl Trace {
    /// Adds an evaluation of a part, the parts within it included.
    pub(crate) fn note(&self, plan: &Plan, cost: NodeCost) {
        // A poisoned lock means that another thread has failed: its error is what the query ends with.
        if let Ok(mut costs) = self.0.lock() {
            let sum = costs.entry(key(plan)).or_default();
            sum.evaluations += cost.evaluations;
            sum.time += cost.time;
            sum.samples += cost.samples;
            sum.samples_read += cost.samples_read;
            sum.series = sum.series.max(cost.series);
        }
    }

    /// The plan as a tree with what was noted; `text` is the query as written.
    pub(crate) fn tree(&self, plan: &Plan, text: Option<&str>) -> ExplainNode {
        let costs = self.0.lock().map(|costs| costs.clone()).unwrap_or_default();
        node(plan, text, &costs, 0)
    }
}

fn key(plan: &Plan) -> usize {
    std::ptr::from_ref(plan).addr()
}

fn node(plan: &Plan, text: Option<&str>, costs: &HashMap<usize, NodeCost>, depth: usize) -> ExplainNode {
    if let PlanKind::Invariant(inner) = &plan.kind {
        return ExplainNode { is_constant: true, ..node(inner, text, costs, depth) };
    }
    let (kind, name, children): (_, &str, Vec<&Plan>) = match &plan.kind {
        PlanKind::Number(_) => ("number", "", Vec::new()),
        PlanKind::Text(_) => ("text", "", Vec::new()),
        PlanKind::Vector(_) => ("selector", "", Vec::new()),
        PlanKind::Matrix(_) => ("range selector", "", Vec::new()),
        PlanKind::Invariant(inner) => ("constant", "", vec![inner]),
        PlanKind::Subquery(subquery) => ("subquery", "", vec![&subquery.inner]),
        PlanKind::Aggregate(aggregate) => {
            let children = aggregate.param.iter().chain(std::iter::once(&aggregate.inner)).collect();
            ("aggregation", aggregate.op.as_str(), children)
        }
        PlanKind::Binary(binary) => ("operator", binary.op.as_str(), vec![&binary.left, &binary.right]),
        PlanKind::Call(call) => ("function", call.function.name, call.args.iter().collect()),
        PlanKind::Negate(inner) => ("operator", "-", vec![inner]),
    };
    let children = if depth < DEPTH_MAX {
        children.into_iter().map(|child| node(child, text, costs, depth + 1)).collect()
    } else {
        Vec::new()
    };
    let written = text.and_then(|text| text.get(plan.span.start..plan.span.end));
    let cost = costs.get(&key(plan)).copied();
    let mut node = ExplainNode {
        kind,
        name: name.to_owned(),
        text: written.map(str::to_owned),
        is_constant: false,
        cost,
        own_time: Duration::ZERO,
        own_samples_read: 0,
        children,
    };
    if let Some(cost) = node.cost {
        let below = |of: fn(&NodeCost) -> u64| -> u64 {
            node.children.iter().filter_map(|child| child.cost.as_ref()).map(of).sum()
        };
        let time: Duration = node.children.iter().filter_map(|child| child.cost).map(|cost| cost.time).sum();
        node.own_samples_read = cost.samples_read.saturating_sub(below(|cost| cost.samples_read));
        node.own_time = cost.time.saturating_sub(time);
    }
    node
}
