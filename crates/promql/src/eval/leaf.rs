//! The parts of a plan that read stored series: selectors, and functions right above range selectors. They give one series
//! at a time, so that an aggregation above need not hold them all.

use std::borrow::Cow;

use metric_storage_api::SeriesSet;
use model::{Labels, METRIC_NAME_LABEL, TimeRange};
use promql_syntax::{RangeExtension, Span};
use vector_ops::{GroupPlan, Grouping};

use crate::QueryError;
use crate::eval::matrix::{Matrix, Source, Windows};
use crate::eval::{Evaluator, Frame, Scratch};
use crate::functions::{Kernel, RangeCall, Sliding, smooth_at};
use crate::plan::{Plan, PlanKind, SelectorPlan};
use crate::series::{Points, Series, Steps};

/// Series that can be evaluated one by one.
#[derive(Debug)]
pub(crate) enum Leaf<'a, 'p> {
    /// The newest sample of each step.
    Instant { selector: &'p SelectorPlan, span: Span, found: SeriesSet, range: TimeRange },
    /// A function of the window of each step.
    Range(Box<RangeLeaf<'a>>),
}

/// A function of a range vector, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct RangeLeaf<'a> {
    pub(crate) call: RangeCall,
    pub(crate) kernel: Kernel,
    /// How it is computed for floats without start timestamps, where there is a way for all steps at once.
    pub(crate) sliding: Option<Sliding>,
    pub(crate) matrix: Matrix<'a>,
    pub(crate) windows: Windows,
    /// The other arguments, at each step.
    pub(crate) params: Vec<Vec<f64>>,
    pub(crate) with_starts: bool,
}

impl Leaf<'_, '_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Instant { found, .. } => found.series.len(),
            Self::Range(leaf) => leaf.matrix.sources.len(),
        }
    }

    /// All labels of a series.
    pub(crate) fn labels(&self, at: usize) -> Labels {
        match self {
            Self::Instant { found, .. } => found.series[at].labels(),
            Self::Range(leaf) => leaf.matrix.sources[at].labels(),
        }
    }

    /// One label of a series.
    pub(crate) fn label(&self, at: usize, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Instant { found, .. } => found.series[at].label(name),
            Self::Range(leaf) => leaf.matrix.sources[at].label(name),
        }
    }

    /// The metric's name of a series, empty where it has none.
    pub(crate) fn metric(&self, at: usize) -> Cow<'_, str> {
        let known = match self {
            Self::Instant { selector, .. } => selector.metric_name(),
            Self::Range(leaf) => leaf.matrix.metric.as_deref(),
        };
        match known {
            Some(name) => Cow::Borrowed(name),
            None => self.label(at, METRIC_NAME_LABEL).unwrap_or_default(),
        }
    }

    /// The groups of the series as the store has numbered them.
    pub(crate) fn groups(&self) -> Option<GroupPlan> {
        let groups = match self {
            Self::Instant { found, .. } => found.groups.as_ref(),
            Self::Range(leaf) => leaf.matrix.groups.as_ref(),
        };
        let groups = groups.filter(|groups| groups.of.len() == self.len())?;
        Some(GroupPlan { group_of: groups.of.clone(), labels: groups.labels.clone() })
    }

    /// The group that a series belongs to.
    pub(crate) fn group_key(&self, at: usize, grouping: &Grouping) -> Labels {
        grouping.key_from(|name| self.label(at, name)).unwrap_or_else(|| grouping.key(&self.labels(at)))
    }

    /// Whether a series' values no longer mean the metric that its name says.
    pub(crate) fn drops_name(&self, at: usize) -> bool {
        match self {
            Self::Instant { .. } => false,
            Self::Range(leaf) => {
                let source = &leaf.matrix.sources[at];
                !leaf.call.keeps_name() || matches!(source, Source::Computed(series) if series.drop_name)
            }
        }
    }
}

impl<'a> Evaluator<'a> {
    /// The part of the plan as a leaf, where it is one.
    pub(crate) fn leaf<'p>(
        &'a self,
        plan: &'p Plan,
        steps: Steps,
    ) -> Result<Option<Leaf<'a, 'p>>, QueryError> {
        match &plan.kind {
            PlanKind::Vector(selector) => Ok(Some(self.instant_leaf(selector, plan.span, steps)?)),
            PlanKind::Call(call) if call.function.name != "absent_over_time" => {
                match crate::functions::kernel(call.function.name) {
                    Some(kernel) => Ok(Some(Leaf::Range(Box::new(self.range_leaf(call, kernel, steps)?)))),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn instant_leaf<'p>(
        &'a self,
        selector: &'p SelectorPlan,
        span: Span,
        steps: Steps,
    ) -> Result<Leaf<'a, 'p>, QueryError> {
        let range = self.lookback_range(selector, steps);
        let found =
            if steps.count == 0 { SeriesSet::default() } else { self.select(selector, range, steps)? };
        Ok(Leaf::Instant { selector, span, found, range })
    }

    /// The points of one series; `None` where it has none.
    pub(crate) fn leaf_points(
        &self,
        leaf: &Leaf<'_, '_>,
        at: usize,
        steps: Steps,
        scratch: &mut Scratch,
    ) -> Result<Option<Points>, QueryError> {
        let points = match leaf {
            Leaf::Range(leaf) => return self.range_points(leaf, at, steps, scratch),
            Leaf::Instant { selector, span, found, range } => {
                self.read(selector, &*found.series[at], *range, &mut scratch.columns)?;
                if selector.extension == Some(RangeExtension::Smoothed) {
                    let metric = leaf.metric(at);
                    let lookback = self.options.lookback_ms;
                    let place = (&*metric, *span);
                    smooth_at(selector, &scratch.columns, lookback, steps, place, &mut scratch.notes)
                } else {
                    let values = scratch.absent_values(steps.count);
                    self.newest(selector, &scratch.columns, steps, values)
                }
            }
        };
        if points.is_empty() {
            scratch.recycle(points);
            return Ok(None);
        }
        self.count_used(points.sample_count(), steps, &|idx| u64::from(points.has(idx)));
        Ok(Some(points))
    }

    /// All series of a leaf.
    pub(crate) fn collect(&'a self, leaf: &Leaf<'_, '_>, steps: Steps) -> Result<Frame<'a>, QueryError> {
        let columns = self.budget().columns(leaf.len(), steps)?;
        let all: Vec<usize> = (0..leaf.len()).collect();
        let series = self.for_each(&all, |scratch, at| {
            let Some(points) = self.leaf_points(leaf, *at, steps, scratch)? else { return Ok(None) };
            let mut series = Series { labels: leaf.labels(*at), drop_name: false, points };
            if leaf.drops_name(*at) {
                self.drop_name(&mut series);
            }
            Ok(Some(series))
        })?;
        drop(columns);
        self.frame(series.into_iter().flatten().collect())
    }
}
