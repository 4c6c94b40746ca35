//! `info`: labels of info metrics such as `target_info` on other series.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use go_regex::CompiledMatcher;
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, MatchOp, Matcher, TimeRange};

use crate::QueryError;
use crate::eval::vector_match::braced;
use crate::eval::{Evaluator, Frame, frame};
use crate::plan::{Plan, PlanKind, SelectorPlan};
use crate::series::{Point, Points, Series, Steps};

/// Labels that say which target a series is of.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// The info metric that is taken where none is named.
const TARGET_INFO: &str = "target_info";

/// An info series with the time of its newest sample at each step.
struct InfoSeries {
    labels: Labels,
    /// Its name and identifying labels.
    key: Labels,
    sample_times: Vec<Option<i64>>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn info(&'a self, args: &[Plan], steps: Steps) -> Result<Frame<'a>, QueryError> {
        let base = self.vector_arg(args, 0, steps)?;
        let selected: &[CompiledMatcher] = match args.get(1).map(|arg| &arg.kind) {
            Some(PlanKind::Vector(selector)) => &selector.matchers,
            _ => &[],
        };
        let (names, data): (Vec<&CompiledMatcher>, Vec<&CompiledMatcher>) =
            selected.iter().partition(|matcher| matcher.name() == METRIC_NAME_LABEL);
        let names = name_matchers(&names)?;
        // Info series are not enriched themselves.
        let is_info = |series: &Series| {
            let name = series.labels.metric_name();
            names.iter().all(|matcher| matcher.matches(name))
        };
        let ignored: Vec<bool> = base.series.iter().map(is_info).collect();
        let wanted = base.series.iter().zip(&ignored).filter(|(_, ignored)| !**ignored);
        let wanted: Vec<&Labels> = wanted.map(|(series, _)| &series.labels).collect();
        let (at, offset_ms) = first_selector(&args[0]).unwrap_or((None, 0));
        let infos = self.info_series(&wanted, &names, &data, (at, offset_ms), steps)?;
        let mut result = Combined { steps, series: Vec::new(), known: HashMap::new() };
        for step in 0..steps.count {
            if step % 16 == 0 {
                self.ctx.check()?;
            }
            let newest = newest_by_key(&infos, step)?;
            for (series, ignored) in base.series.iter().zip(&ignored) {
                if !series.points.has(step) {
                    continue;
                }
                if *ignored {
                    result.add(step, series, series.labels.clone())?;
                } else if let Some(labels) = enriched(&series.labels, &newest, &data)? {
                    result.add(step, series, labels)?;
                }
            }
        }
        drop(base);
        self.frame(result.series)
    }

    fn info_series(
        &self,
        wanted: &[&Labels],
        names: &[CompiledMatcher],
        data: &[&CompiledMatcher],
        (at, offset_ms): (Option<i64>, i64),
        steps: Steps,
    ) -> Result<Vec<InfoSeries>, QueryError> {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for labels in wanted {
            for name in IDENTIFYING {
                if let Some(value) = labels.get(name) {
                    values.entry(name).or_default().insert(value);
                }
            }
        }
        if values.is_empty() || steps.count == 0 {
            return Ok(Vec::new());
        }
        let mut matchers: Vec<CompiledMatcher> = Vec::new();
        for (name, values) in values {
            let pattern: Vec<String> = values.into_iter().map(quote_pattern).collect();
            matchers.push(compile(Matcher::new(name, MatchOp::Regex, pattern.join("|")))?);
        }
        matchers.extend(data.iter().map(|matcher| (*matcher).clone()));
        matchers.extend(names.iter().cloned());
        let selector = SelectorPlan {
            matchers: Arc::from(matchers),
            offset_ms,
            at,
            range_ms: 0,
            extension: None,
            function: Some("info"),
            grouping: None,
            histogram_stats: false,
        };
        let lookback = self.options.lookback_ms;
        let range = TimeRange::new(
            selector.data_time(steps.start).saturating_sub(lookback).saturating_add(1),
            selector.data_time(steps.last()),
        );
        let found = self.select(&selector, range, steps)?.series;
        self.for_each(&found, |scratch, reader| {
            scratch.columns.clear();
            reader.read(self.ctx, range, &mut scratch.columns)?;
            let labels = reader.labels();
            if scratch.columns.histograms.iter().any(Option::is_some) {
                return Err(QueryError::execution(format!(
                    "this should be an info metric, with float samples: {}",
                    braced(&labels)
                )));
            }
            let sample_times = self.newest_times(&selector, &scratch.columns, steps);
            let key = identity(&labels);
            Ok(InfoSeries { labels, key, sample_times })
        })
    }
}

/// The series of the result.
struct Combined {
    steps: Steps,
    series: Vec<Series>,
    known: HashMap<Labels, usize>,
}

impl Combined {
    fn add(&mut self, step: usize, from: &Series, labels: Labels) -> Result<(), QueryError> {
        let next = self.series.len();
        let at = *self.known.entry(labels).or_insert_with_key(|labels| {
            let points = Points::absent(self.steps.count);
            self.series.push(Series { labels: labels.clone(), drop_name: from.drop_name, points });
            next
        });
        let points = &mut self.series[at].points;
        if points.has(step) {
            return Err(QueryError::execution(frame::SAME_LABELSET));
        }
        let point = from.points.get(step);
        if !matches!(point, Point::Absent) {
            points.set(step, point);
        }
        Ok(())
    }
}

/// The matchers of the info metrics' names: those given, with all of `.+_info` meant where they only exclude.
fn name_matchers(given: &[&CompiledMatcher]) -> Result<Vec<CompiledMatcher>, QueryError> {
    let mut matchers: Vec<CompiledMatcher> = given.iter().map(|matcher| (*matcher).clone()).collect();
    let has_positive =
        given.iter().any(|matcher| matches!(matcher.matcher().op, MatchOp::Equal | MatchOp::Regex));
    if matchers.is_empty() {
        matchers.push(compile(Matcher::new(METRIC_NAME_LABEL, MatchOp::Equal, TARGET_INFO))?);
    } else if !has_positive {
        matchers.insert(0, compile(Matcher::new(METRIC_NAME_LABEL, MatchOp::Regex, ".+_info"))?);
    }
    Ok(matchers)
}

fn compile(matcher: Matcher) -> Result<CompiledMatcher, QueryError> {
    CompiledMatcher::new(matcher).map_err(|error| QueryError::execution(error.to_string()))
}

/// A value as a pattern that matches it only.
fn quote_pattern(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Name and identifying labels.
fn identity(labels: &Labels) -> Labels {
    labels.retain(|name| name == METRIC_NAME_LABEL || IDENTIFYING.contains(&name))
}

/// The fixed time and the offset that the first selector of an expression is read at.
fn first_selector(plan: &Plan) -> Option<(Option<i64>, i64)> {
    match &plan.kind {
        PlanKind::Number(_) | PlanKind::Text(_) => None,
        PlanKind::Vector(selector) | PlanKind::Matrix(selector) => Some((selector.at, selector.offset_ms)),
        PlanKind::Invariant(inner) | PlanKind::Negate(inner) => first_selector(inner),
        PlanKind::Subquery(node) => first_selector(&node.inner).map(|(at, offset)| match at {
            // A time that is fixed further in does not move any more.
            Some(_) => (at, offset),
            None => (node.at, offset.saturating_add(node.offset_ms)),
        }),
        PlanKind::Aggregate(node) => first_selector(&node.inner),
        PlanKind::Binary(node) => first_selector(&node.left).or_else(|| first_selector(&node.right)),
        PlanKind::Call(node) => node.args.iter().find_map(first_selector),
    }
}

/// The info series with the newest sample for each name and target.
fn newest_by_key(infos: &[InfoSeries], step: usize) -> Result<BTreeMap<Labels, &InfoSeries>, QueryError> {
    let mut newest: BTreeMap<Labels, &InfoSeries> = BTreeMap::new();
    for info in infos {
        let Some(time) = info.sample_times[step] else { continue };
        let Some(known) = newest.get(&info.key) else {
            newest.insert(info.key.clone(), info);
            continue;
        };
        let known_time = known.sample_times[step].unwrap_or(i64::MIN);
        if known_time == time {
            let (known, found) = (braced(&known.labels), braced(&info.labels));
            return Err(QueryError::execution(format!(
                "found duplicate series for info metric: existing {known} @ {known_time}, new {found} @ {time}"
            )));
        }
        if known_time < time {
            newest.insert(info.key.clone(), info);
        }
    }
    Ok(newest)
}

/// The labels with those of matching info series; `None` where one was demanded and none is there.
fn enriched(
    labels: &Labels,
    newest: &BTreeMap<Labels, &InfoSeries>,
    data: &[&CompiledMatcher],
) -> Result<Option<Labels>, QueryError> {
    let target = labels.retain(|name| IDENTIFYING.contains(&name));
    let mut added = LabelsBuilder::new();
    let mut has_match = false;
    for info in newest.values() {
        if info.key.without_metric_name() != target {
            continue;
        }
        has_match = true;
        for (name, value) in info.labels.iter().filter(|(name, _)| *name != METRIC_NAME_LABEL) {
            if !data.is_empty() && !data.iter().any(|matcher| matcher.name() == name) {
                continue;
            }
            if added.get(name).is_some_and(|other| other != value) {
                return Err(QueryError::execution(format!("conflicting label: {name}")));
            }
            if labels.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    if !has_match && !data.iter().all(|matcher| matcher.matches_empty()) {
        return Ok(None);
    }
    let mut builder = LabelsBuilder::from_labels(labels);
    added.iter().for_each(|(name, value)| {
        builder.set(name, value);
    });
    Ok(Some(builder.build()))
}
