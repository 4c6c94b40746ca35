//! Evaluation: each part of a plan gives columns over all steps at once.

mod accumulate;
mod aggregate;
mod binary;
mod call;
mod explain;
mod frame;
mod histogram_call;
mod info;
mod leaf;
mod matrix;
mod newest;
mod rank;
mod sampling;
mod selector;
mod vector_match;
mod window_plan;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use metric_storage_api::{MetricReader, SampleColumns};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::prelude::IndexedParallelIterator;
use resources::RequestContext;

use crate::budget::Budget;
use crate::engine::Outcome;
use crate::eval::explain::Trace;
use crate::eval::matrix::RangeSamples;
use crate::eval::window_plan::WindowPlans;
use crate::functions::SlidingScratch;
use crate::notes::Notes;
use crate::plan::{Plan, PlanKind};
use crate::series::{ABSENT, Points, Series, Steps};
use crate::value::{ExplainNode, NodeCost, QueryStats};
use crate::{EngineOptions, QueryError};

pub(crate) use binary::scalar_op;
pub(crate) use frame::Frame;

/// Fewer series than this are evaluated on one thread.
const PARALLEL_SERIES_MIN: usize = 32;

/// What a part of a plan gives.
#[derive(Debug)]
pub(crate) enum Evaluated<'a> {
    /// One number a step.
    Scalar(Vec<f64>),
    Text(String),
    Vector(Frame<'a>),
}

/// Evaluates one query.
#[derive(Debug)]
pub(crate) struct Evaluator<'a> {
    pub(crate) ctx: &'a RequestContext,
    pub(crate) reader: &'a dyn MetricReader,
    pub(crate) options: &'a EngineOptions,
    budget: Budget<'a>,
    notes: Mutex<Notes>,
    samples_total: AtomicU64,
    samples_read: AtomicU64,
    series: AtomicU64,
    /// Samples by step of the query; empty unless asked for.
    per_step: Mutex<Vec<u64>>,
    steps: Steps,
    /// The query as written, where that is known.
    text: Option<&'a str>,
    /// What each part takes, where that was asked for.
    trace: Option<Trace>,
}

/// What a thread reuses from series to series.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) columns: SampleColumns,
    pub(crate) samples: RangeSamples,
    pub(crate) notes: Notes,
    windows: WindowPlans,
    sliding: SlidingScratch,
    /// Room for the next series' values.
    spare: Vec<f64>,
}

impl Scratch {
    /// Room for a value a step, none of them there yet.
    fn absent_values(&mut self, steps: usize) -> Vec<f64> {
        let mut values = std::mem::take(&mut self.spare);
        values.clear();
        values.resize(steps, ABSENT);
        values
    }

    /// Takes room back.
    pub(crate) fn recycle(&mut self, points: Points) {
        self.spare = points.values;
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        ctx: &'a RequestContext,
        reader: &'a dyn MetricReader,
        options: &'a EngineOptions,
        steps: Steps,
        text: Option<&'a str>,
    ) -> Self {
        let per_step = if options.features.per_step_stats { vec![0; steps.count] } else { Vec::new() };
        Self {
            ctx,
            reader,
            options,
            budget: Budget::new(ctx, options.max_samples),
            notes: Mutex::default(),
            samples_total: AtomicU64::new(0),
            samples_read: AtomicU64::new(0),
            series: AtomicU64::new(0),
            per_step: Mutex::new(per_step),
            steps,
            text,
            trace: None,
        }
    }

    /// From now on what each part takes is noted.
    pub(crate) fn trace(&mut self) {
        self.trace = Some(Trace::default());
    }

    /// What was noted, as a tree.
    pub(crate) fn explained(&self, plan: &Plan) -> Option<ExplainNode> {
        Some(self.trace.as_ref()?.tree(plan, self.text))
    }

