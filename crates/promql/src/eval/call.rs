//! Function calls.

use go_regex::Regex;
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, MatchOp};
use promql_syntax::Span;

use crate::QueryError;
use crate::eval::aggregate::is_valid_label_name;
use crate::eval::rank::compare_values;
use crate::eval::{Evaluated, Evaluator, Frame, frame};
use crate::functions::{CivilTime, float_function, go_max, go_min, histogram_value, kernel, time_function};
use crate::plan::{CallPlan, Plan, PlanKind};
use crate::series::{ABSENT, Points, Series, Steps, is_absent};

impl<'a> Evaluator<'a> {
    pub(crate) fn call(
        &'a self,
        node: &CallPlan,
        span: Span,
        steps: Steps,
    ) -> Result<Evaluated<'a>, QueryError> {
        let (name, args) = (node.function.name, node.args.as_slice());
        if let Some(change) = float_function(name) {
            let frame = self.vector_arg(args, 0, steps)?;
            return Ok(Evaluated::Vector(self.map_floats(frame, |_, value| change(value))?));
        }
        if let Some(part) = time_function(name) {
            return Ok(Evaluated::Vector(self.time_part(args, part, steps)?));
        }
        if let Some(number) = histogram_value(name) {
            return Ok(Evaluated::Vector(self.histogram_number(args, number, steps)?));
        }
        if let Some(kernel) = kernel(name) {
            return Ok(Evaluated::Vector(self.range_function(node, kernel, steps)?));
        }
        Ok(Evaluated::Vector(match name {
            "time" => {
                let times = (0..steps.count).map(|idx| steps.time(idx) as f64 / 1000.0);
                return Ok(Evaluated::Scalar(times.collect()));
            }
            "min_of" | "max_of" => {
                let choose = if name == "min_of" { go_min } else { go_max };
                let (left, right) = (self.scalar_arg(args, 0, steps)?, self.scalar_arg(args, 1, steps)?);
                let chosen = left.iter().zip(&right).map(|(left, right)| choose(*left, *right));
                return Ok(Evaluated::Scalar(chosen.collect()));
            }
            "scalar" => {
                let frame = self.vector_arg(args, 0, steps)?;
                return Ok(Evaluated::Scalar(only_value(&frame, steps)));
            }
            "vector" => {
                let values = self.scalar_arg(args, 0, steps)?;
                let points = Points { values, histograms: Vec::new() };
                self.frame(vec![Series { labels: Labels::empty(), drop_name: false, points }])?
            }
            "timestamp" | "start_timestamp" => self.sample_times(name, args, steps)?,
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(name, args, steps)?,
            "round" => self.round(args, steps)?,
            "absent" => {
                let frame = self.vector_arg(args, 0, steps)?;
                self.absent(&frame, absent_labels(&args[0]), false, steps)?
            }
            "sort" | "sort_desc" => {
                self.warn_of_sort(span, steps);
                let mut frame = self.vector_arg(args, 0, steps)?;
                frame.series.iter_mut().for_each(|series| series.points.histograms = Vec::new());
                frame.series.retain(|series| !series.points.is_empty());
                if steps.count == 1 {
                    let value = |series: &Series| series.points.values[0];
                    let descending = name == "sort_desc";
                    frame.series.sort_by(|a, b| compare_values(value(a), value(b), descending));
                }
                frame
            }
            "sort_by_label" | "sort_by_label_desc" => {
                self.warn_of_sort(span, steps);
                self.sort_by_label(args, name == "sort_by_label_desc", steps)?
            }
            "label_replace" => self.label_replace(args, steps)?,
            "label_join" => self.label_join(args, steps)?,
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                self.histogram_call(name, args, steps)?
            }
            "info" => self.info(args, steps)?,
            _ => return Err(QueryError::execution(format!("function {name} cannot be evaluated here"))),
        }))
    }

    pub(crate) fn vector_arg(
        &'a self,
        args: &[Plan],
        idx: usize,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        match args.get(idx) {
            Some(arg) => self.vector(arg, steps),
            None => self.frame(Vec::new()),
        }
    }

    pub(crate) fn scalar_arg(
        &'a self,
        args: &[Plan],
        idx: usize,
        steps: Steps,
    ) -> Result<Vec<f64>, QueryError> {
        match args.get(idx) {
            Some(arg) => self.scalar(arg, steps),
            None => Err(QueryError::execution("an argument is missing")),
        }
    }

    fn range_function(
        &'a self,
        node: &CallPlan,
        kernel: crate::functions::Kernel,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let leaf = self.range_leaf(node, kernel, steps)?;
        let is_absent_function = node.function.name == "absent_over_time";
        let frame = self.range_call(leaf, steps)?;
        if !is_absent_function {
            return Ok(frame);
        }
        let labels = node.args.first().map(absent_labels).unwrap_or_default();
        self.absent(&frame, labels, true, steps)
    }

    fn time_part(
        &'a self,
        args: &[Plan],
        part: fn(CivilTime) -> i64,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        if args.is_empty() {
            let part = |idx| part(CivilTime::from_unix_seconds(steps.time(idx) / 1000)) as f64;
            let points = Points { values: (0..steps.count).map(part).collect(), histograms: Vec::new() };
            return self.frame(vec![Series { labels: Labels::empty(), drop_name: false, points }]);
        }
        let frame = self.vector_arg(args, 0, steps)?;
        self.map_floats(frame, |_, value| part(CivilTime::from_value(value)) as f64)
    }

    fn histogram_number(
        &'a self,
        args: &[Plan],
        number: fn(&model::FloatHistogram) -> f64,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let mut frame = self.vector_arg(args, 0, steps)?;
        for series in &mut frame.series {
            let histograms = std::mem::take(&mut series.points.histograms);
            series.points.values.fill(ABSENT);
            for (value, histogram) in series.points.values.iter_mut().zip(&histograms) {
                if let Some(histogram) = histogram {
                    *value = number(histogram);
                }
            }
            self.drop_name(series);
        }
        self.finished(frame)
    }

    fn sample_times(&'a self, name: &str, args: &[Plan], steps: Steps) -> Result<Frame<'a>, QueryError> {
        let starts = name == "start_timestamp";
        let use_starts = self.options.features.use_start_timestamps;
        match args.first().map(|arg| &arg.kind) {
            Some(PlanKind::Vector(selector)) if !starts || use_starts => {
                self.selector_times(selector, steps, starts)
            }
            // Other expressions have no start timestamps, and are of the time they are evaluated at.
            _ if starts => self.frame(Vec::new()),
            _ => {
                let mut frame = self.vector_arg(args, 0, steps)?;
                for series in &mut frame.series {
                    let time = |idx| steps.time(idx) as f64 / 1000.0;
                    let value = |idx| if series.points.has(idx) { time(idx) } else { ABSENT };
                    let values = (0..steps.count).map(value).collect();
                    series.points = Points { values, histograms: Vec::new() };
                    self.drop_name(series);
                }
                self.finished(frame)
            }
        }
    }

    fn clamp(&'a self, name: &str, args: &[Plan], steps: Steps) -> Result<Frame<'a>, QueryError> {
        let frame = self.vector_arg(args, 0, steps)?;
        let endless = |value| vec![value; steps.count];
        let (low, high) = match name {
            "clamp" => (self.scalar_arg(args, 1, steps)?, self.scalar_arg(args, 2, steps)?),
            "clamp_min" => (self.scalar_arg(args, 1, steps)?, endless(f64::INFINITY)),
            _ => (endless(f64::NEG_INFINITY), self.scalar_arg(args, 1, steps)?),
        };
        self.map_floats(frame, |idx, value| {
            if high[idx] < low[idx] { ABSENT } else { go_max(low[idx], go_min(high[idx], value)) }
        })
    }

    fn round(&'a self, args: &[Plan], steps: Steps) -> Result<Frame<'a>, QueryError> {
        let frame = self.vector_arg(args, 0, steps)?;
        let nearest = if args.len() > 1 { self.scalar_arg(args, 1, steps)? } else { vec![1.0; steps.count] };
        self.map_floats(frame, |idx, value| {
            let inverse = 1.0 / nearest[idx];
            (value * inverse + 0.5).floor() / inverse
        })
    }

    fn warn_of_sort(&self, span: Span, steps: Steps) {
        if steps.is_range() {
            self.note(|notes| notes.sort_in_range_query(span));
        }
    }

    fn text_arg(&'a self, args: &[Plan], idx: usize) -> Result<String, QueryError> {
        match args.get(idx).map(|arg| &arg.kind) {
            Some(PlanKind::Text(text)) => Ok(text.clone()),
            _ => Err(QueryError::execution("a string literal was expected")),
        }
    }

    fn sort_by_label(
        &'a self,
        args: &[Plan],
        descending: bool,
        steps: Steps,
    ) -> Result<Frame<'a>, QueryError> {
        let mut frame = self.vector_arg(args, 0, steps)?;
        let names = (1..args.len()).map(|idx| self.text_arg(args, idx)).collect::<Result<Vec<_>, _>>()?;
        frame.series.sort_by(|left, right| {
            let mut by_names = names
                .iter()
                .map(|name| (left.labels.value(name), right.labels.value(name)))
                .filter(|(left, right)| left != right)
                .map(|(left, right)| natural_order(left, right));
            let order = by_names.next().unwrap_or_else(|| left.labels.cmp(&right.labels));
            if descending { order.reverse() } else { order }
        });
        Ok(frame)
    }

    fn label_replace(&'a self, args: &[Plan], steps: Steps) -> Result<Frame<'a>, QueryError> {
        let [destination, replacement, source, pattern] = [1, 2, 3, 4].map(|idx| self.text_arg(args, idx));
        let (destination, replacement, source, pattern) = (destination?, replacement?, source?, pattern?);
        let regex = Regex::anchored(&pattern).map_err(|_| {
            QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        if !is_valid_label_name(&destination) {
            let message = format!("invalid destination label name in label_replace(): {destination}");
            return Err(QueryError::execution(message));
        }
        let mut frame = self.vector_arg(args, 0, steps)?;
        for series in &mut frame.series {
            let Some(captures) = regex.inner().captures(series.labels.value(&source)) else { continue };
            let mut value = String::new();
            captures.expand(&go_template(&replacement), &mut value);
            set_label(series, &destination, &value);
        }
        frame.series = frame::merged(frame.series)?;
        Ok(frame)
    }

    fn label_join(&'a self, args: &[Plan], steps: Steps) -> Result<Frame<'a>, QueryError> {
        let (destination, separator) = (self.text_arg(args, 1)?, self.text_arg(args, 2)?);
        let sources = (3..args.len()).map(|idx| self.text_arg(args, idx)).collect::<Result<Vec<_>, _>>()?;
        for (kind, name) in sources.iter().map(|name| ("source", name)).chain([("destination", &destination)])
        {
            if !is_valid_label_name(name) {
                let message = format!("invalid {kind} label name in label_join(): {name}");
                return Err(QueryError::execution(message));
            }
        }
        let mut frame = self.vector_arg(args, 0, steps)?;
        for series in &mut frame.series {
            let values: Vec<&str> = sources.iter().map(|name| series.labels.value(name)).collect();
            let joined = values.join(&separator);
            set_label(series, &destination, &joined);
        }
        frame.series = frame::merged(frame.series)?;
        Ok(frame)
    }
}

fn set_label(series: &mut Series, name: &str, value: &str) {
    series.labels = LabelsBuilder::from_labels(&series.labels).set(name, value).build();
    if name == METRIC_NAME_LABEL {
        // A name that was given on purpose stays.
        series.drop_name = false;
    }
}

/// Go's `$1x` means the group named `1x`, the regex crate's too; Go ends a name at the first character that is no letter,
/// digit or underscore, and so does the regex crate: nothing but a lone `$` needs care.
fn go_template(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len());
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push_str("$$");
            rest = after;
            continue;
        }
        let is_reference = rest.starts_with(|c: char| c == '_' || c.is_alphanumeric())
            || (rest.starts_with('{') && rest.contains('}'));
        out.push_str(if is_reference { "$" } else { "$$" });
    }
    out.push_str(rest);
    out
}

/// The only float at each step; NaN where there is none or more than one.
fn only_value(frame: &Frame<'_>, steps: Steps) -> Vec<f64> {
    let mut values = vec![f64::NAN; steps.count];
    let mut seen = vec![0u8; steps.count];
    for series in &frame.series {
        for (idx, value) in series.points.values.iter().enumerate() {
            if is_absent(*value) {
                continue;
            }
            values[idx] = if seen[idx] == 0 { *value } else { f64::NAN };
            seen[idx] = 1;
        }
    }
    values
}

/// The labels that a selector's matchers demand, for what is absent.
fn absent_labels(arg: &Plan) -> Labels {
    let inner = match &arg.kind {
        PlanKind::Invariant(inner) => &inner.kind,
        kind => kind,
    };
    let (PlanKind::Vector(selector) | PlanKind::Matrix(selector)) = inner else { return Labels::empty() };
    let mut builder = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in selector.matchers.iter().map(go_regex::CompiledMatcher::matcher) {
        if matcher.name == METRIC_NAME_LABEL {
            continue;
        }
        if matcher.op == MatchOp::Equal && !seen.contains(&matcher.name.as_str()) {
            builder.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            // Demanded twice, or in another way: not known.
            builder.remove(&matcher.name);
        }
    }
    builder.build()
}

/// Texts with numbers in them in the order people expect: `a2` before `a10`.
fn natural_order(left: &str, right: &str) -> std::cmp::Ordering {
    let (mut left, mut right) = (chunks(left), chunks(right));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return std::cmp::Ordering::Equal,
            (None, Some(_)) => return std::cmp::Ordering::Less,
            (Some(_), None) => return std::cmp::Ordering::Greater,
            (Some(left), Some(right)) => {
                let order = match (is_number(left), is_number(right)) {
                    (true, true) => {
                        let (a, b) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
                        a.len()
                            .cmp(&b.len())
                            .then_with(|| a.cmp(b))
                            .then_with(|| left.len().cmp(&right.len()))
                    }
                    _ => left.cmp(right),
                };
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

fn is_number(chunk: &str) -> bool {
    chunk.starts_with(|c: char| c.is_ascii_digit())
}

/// Runs of digits and of other characters.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = is_number(rest);
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        if rest.is_empty() {
            return None;
        }
        let (chunk, after) = rest.split_at(end);
        rest = after;
        Some(chunk)
    })
}
