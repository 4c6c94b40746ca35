//! Queries of one point in time: the newest samples of many series from the store at once.

use metric_storage_api::{AggregationHint, NewestRequest, NewestSet};
use model::Labels;

use crate::QueryError;
use crate::eval::accumulate::Accumulator;
use crate::eval::{Evaluator, Frame};
use crate::notes::Notes;
use crate::plan::{AggregatePlan, Plan, PlanKind, SelectorPlan};
use crate::series::{Points, Series, Steps};
use promql_syntax::AggregateOp;

impl<'a> Evaluator<'a> {
    /// The newest samples of a selector's series, where there is one step and the store can tell them.
    pub(crate) fn newest_samples(
        &self,
        selector: &SelectorPlan,
        grouping: Option<&AggregationHint>,
        with_values: bool,
        steps: Steps,
    ) -> Result<Option<NewestSet>, QueryError> {
        if steps.count != 1 || selector.extension.is_some() || selector.histogram_stats {
            return Ok(None);
        }
        let until = selector.data_time(steps.start);
        let after = until.saturating_sub(self.options.lookback_ms);
        let request = NewestRequest { matchers: &selector.matchers, after, until, grouping, with_values };
        let Some(set) = self.reader.newest(self.ctx, &request)? else { return Ok(None) };
        let count = set.groups.of.len();
        self.count_series(count);
        self.count_read(set.samples_read as usize);
        self.count_used(count as u64, steps, &|_| count as u64);
        Ok(Some(set))
    }

    /// A vector of samples each of which is a group of its own.
    pub(crate) fn newest_frame(&'a self, set: NewestSet) -> Result<Frame<'a>, QueryError> {
        let NewestSet { groups, values, .. } = set;
        let series = groups.of.iter().zip(values).map(|(group, value)| Series {
            labels: groups.labels[*group as usize].clone(),
            drop_name: false,
            points: Points { values: vec![value], histograms: Vec::new() },
        });
        self.frame(series.collect())
    }

    /// Aggregates the newest samples without making series of them, where the store can tell them.
    pub(crate) fn aggregate_newest(
        &'a self,
        node: &AggregatePlan,
        params: &[f64],
        steps: Steps,
    ) -> Result<Option<Frame<'a>>, QueryError> {
        let Plan { kind: PlanKind::Vector(selector), span, .. } = &node.inner else { return Ok(None) };
        let names = node.grouping.clone();
        let hint = if node.without { AggregationHint::Without(names) } else { AggregationHint::By(names) };
        let counts_only = matches!(node.op, AggregateOp::Count | AggregateOp::Group);
        let Some(set) = self.newest_samples(selector, Some(&hint), !counts_only, steps)? else {
            return Ok(None);
        };
        let NewestSet { groups, values, held, .. } = set;
        let mut states: Vec<Option<Accumulator>> = groups.labels.iter().map(|_| None).collect();
        for (at, group) in groups.of.iter().enumerate() {
            let state = states[*group as usize].get_or_insert_with(|| Accumulator::new(node.op, *span, 1));
            state.add_float(0, values.get(at).copied().unwrap_or(0.0));
        }
        let mut notes = Notes::default();
        let series = groups.labels.into_iter().zip(states).filter_map(|(labels, state): (Labels, _)| {
            let points = state?.finish(params, &mut notes);
            Some(Series { labels, drop_name: false, points })
        });
        let series = series.collect();
        drop(held);
        self.frame(series).map(Some)
    }
}
