//! Groups of series whose values are aggregated step by step, as they come: no series is kept.

use logql_syntax::VectorOp;
use vector_ops::Grouping;

use super::StepSeries;
use super::range_functions::{Mean, Variance, largest, smallest};
use super::series_set::SeriesKey;
use super::step_values::{StepRun, StepValues};
use crate::series_table::SeriesTable;

/// Whether an aggregation needs each value once, in any order, and knows no series afterwards.
pub(super) fn folds(op: VectorOp) -> bool {
    accumulator(op).is_some()
}

/// What has come together at a step of a group.
#[derive(Clone, Copy, Debug)]
enum Accumulator {
    Sum(f64),
    Count(f64),
    Min(f64),
    Max(f64),
    Mean(Mean),
    Variance(Variance),
    Deviation(Variance),
}

fn accumulator(op: VectorOp) -> Option<Accumulator> {
    Some(match op {
        VectorOp::Sum => Accumulator::Sum(0.0),
        VectorOp::Count => Accumulator::Count(0.0),
        VectorOp::Min => Accumulator::Min(f64::NAN),
        VectorOp::Max => Accumulator::Max(f64::NAN),
        VectorOp::Avg => Accumulator::Mean(Mean::default()),
        VectorOp::Stdvar => Accumulator::Variance(Variance::default()),
        VectorOp::Stddev => Accumulator::Deviation(Variance::default()),
        VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk | VectorOp::Sort | VectorOp::SortDesc => {
            return None;
        }
    })
}

impl Accumulator {
    fn add(&mut self, value: f64) {
        match self {
            Self::Sum(sum) => *sum += value,
            Self::Count(count) => *count += 1.0,
            Self::Min(low) => *low = smallest(*low, value),
            Self::Max(high) => *high = largest(*high, value),
            Self::Mean(mean) => mean.add(value),
            Self::Variance(variance) | Self::Deviation(variance) => variance.add(value),
        }
    }

    fn value(&self) -> f64 {
        match self {
            Self::Sum(value) | Self::Count(value) | Self::Min(value) | Self::Max(value) => *value,
            Self::Mean(mean) => mean.value(),
            Self::Variance(variance) => variance.value(),
            Self::Deviation(variance) => variance.value().sqrt(),
        }
    }
}

/// Groups and what has come together in them.
#[derive(Debug)]
pub(super) struct GroupFold {
    empty: Accumulator,
    table: SeriesTable,
    groups: Vec<StepRun<Accumulator>>,
    heap_bytes: usize,
}

impl GroupFold {
    /// Groups for an aggregation; `None` for one that needs whole series.
    pub(super) fn new(op: VectorOp) -> Option<Self> {
        let empty = accumulator(op)?;
        Some(Self { empty, table: SeriesTable::default(), groups: Vec::new(), heap_bytes: 0 })
    }

    /// The number of the group with these labels.
    pub(super) fn group(&mut self, labels: &[(&str, &str)]) -> usize {
        let (idx, is_new) = self.table.number(labels);
        if is_new {
            self.groups.push(StepRun::default());
            self.heap_bytes += self.table.labels(idx).heap_bytes() + 128;
        }
        idx
    }

    /// Takes whole series, in their order.
    pub(super) fn take(&mut self, series: &[StepSeries], grouping: &Grouping) {
        let key = SeriesKey { grouping: Some(grouping), unwrapped: None };
        for series in series {
            let labels: Vec<_> = series.labels.iter().filter(|(name, _)| key.keeps(name)).collect();
            let group = self.group(&labels);
            series.values.iter().for_each(|(step, value)| self.add(group, step, value));
        }
    }

    pub(super) fn add(&mut self, group: usize, step: usize, value: f64) {
        let run = &mut self.groups[group];
        let before = run.heap_bytes();
        run.slot(step).get_or_insert(self.empty).add(value);
        self.heap_bytes += run.heap_bytes() - before;
    }

    /// What the groups take in memory.
    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// One series per group, in the order in which the groups came.
    pub(super) fn finish(self) -> Vec<StepSeries> {
        let table = self.table;
        let series = self.groups.into_iter().enumerate().map(|(idx, group)| {
            let mut values = StepValues::default();
            values.reserve(group.iter().count());
            for (step, accumulator) in group.iter() {
                *values.slot(step) = Some(accumulator.value());
            }
            StepSeries { labels: table.labels(idx).clone(), values }
        });
        series.collect()
    }
}