    /// A part of the query as written.
    pub(crate) fn text_of(&self, span: promql_syntax::Span) -> Option<&'a str> {
        self.text?.get(span.start..span.end)
    }

    /// Evaluates the whole query.
    pub(crate) fn query(&self, plan: &Plan, steps: Steps) -> Result<Outcome, QueryError> {
        self.budget.check_steps(steps)?;
        let inner = match &plan.kind {
            PlanKind::Invariant(inner) => inner,
            _ => plan,
        };
        if matches!(inner.kind, PlanKind::Matrix(_) | PlanKind::Subquery(_)) {
            let matrix = self.measured(inner, || self.top_level_matrix(inner, steps), Vec::len)?;
            return Ok(Outcome::Matrix(matrix));
        }
        Ok(match self.eval(plan, steps)? {
            Evaluated::Scalar(values) => Outcome::Scalar(values),
            Evaluated::Text(text) => Outcome::Text(text),
            Evaluated::Vector(mut frame) => {
                if self.options.features.delayed_name_removal {
                    for series in frame.series.iter_mut().filter(|series| series.drop_name) {
                        series.labels = frame::without_metadata(&series.labels);
                    }
                    frame.series = frame::merged(frame.series)?;
                }
                Outcome::Vector(frame.series)
            }
        })
    }

    /// The remarks and the cost.
    pub(crate) fn finish(self) -> (Notes, QueryStats) {
        let notes = self.notes.into_inner().unwrap_or_default();
        let per_step = self.per_step.into_inner().unwrap_or_default();
        let steps = self.steps;
        let stats = QueryStats {
            samples_total: self.samples_total.into_inner(),
            samples_peak: self.budget.peak(),
            samples_read: self.samples_read.into_inner(),
            series: self.series.into_inner(),
            samples_per_step: per_step
                .into_iter()
                .enumerate()
                .map(|(idx, count)| (steps.time(idx), count))
                .collect(),
        };
        (notes, stats)
    }

    /// Evaluates a part of the plan that is no range vector.
    pub(crate) fn eval(&'a self, plan: &Plan, steps: Steps) -> Result<Evaluated<'a>, QueryError> {
        self.ctx.check()?;
        self.measured(
            plan,
            || self.eval_part(plan, steps),
            |result| match result {
                Evaluated::Vector(frame) => frame.series.len(),
                Evaluated::Scalar(_) | Evaluated::Text(_) => 1,
            },
        )
    }

    /// Notes what a part takes, where that was asked for.
    fn measured<T>(
        &self,
        plan: &Plan,
        evaluate: impl FnOnce() -> Result<T, QueryError>,
        series: impl FnOnce(&T) -> usize,
    ) -> Result<T, QueryError> {
        let Some(trace) = &self.trace else { return evaluate() };
        let counts = || {
            let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (load(&self.samples_total), load(&self.samples_read))
        };
        let (before, started) = (counts(), Instant::now());
        let result = evaluate()?;
        let after = counts();
        let cost = NodeCost {
            evaluations: 1,
            time: started.elapsed(),
            samples: after.0 - before.0,
            samples_read: after.1 - before.1,
            series: series(&result) as u64,
        };
        trace.note(plan, cost);
        Ok(result)
    }

    fn eval_part(&'a self, plan: &Plan, steps: Steps) -> Result<Evaluated<'a>, QueryError> {
        Ok(match &plan.kind {
            PlanKind::Number(value) => Evaluated::Scalar(vec![*value; steps.count]),
            PlanKind::Text(text) => Evaluated::Text(text.clone()),
            PlanKind::Invariant(inner) => self.invariant(inner, steps)?,
            PlanKind::Vector(selector) => {
                Evaluated::Vector(self.vector_selector(selector, plan.span, steps)?)
            }
            PlanKind::Aggregate(node) => Evaluated::Vector(self.aggregate(node, plan.span, steps)?),
            PlanKind::Binary(node) => self.binary(node, plan.span, steps)?,
            PlanKind::Call(node) => self.call(node, plan.span, steps)?,
            PlanKind::Negate(inner) => match self.eval(inner, steps)? {
                Evaluated::Scalar(values) => Evaluated::Scalar(values.iter().map(|value| -value).collect()),
                Evaluated::Vector(frame) => Evaluated::Vector(self.negate(frame)?),
                Evaluated::Text(text) => Evaluated::Text(text),
            },
            PlanKind::Matrix(_) | PlanKind::Subquery(_) => {
                return Err(QueryError::execution("a range vector has no value of its own here"));
            }
        })
    }

    /// The numbers of a scalar expression.
    pub(crate) fn scalar(&'a self, plan: &Plan, steps: Steps) -> Result<Vec<f64>, QueryError> {
        match self.eval(plan, steps)? {
            Evaluated::Scalar(values) => Ok(values),
            Evaluated::Text(_) | Evaluated::Vector(_) => Err(QueryError::execution("a scalar was expected")),
        }
    }

    /// The series of a vector expression.
    pub(crate) fn vector(&'a self, plan: &Plan, steps: Steps) -> Result<Frame<'a>, QueryError> {
        match self.eval(plan, steps)? {
            Evaluated::Vector(frame) => Ok(frame),
            Evaluated::Text(_) | Evaluated::Scalar(_) => {
                Err(QueryError::execution("an instant vector was expected"))
            }
        }
    }

    /// Evaluates once, at the first step, and repeats the result.
    fn invariant(&'a self, inner: &Plan, steps: Steps) -> Result<Evaluated<'a>, QueryError> {
        if steps.count == 0 {
            return Ok(Evaluated::Vector(self.frame(Vec::new())?));
        }
        Ok(match self.eval(inner, Steps::instant(steps.start))? {
            Evaluated::Scalar(values) => {
                Evaluated::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); steps.count])
            }
            Evaluated::Text(text) => Evaluated::Text(text),
            Evaluated::Vector(frame) => {
                let series = frame.series.iter().map(|series| Series {
                    labels: series.labels.clone(),
                    drop_name: series.drop_name,
                    points: Points {
                        values: vec![series.points.values[0]; steps.count],
                        histograms: match series.points.histograms.first() {
                            Some(histogram) => vec![histogram.clone(); steps.count],
                            None => Vec::new(),
                        },
                    },
                });
                Evaluated::Vector(self.frame(series.collect())?)
            }
        })
    }

    /// Runs `work` for each item, on all threads of the pool where that pays; results stay in order.
    pub(crate) fn for_each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&mut Scratch, &T) -> Result<R, QueryError> + Sync,
    ) -> Result<Vec<R>, QueryError> {
        self.for_each_of(items, PARALLEL_SERIES_MIN, work)
    }

    /// As [`Self::for_each`]; fewer than `parallel_min` items are worked on by one thread.
    pub(crate) fn for_each_of<T: Sync, R: Send>(
        &self,
        items: &[T],
        parallel_min: usize,
        work: impl Fn(&mut Scratch, &T) -> Result<R, QueryError> + Sync,
    ) -> Result<Vec<R>, QueryError> {
        let one = |scratch: &mut Scratch, item: &T| {
            self.ctx.check()?;
            let result = work(scratch, item);
            if !scratch.notes.is_empty() {
                self.note(|notes| notes.merge(std::mem::take(&mut scratch.notes)));
            }
            result
        };
        if items.len() < parallel_min || self.ctx.cpu.threads(self.ctx.cpu_class) < 2 {
            let mut scratch = Scratch::default();
            return items.iter().map(|item| one(&mut scratch, item)).collect();
        }
        let items = items.par_iter().with_min_len(parallel_min.div_ceil(4));
        self.ctx.cpu.install(self.ctx.cpu_class, || items.map_init(Scratch::default, one).collect())
    }

    /// Adds remarks.
    pub(crate) fn note(&self, add: impl FnOnce(&mut Notes)) {
        // A poisoned lock means that another thread has failed: its error is what the query ends with.
        if let Ok(mut notes) = self.notes.lock() {
            add(&mut notes);
        }
    }

    /// Series with their samples held in the budget.
    pub(crate) fn frame(&'a self, series: Vec<Series>) -> Result<Frame<'a>, QueryError> {
        let held = self.budget.hold(&series)?;
        Ok(Frame { series, held })
    }

    pub(crate) fn budget(&'a self) -> &'a Budget<'a> {
        &self.budget
    }

    pub(crate) fn count_series(&self, count: usize) {
        self.series.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_read(&self, samples: usize) {
        self.samples_read.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// Counts samples used at steps; `per_step` gives them one by one where that was asked for.
    pub(crate) fn count_used(&self, total: u64, steps: Steps, per_step: &dyn Fn(usize) -> u64) {
        self.samples_total.fetch_add(total, Ordering::Relaxed);
        if !self.options.features.per_step_stats {
            return;
        }
        if let Ok(mut counts) = self.per_step.lock() {
            for idx in 0..steps.count {
                // Steps of a subquery are counted at the step of the query they end in.
                let time = steps.time(idx);
                let query = self.steps;
                let at = (time.saturating_sub(query.start).max(0) / query.step) as usize;
                if let Some(count) = counts.get_mut(at.min(query.count.saturating_sub(1))) {
                    *count += per_step(idx);
                }
            }
        }
    }
}
