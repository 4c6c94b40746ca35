//! Series under evaluation, and what happens to their names.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, METRIC_NAME_LABEL};

use crate::QueryError;
use crate::budget::Held;
use crate::eval::Evaluator;
use crate::series::{Point, Series};

/// What Prometheus says where two series of a result have the same labels.
pub(crate) const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

/// Series whose samples are counted in the query's budget.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) series: Vec<Series>,
    pub(crate) held: Held<'a>,
}

/// Whether a label says what the metric is: these go when its meaning changes.
pub(crate) fn is_metadata(name: &str) -> bool {
    matches!(name, METRIC_NAME_LABEL | "__type__" | "__unit__")
}

/// The labels without metric name, type and unit.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    // These names sort before all but upper case and digits: looking them up is cheaper than building a new set.
    if labels.get(METRIC_NAME_LABEL).is_none()
        && labels.get("__type__").is_none()
        && labels.get("__unit__").is_none()
    {
        return labels.clone();
    }
    labels.retain(|name| !is_metadata(name))
}

/// Puts series with the same labels together; an error where two have a sample at the same step.
pub(crate) fn merged(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    if !has_duplicates(&series) {
        return Ok(series);
    }
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let mut result: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        let next = result.len();
        let at = *known.entry(one.labels.clone()).or_insert(next);
        if at == next {
            result.push(one);
            continue;
        }
        let into = &mut result[at];
        for idx in 0..one.points.values.len() {
            let point = one.points.get(idx);
            if matches!(point, Point::Absent) {
                continue;
            }
            if into.points.has(idx) {
                return Err(QueryError::execution(SAME_LABELSET));
            }
            into.points.set(idx, point);
        }
    }
    Ok(result)
}

/// Whether two series have the same labels.
pub(crate) fn has_duplicates(series: &[Series]) -> bool {
    if series.len() < 2 {
        return false;
    }
    let mut seen = hashbrown::HashSet::with_capacity(series.len());
    series.iter().any(|one| !seen.insert(&one.labels))
}

impl<'a> Evaluator<'a> {
    /// Drops the name of a series whose values no longer mean the metric: now, or at the end of the evaluation.
    pub(crate) fn drop_name(&self, series: &mut Series) {
        series.drop_name = true;
        if !self.options.features.delayed_name_removal {
            series.labels = without_metadata(&series.labels);
        }
    }

    /// Changes each float and drops the names; histograms are left out.
    pub(crate) fn map_floats(
        &'a self,
        mut frame: Frame<'a>,
        map: impl Fn(usize, f64) -> f64,
    ) -> Result<Frame<'a>, QueryError> {
        for series in &mut frame.series {
            series.points.histograms = Vec::new();
            for (idx, value) in series.points.values.iter_mut().enumerate() {
                if !crate::series::is_absent(*value) {
                    *value = map(idx, *value);
                }
            }
            self.drop_name(series);
        }
        self.finished(frame)
    }

    /// Leaves out empty series and puts those with the same labels together.
    pub(crate) fn finished(&'a self, mut frame: Frame<'a>) -> Result<Frame<'a>, QueryError> {
        frame.series.retain(|series| !series.points.is_empty());
        if !self.options.features.delayed_name_removal {
            frame.series = merged(frame.series)?;
        }
        Ok(frame)
    }

    pub(crate) fn negate(&'a self, mut frame: Frame<'a>) -> Result<Frame<'a>, QueryError> {
        for series in &mut frame.series {
            for value in &mut series.points.values {
                if !crate::series::is_absent(*value) {
                    *value = -*value;
                }
            }
            for histogram in series.points.histograms.iter_mut().flatten() {
                let mut negative = (**histogram).clone();
                negative.multiply(-1.0);
                *histogram = Arc::new(negative);
            }
            self.drop_name(series);
        }
        self.finished(frame)
    }
}
