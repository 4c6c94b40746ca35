//! From the tree to the plan.

use go_regex::CompiledMatcher;
use metric_storage_api::AggregationHint;
use promql_syntax::{
    Aggregate, AtModifier, Binary, BinaryOp, Call, DurationArg, Expr, Span, Subquery, ValueType,
    VectorSelector,
};

use crate::QueryError;
use crate::eval::scalar_op;
use crate::plan::{AggregatePlan, BinaryPlan, CallPlan, Plan, PlanKind, SelectorPlan, SubqueryPlan};

/// The times of a query, in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryTimes {
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// 0 for an instant query.
    pub(crate) step: i64,
}

/// Functions whose value depends on the evaluation time even where their arguments do not.
const TIME_DEPENDENT: [&str; 12] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "start_timestamp",
    "time",
    "timestamp",
    "year",
];

/// What stands above a selector.
#[derive(Clone, Default)]
struct Above {
    function: Option<&'static str>,
    grouping: Option<AggregationHint>,
    /// Whether something looks at buckets of histograms.
    needs_buckets: bool,
    /// Whether a function takes count or sum of histograms.
    takes_stats: bool,
}

impl Above {
    /// What stands above the argument of an operator.
    fn operand(&self, trims: bool) -> Self {
        let (needs_buckets, takes_stats) = (self.needs_buckets || trims, self.takes_stats);
        Self { function: None, grouping: None, needs_buckets, takes_stats }
    }
}

/// A plan, and how it depends on the step.
struct Lowered {
    plan: Plan,
    /// Whether it gives the same at every step.
    invariant: bool,
    /// Whether evaluating it once saves anything.
    worth_wrapping: bool,
}

impl Lowered {
    fn constant(plan: Plan) -> Self {
        Self { plan, invariant: true, worth_wrapping: false }
    }

    fn wrapped(self) -> Plan {
        if self.invariant && self.worth_wrapping { invariant(self.plan) } else { self.plan }
    }
}

fn invariant(plan: Plan) -> Plan {
    let (span, value_type) = (plan.span, plan.value_type);
    Plan { kind: PlanKind::Invariant(Box::new(plan)), span, value_type }
}

/// Lowers a checked expression for a query at these times.
pub(crate) fn lower(expr: &Expr, times: QueryTimes) -> Result<Plan, QueryError> {
    Ok(Lowering { times }.expr(expr, &Above::default())?.wrapped())
}

