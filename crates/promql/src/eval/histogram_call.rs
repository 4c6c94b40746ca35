//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: native and classic histograms side by side.

use std::collections::HashMap;

use model::{BUCKET_LABEL, Labels, LabelsBuilder, format_float, parse_float};
use promql_syntax::Span;

use crate::QueryError;
use crate::eval::matrix::arg_span;
use crate::eval::{Evaluator, Frame};
use crate::functions::{Bucket, bucket_fraction, bucket_quantile, histogram_fraction, histogram_quantile};
use crate::notes::Notes;
use crate::plan::{Plan, PlanKind};
use crate::series::{Points, Series, SharedHistogram, Steps, is_absent};

/// What is asked of each histogram.
#[derive(Clone, Copy)]
enum Question<'a> {
    Quantile(&'a [f64]),
    Fraction(&'a [f64], &'a [f64]),
}

/// The buckets of one classic histogram.
struct Classic<'a> {
    /// Without `le`.
    labels: Labels,
    metric: &'a str,
    drop_name: bool,
    buckets: Vec<(f64, &'a Series)>,
}

impl Classic<'_> {
    fn has_bucket(&self, idx: usize) -> bool {
        self.buckets.iter().any(|(_, series)| !is_absent(series.points.values[idx]))
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn histogram_call(
        &'a self,
        name: &str,
        args: &[Plan],
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let scalar = |idx| self.scalar_arg(args, idx, steps);
        let (vector_at, label, questions) = match name {
            "histogram_quantile" => (1, None, vec![(scalar(0)?, None)]),
            "histogram_fraction" => (2, None, vec![(scalar(0)?, Some(scalar(1)?))]),
            _ => {
                let label = match args.get(1).map(|arg| &arg.kind) {
                    Some(PlanKind::Text(label)) => label.clone(),
                    _ => String::new(),
                };
                let quantiles = (2..args.len()).map(|idx| Ok((scalar(idx)?, None)));
                (0, Some(label), quantiles.collect::<Result<Vec<_>, QueryError>>()?)
            }
        };
        let frame = self.vector_arg(args, vector_at, steps)?;
        let span = arg_span(args, vector_at);
        let mut notes = Notes::default();
        let histograms = Histograms::sort(&frame.series, steps, span, self.keeps_names(), &mut notes);
        let mut result = Vec::new();
        for (at, (first, second)) in questions.iter().enumerate() {
            self.ctx.check()?;
            if second.is_none() {
                let quantile_span = arg_span(args, if vector_at == 1 { 0 } else { at + 2 });
                for q in first.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                    notes.invalid_quantile(*q, quantile_span);
                }
            }
            let question = match second {
                Some(second) => Question::Fraction(first, second),
                None => Question::Quantile(first),
            };
            let answers = histograms.answer(question, &mut notes);
            match &label {
                None => result.extend(answers),
                Some(label) => with_quantile_labels(answers, label, first, &mut result),
            }
        }
        drop(histograms);
        for series in &mut result {
            self.drop_name(series);
        }
        self.note(|all| all.merge(notes));
        let result = self.frame(result)?;
        drop(frame);
        self.finished(result)
    }

    /// Whether series still have their names in the middle of an evaluation.
    fn keeps_names(&self) -> bool {
        self.options.features.delayed_name_removal
    }
}

/// The quantile of a series as a label; where it changes from step to step, so does the label.
fn with_quantile_labels(answers: Vec<Series>, label: &str, quantiles: &[f64], result: &mut Vec<Series>) {
    for series in answers {
        let mut of_quantile: Vec<(u64, Series)> = Vec::new();
        for (idx, q) in quantiles.iter().enumerate() {
            if !series.points.has(idx) {
                continue;
            }
            let bits = q.to_bits();
            let at = match of_quantile.iter().position(|(known, _)| *known == bits) {
                Some(at) => at,
                None => {
                    let text = open_metrics_float(*q);
                    let labels = LabelsBuilder::from_labels(&series.labels).set(label, &text).build();
                    let points = Points::absent(quantiles.len());
                    of_quantile.push((bits, Series { labels, drop_name: series.drop_name, points }));
                    of_quantile.len() - 1
                }
            };
            of_quantile[at].1.points.set(idx, series.points.get(idx));
        }
        result.extend(of_quantile.into_iter().map(|(_, series)| series));
    }
}

/// A float as OpenMetrics writes it in labels: always with a point or an exponent.
fn open_metrics_float(value: f64) -> String {
    let text = format_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

/// The histograms of a vector.
struct Histograms<'a> {
    native: Vec<(&'a Series, Vec<Option<&'a SharedHistogram>>)>,
    classic: Vec<Classic<'a>>,
    /// Steps at which a classic histogram is left out, because a native one has the same labels.
    clashes: Vec<Vec<bool>>,
    steps: Steps,
    span: Span,
    /// Whether remarks name the metric.
    names_metrics: bool,
}

