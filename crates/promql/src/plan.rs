//! What is evaluated: the tree with times resolved, matchers compiled and constant parts marked.

mod lower;

use std::sync::Arc;

use go_regex::CompiledMatcher;
use metric_storage_api::AggregationHint;
use model::{METRIC_NAME_LABEL, MatchOp};
use promql_syntax::{AggregateOp, BinaryOp, Function, RangeExtension, Span, ValueType, VectorMatching};

pub(crate) use lower::{QueryTimes, lower};

/// A part of a query.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: PlanKind,
    /// Where it stands in the query.
    pub(crate) span: Span,
    pub(crate) value_type: ValueType,
}

#[derive(Clone, Debug)]
pub(crate) enum PlanKind {
    Number(f64),
    Text(String),
    /// Gives the same at every step: evaluated once.
    Invariant(Box<Plan>),
    Vector(SelectorPlan),
    Matrix(SelectorPlan),
    Subquery(Box<SubqueryPlan>),
    Aggregate(Box<AggregatePlan>),
    Binary(Box<BinaryPlan>),
    Call(CallPlan),
    Negate(Box<Plan>),
}

/// A selector of stored series.
#[derive(Clone, Debug)]
pub(crate) struct SelectorPlan {
    pub(crate) matchers: Arc<[CompiledMatcher]>,
    pub(crate) offset_ms: i64,
    /// The fixed time of `@`.
    pub(crate) at: Option<i64>,
    /// The window of a range selector; 0 for an instant selector.
    pub(crate) range_ms: i64,
    pub(crate) extension: Option<RangeExtension>,
    /// The function or aggregation right above, for the store.
    pub(crate) function: Option<&'static str>,
    pub(crate) grouping: Option<AggregationHint>,
    /// Whether only count and sum of histograms are looked at.
    pub(crate) histogram_stats: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SubqueryPlan {
    pub(crate) inner: Plan,
    pub(crate) range_ms: i64,
    /// `None` is the engine's default.
    pub(crate) step_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) at: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct AggregatePlan {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Plan>,
    pub(crate) inner: Plan,
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct BinaryPlan {
    pub(crate) op: BinaryOp,
    pub(crate) left: Plan,
    pub(crate) right: Plan,
    pub(crate) return_bool: bool,
    pub(crate) matching: VectorMatching,
}

#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    pub(crate) function: &'static Function,
    pub(crate) args: Vec<Plan>,
}

impl SelectorPlan {
    /// The metric name that all selected series have, where the selector demands one.
    pub(crate) fn metric_name(&self) -> Option<&str> {
        let is_name = |matcher: &&CompiledMatcher| {
            matcher.name() == METRIC_NAME_LABEL && matcher.matcher().op == MatchOp::Equal
        };
        let name = self.matchers.iter().find(is_name)?;
        Some(name.matcher().value.as_str()).filter(|name| !name.is_empty())
    }

    /// The end of the window, or the time looked at, for a step.
    pub(crate) fn data_time(&self, step_time: i64) -> i64 {
        self.at.unwrap_or(step_time).saturating_sub(self.offset_ms)
    }
}

impl SubqueryPlan {
    /// The end of the window for a step.
    pub(crate) fn data_time(&self, step_time: i64) -> i64 {
        self.at.unwrap_or(step_time).saturating_sub(self.offset_ms)
    }
}