/// Whether an operator looks at buckets of histograms.
fn trims(node: &Binary) -> bool {
    matches!(node.op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

struct Lowering {
    times: QueryTimes,
}

impl Lowering {
    fn expr(&self, expr: &Expr, above: &Above) -> Result<Lowered, QueryError> {
        let span = expr.span();
        let plan = |kind| Plan { kind, span, value_type: expr.value_type() };
        Ok(match expr {
            Expr::Number(number) => Lowered::constant(plan(PlanKind::Number(number.value))),
            Expr::String(text) => Lowered::constant(plan(PlanKind::Text(text.value.clone()))),
            Expr::Paren(node) => self.expr(&node.expr, above)?,
            Expr::Vector(selector) => {
                let selector = self.selector(selector, 0, above)?;
                let invariant = selector.at.is_some();
                Lowered { plan: plan(PlanKind::Vector(selector)), invariant, worth_wrapping: true }
            }
            Expr::Matrix(node) => {
                let range_ms = self.duration(&node.range, false)?;
                let selector = self.selector(&node.selector, range_ms, above)?;
                let invariant = selector.at.is_some();
                Lowered { plan: plan(PlanKind::Matrix(selector)), invariant, worth_wrapping: false }
            }
            Expr::Subquery(node) => self.subquery(node, span, above)?,
            Expr::Aggregate(node) => self.aggregate(node, span, above)?,
            Expr::Binary(node) => self.binary(node, span, above)?,
            Expr::Call(node) => self.call(node, above)?,
            Expr::Unary(node) => {
                let inner = self.expr(&node.expr, above)?;
                let (invariant, worth_wrapping) = (inner.invariant, inner.worth_wrapping);
                let plan = match (&inner.plan.kind, node.negative) {
                    (_, false) => inner.plan,
                    (PlanKind::Number(value), true) => plan(PlanKind::Number(-value)),
                    _ => plan(PlanKind::Negate(Box::new(inner.plan))),
                };
                Lowered { plan, invariant, worth_wrapping }
            }
        })
    }

    fn selector(
        &self,
        selector: &VectorSelector,
        range_ms: i64,
        above: &Above,
    ) -> Result<SelectorPlan, QueryError> {
        let matchers = selector
            .matchers
            .iter()
            .map(|matcher| CompiledMatcher::new(matcher.clone()))
            .collect::<Result<_, _>>()
            .map_err(|error| QueryError::execution(error.to_string()))?;
        Ok(SelectorPlan {
            matchers,
            offset_ms: self.duration(&selector.offset, true)?,
            at: self.at(selector.at),
            range_ms,
            extension: selector.extension,
            function: above.function,
            grouping: above.grouping.clone(),
            histogram_stats: above.takes_stats && !above.needs_buckets,
        })
    }

    fn at(&self, at: Option<AtModifier>) -> Option<i64> {
        at.map(|at| match at {
            AtModifier::Timestamp(ms) => ms,
            AtModifier::Start => self.times.start,
            AtModifier::End => self.times.end,
        })
    }

    fn duration(&self, duration: &DurationArg, is_offset: bool) -> Result<i64, QueryError> {
        match duration {
            DurationArg::Fixed(ms) => Ok(*ms),
            DurationArg::Expr(expr) => {
                let times = self.times;
                expr.eval_ms(times.step, times.end.saturating_sub(times.start), is_offset)
                    .map_err(|error| QueryError::InvalidParameter(error.to_string()))
            }
        }
    }

    fn subquery(&self, node: &Subquery, span: Span, above: &Above) -> Result<Lowered, QueryError> {
        // Resets between the samples that a subquery sees show in the buckets.
        let above = Above { needs_buckets: true, ..above.clone() };
        let inner = self.expr(&node.expr, &above)?;
        // The inside is evaluated at many steps: once is enough where it is the same at all of them.
        let inner = if inner.invariant && !matches!(inner.plan.kind, PlanKind::Number(_)) {
            invariant(inner.plan)
        } else {
            inner.plan
        };
        let step_ms = node.step.as_ref().map(|step| self.duration(step, false)).transpose()?;
        let at = self.at(node.at);
        let subquery = SubqueryPlan {
            inner,
            range_ms: self.duration(&node.range, false)?,
            step_ms,
            offset_ms: self.duration(&node.offset, true)?,
            at,
        };
        let kind = PlanKind::Subquery(Box::new(subquery));
        let plan = Plan { kind, span, value_type: ValueType::Matrix };
        Ok(Lowered { plan, invariant: at.is_some(), worth_wrapping: false })
    }

    fn aggregate(&self, node: &Aggregate, span: Span, above: &Above) -> Result<Lowered, QueryError> {
        let names = node.grouping.clone();
        let hint = if node.without { AggregationHint::Without(names) } else { AggregationHint::By(names) };
        let above = Above { function: Some(node.op.as_str()), grouping: Some(hint), ..above.operand(false) };
        let inner = self.expr(&node.expr, &above)?;
        let param = match &node.param {
            Some(param) => Some(self.expr(param, &Above::default())?),
            None => None,
        };
        // As in the original, the parameter is taken at the first step where the vector is the same at all.
        let (invariant, worth_wrapping) = (inner.invariant, inner.worth_wrapping);
        let aggregate = AggregatePlan {
            op: node.op,
            param: param.map(|param| param.plan),
            inner: inner.plan,
            grouping: node.grouping.clone(),
            without: node.without,
        };
        let kind = PlanKind::Aggregate(Box::new(aggregate));
        Ok(Lowered { plan: Plan { kind, span, value_type: ValueType::Vector }, invariant, worth_wrapping })
    }

    fn binary(&self, node: &Binary, span: Span, above: &Above) -> Result<Lowered, QueryError> {
        // Chains lean to the left: walked in a loop, they need no stack. A node that trims histograms concerns all below it.
        let mut spine = vec![(node, span, above.operand(trims(node)))];
        let mut first = &node.left;
        while let Expr::Binary(inner) = first.unwrap_parens() {
            let above = spine.last().map(|(_, _, above)| above.operand(trims(inner))).unwrap_or_default();
            spine.push((inner, first.unwrap_parens().span(), above));
            first = &inner.left;
        }
        let above_first = spine.last().map(|(_, _, above)| above.clone()).unwrap_or_default();
        let mut lowered = self.expr(first, &above_first)?;
        while let Some((node, span, above)) = spine.pop() {
            lowered = self.with_right(node, lowered, span, &above)?;
        }
        Ok(lowered)
    }

    /// An operator whose left side has been lowered.
    fn with_right(
        &self,
        node: &Binary,
        left: Lowered,
        span: Span,
        above: &Above,
    ) -> Result<Lowered, QueryError> {
        let right = self.expr(&node.right, above)?;
        let scalars = left.plan.value_type == ValueType::Scalar && right.plan.value_type == ValueType::Scalar;
        let value_type = if scalars { ValueType::Scalar } else { ValueType::Vector };
        if let (PlanKind::Number(a), PlanKind::Number(b)) = (&left.plan.kind, &right.plan.kind) {
            let value = scalar_op(node.op, *a, *b);
            return Ok(Lowered::constant(Plan { kind: PlanKind::Number(value), span, value_type }));
        }
        let invariant = left.invariant && right.invariant;
        let (left, right) =
            if invariant { (left.plan, right.plan) } else { (left.wrapped(), right.wrapped()) };
        let binary = BinaryPlan {
            op: node.op,
            left,
            right,
            return_bool: node.return_bool,
            matching: node.matching.clone().unwrap_or_default(),
        };
        let kind = PlanKind::Binary(Box::new(binary));
        Ok(Lowered { plan: Plan { kind, span, value_type }, invariant, worth_wrapping: invariant })
    }

    fn call(&self, node: &Call, above: &Above) -> Result<Lowered, QueryError> {
        let function = node.function;
        let plan = |kind| Plan { kind, span: node.span, value_type: function.returns };
        let times = self.times;
        let folded = match function.name {
            "start" => Some(times.start as f64 / 1000.0),
            "end" => Some(times.end as f64 / 1000.0),
            "range" => Some(times.end.saturating_sub(times.start) as f64 / 1000.0),
            "step" if times.start == times.end => Some(0.0),
            "step" => Some(times.step as f64 / 1000.0),
            "pi" => Some(std::f64::consts::PI),
            _ => None,
        };
        if let Some(value) = folded {
            return Ok(Lowered::constant(plan(PlanKind::Number(value))));
        }
        // The innermost function is what the store can use.
        let takes_stats = matches!(function.name, "histogram_count" | "histogram_sum" | "histogram_avg");
        let needs_buckets =
            matches!(function.name, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction");
        let above_args = Above {
            function: Some(function.name),
            grouping: above.grouping.clone(),
            needs_buckets: above.needs_buckets || needs_buckets,
            takes_stats: above.takes_stats || takes_stats,
        };
        let args: Vec<Lowered> =
            node.args.iter().map(|arg| self.expr(arg, &above_args)).collect::<Result<_, _>>()?;
        let args_invariant = args.iter().all(|arg| arg.invariant);
        let plain_timestamp = function.name == "timestamp"
            && args.iter().all(|arg| arg.invariant && matches!(arg.plan.kind, PlanKind::Vector(_)));
        let is_time_dependent = TIME_DEPENDENT.contains(&function.name);
        let invariant = args_invariant && (!is_time_dependent || plain_timestamp);
        let looks_at_samples = matches!(function.name, "timestamp" | "start_timestamp");
        let args = args
            .into_iter()
            .map(|arg| {
                // These functions look at the samples of their selector themselves.
                let is_own_selector = looks_at_samples && matches!(arg.plan.kind, PlanKind::Vector(_));
                if invariant || is_own_selector { arg.plan } else { arg.wrapped() }
            })
            .collect();
        let call = CallPlan { function, args };
        Ok(Lowered { plan: plan(PlanKind::Call(call)), invariant, worth_wrapping: invariant })
    }
}
