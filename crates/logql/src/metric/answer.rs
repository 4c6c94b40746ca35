//! The answer of a metric query.

use model::{Labels, TimestampMs};

use super::step_values::StepValues;
use super::{StepSeries, Steps, Value};
use crate::LogqlError;

/// A point of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, in ms.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: f64,
}

/// A series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuerySeries {
    /// Its labels.
    pub labels: Labels,
    /// Its points, oldest first; steps without a value have none.
    pub points: Vec<Point>,
}

/// What a metric query answers.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricAnswer {
    /// Numbers only, at one time.
    Scalar(Point),
    /// One point per series, in order of labels unless the query ranks them.
    Vector(Vec<(Labels, Point)>),
    /// Series over a range, in order of labels.
    Matrix(Vec<QuerySeries>),
}

/// Makes the answer, within the limit of series (0 for none).
pub(crate) fn answer(value: Value, steps: Steps, series_max: usize) -> Result<MetricAnswer, LogqlError> {
    let millis = |idx: usize| steps.at(idx).div_euclid(1_000_000);
    let (mut series, ranked) = match value {
        Value::Scalar(value) if steps.is_instant => {
            return Ok(MetricAnswer::Scalar(Point { timestamp: millis(0), value }));
        }
        Value::Scalar(value) => (
            vec![StepSeries { labels: Labels::empty(), values: StepValues::filled(value, steps.count) }],
            false,
        ),
        Value::Vector { series, ranked } => (series, ranked),
    };
    series.retain(|series| !series.values.is_empty());
    if series_max > 0 && series.len() > series_max {
        return Err(LogqlError::TooManySeries { limit: series_max });
    }
    if !(ranked && steps.is_instant) {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    if steps.is_instant {
        let point = |value: f64| Point { timestamp: millis(0), value };
        let vector = series
            .into_iter()
            .filter_map(|series| Some((series.labels, point(series.values.get(0)?))))
            .collect();
        return Ok(MetricAnswer::Vector(vector));
    }
    let matrix = series
        .into_iter()
        .map(|series| {
            let points = series.values.iter();
            let points = points.map(|(idx, value)| Point { timestamp: millis(idx), value }).collect();
            QuerySeries { labels: series.labels, points }
        })
        .collect();
    Ok(MetricAnswer::Matrix(matrix))
}