impl<'a> Histograms<'a> {
    fn sort(series: &'a [Series], steps: Steps, span: Span, names_metrics: bool, notes: &mut Notes) -> Self {
        let mut known: HashMap<Labels, usize> = HashMap::new();
        let mut classic: Vec<Classic<'a>> = Vec::new();
        let shown = |series: &'a Series| if names_metrics { series.labels.metric_name() } else { "" };
        for one in series {
            if one.points.values.iter().all(|value| is_absent(*value)) {
                continue;
            }
            let le = one.labels.value(BUCKET_LABEL);
            let Some(upper) = parse_float(le) else {
                notes.bad_bucket_label(shown(one), le, span);
                continue;
            };
            // Histograms of different metrics stay apart as long as their names are there.
            let key = one.labels.retain(|name| name != BUCKET_LABEL);
            let next = classic.len();
            let at = *known.entry(key).or_insert_with_key(|key| {
                classic.push(Classic {
                    labels: key.clone(),
                    metric: shown(one),
                    drop_name: one.drop_name,
                    buckets: Vec::new(),
                });
                next
            });
            classic[at].buckets.push((upper, one));
        }
        let mut clashes = vec![Vec::new(); classic.len()];
        let mut native = Vec::new();
        for one in series.iter().filter(|one| !one.points.histograms.is_empty()) {
            let mut histograms: Vec<Option<&SharedHistogram>> =
                one.points.histograms.iter().map(Option::as_ref).collect();
            let clashing = known.get(&one.labels).copied();
            clashing.into_iter().for_each(|at| clashes[at] = vec![false; steps.count]);
            for (idx, histogram) in histograms.iter_mut().enumerate() {
                let has_bucket = clashing.is_some_and(|at| classic[at].has_bucket(idx));
                if let (Some(at), true, true) = (clashing, has_bucket, histogram.is_some()) {
                    notes.mixed_classic_native(shown(one), span);
                    *histogram = None;
                    clashes[at][idx] = true;
                }
            }
            native.push((one, histograms));
        }
        Self { native, classic, clashes, steps, span, names_metrics }
    }

    fn answer(&self, question: Question<'_>, notes: &mut Notes) -> Vec<Series> {
        let mut result = Vec::new();
        for (series, histograms) in &self.native {
            let metric = if self.names_metrics { series.labels.metric_name() } else { "" };
            let mut points = Points::absent(self.steps.count);
            for (idx, histogram) in histograms.iter().enumerate() {
                let Some(histogram) = histogram else { continue };
                points.values[idx] = match question {
                    Question::Quantile(q) => histogram_quantile(q[idx], histogram, metric, self.span, notes),
                    Question::Fraction(lower, upper) => {
                        let (lower, upper) = (lower[idx], upper[idx]);
                        histogram_fraction(lower, upper, histogram, metric, self.span, notes)
                    }
                };
            }
            let labels = series.labels.clone();
            result.push(Series { labels, drop_name: series.drop_name, points });
        }
        for (classic, clash) in self.classic.iter().zip(&self.clashes) {
            let points = self.answer_classic(classic, clash, question, notes);
            let labels = classic.labels.clone();
            result.push(Series { labels, drop_name: classic.drop_name, points });
        }
        result
    }

    fn answer_classic(
        &self,
        classic: &Classic<'_>,
        clash: &[bool],
        question: Question<'_>,
        notes: &mut Notes,
    ) -> Points {
        let mut points = Points::absent(self.steps.count);
        let mut buckets = Vec::with_capacity(classic.buckets.len());
        for idx in 0..self.steps.count {
            buckets.clear();
            buckets.extend(classic.buckets.iter().filter_map(|(upper, series)| {
                let count = series.points.values[idx];
                (!is_absent(count)).then_some(Bucket { upper: *upper, count })
            }));
            if buckets.is_empty() || clash.get(idx) == Some(&true) {
                continue;
            }
            points.values[idx] = match question {
                Question::Fraction(lower, upper) => bucket_fraction(lower[idx], upper[idx], &mut buckets),
                Question::Quantile(q) => {
                    let (value, repaired) = bucket_quantile(q[idx], &mut buckets, self.steps.time(idx));
                    let repaired = repaired.into_iter();
                    repaired.for_each(|found| notes.forced_monotonicity(classic.metric, self.span, found));
                    value
                }
            };
        }
        points
    }
}
