//! The engine: options, and the two kinds of query.

use std::fmt;
use std::sync::Arc;

use metric_storage_api::MetricReader;
use model::TimestampMs;
use promql_syntax::{Expr, Features, ValueType};
use resources::RequestContext;

use crate::eval::Evaluator;
use crate::places::Places;
use crate::plan::{QueryTimes, lower};
use crate::series::{Point, Series, Steps};
use crate::value::{MatrixSeries, QueryResult, SampleValue, Value, VectorSample};
use crate::{QueryError, parse};

/// Gives the step of a subquery that names none: from its range, in ms. Called for each query, so it may change.
pub type SubqueryStep = dyn Fn(i64) -> i64 + Send + Sync;

/// How an engine evaluates.
#[derive(Clone)]
pub struct EngineOptions {
    /// How far back an instant selector looks for the newest sample (`--query.lookback-delta`), in ms.
    pub lookback_ms: i64,
    /// The most samples that a query may hold at a time (`--query.max-samples`).
    pub max_samples: u64,
    /// The step of subqueries that name none: Prometheus takes the evaluation interval.
    pub default_subquery_step: Arc<SubqueryStep>,
    /// What is switched on.
    pub features: EngineFeatures,
}

/// What a feature flag switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineFeatures {
    /// Parts of the language.
    pub syntax: Features,
    /// Metric names are dropped at the end of the evaluation (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// `__type__` and `__unit__` say what a metric is (`type-and-unit-labels`).
    pub type_and_unit_labels: bool,
    /// Start timestamps tell counter resets (`use-start-timestamps`).
    pub use_start_timestamps: bool,
    /// Samples are counted by step (`promql-per-step-stats`).
    pub per_step_stats: bool,
}

impl EngineFeatures {
    /// Everything on, but for statistics by step.
    pub fn all() -> Self {
        Self {
            syntax: Features::all(),
            delayed_name_removal: true,
            type_and_unit_labels: true,
            use_start_timestamps: true,
            per_step_stats: false,
        }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 5 * 60_000,
            max_samples: 50_000_000,
            default_subquery_step: Arc::new(|_| 60_000),
            features: EngineFeatures::default(),
        }
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("lookback_ms", &self.lookback_ms)
            .field("max_samples", &self.max_samples)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

/// An expression: as text, or parsed. Only remarks on a text can tell line and column.
#[derive(Clone, Copy, Debug)]
pub enum Query<'a> {
    /// To be parsed.
    Text(&'a str),
    /// Parsed by [`parse`].
    Expr(&'a Expr),
    /// Parsed from this text.
    Parsed(&'a Expr, &'a str),
}

impl<'a> From<&'a str> for Query<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Query<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Expr> for Query<'a> {
    fn from(expr: &'a Expr) -> Self {
        Self::Expr(expr)
    }
}

/// Evaluates queries. Holds options, and how many callers evaluate on their own threads: cheap to clone and to make.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
    places: Places,
    explains: bool,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options, places: Places::default(), explains: false }
    }

    /// The options.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The same engine with another lookback (`lookback_delta` of the HTTP API), in ms.
    pub fn with_lookback(&self, lookback_ms: i64) -> Self {
        let mut options = self.options.clone();
        options.lookback_ms = lookback_ms;
        Self { options, ..self.clone() }
    }

    /// The same engine with other features, such as statistics by step for one query.
    pub fn with_features(&self, features: EngineFeatures) -> Self {
        let mut options = self.options.clone();
        options.features = features;
        Self { options, ..self.clone() }
    }

    /// The same engine whose results also tell what each part of the query took.
    pub fn explaining(&self) -> Self {
        Self { explains: true, ..self.clone() }
    }

    /// Parses an expression with the engine's features.
    pub fn parse(&self, text: &str) -> Result<Expr, QueryError> {
        Ok(parse(text, self.options.features.syntax)?)
    }

    /// Evaluates a query at one time. Blocks; large parts run on the pool of the context's CPU class.
    pub fn instant<'q>(
        &self,
        ctx: &RequestContext,
        reader: &dyn MetricReader,
        query: impl Into<Query<'q>>,
        time: TimestampMs,
    ) -> Result<QueryResult, QueryError> {
        let times = QueryTimes { start: time, end: time, step: 0 };
        self.run(ctx, reader, query.into(), times, Steps::instant(time))
    }

    /// Evaluates a query at `start`, `start + step`, … up to `end`, all in ms. Blocks; large parts run on the pool of the
    /// context's CPU class. The result is a matrix.
    pub fn range<'q>(
        &self,
        ctx: &RequestContext,
        reader: &dyn MetricReader,
        query: impl Into<Query<'q>>,
        start: TimestampMs,
        end: TimestampMs,
        step: i64,
    ) -> Result<QueryResult, QueryError> {
        if step <= 0 {
            return Err(QueryError::InvalidParameter(
                "the step of a range query must be positive".to_owned(),
            ));
        }
        if end < start {
            let message = "the end of a range query must not be before its start";
            return Err(QueryError::InvalidParameter(message.to_owned()));
        }
        let times = QueryTimes { start, end, step };
        self.run(ctx, reader, query.into(), times, Steps::range(start, end, step))
    }

    fn run(
        &self,
        ctx: &RequestContext,
        reader: &dyn MetricReader,
        query: Query<'_>,
        times: QueryTimes,
        steps: Steps,
    ) -> Result<QueryResult, QueryError> {
        ctx.check()?;
        let parsed;
        let (expr, text) = match query {
            Query::Text(text) => {
                parsed = self.parse(text)?;
                (&parsed, Some(text))
            }
            Query::Expr(expr) => (expr, None),
            Query::Parsed(expr, text) => (expr, Some(text)),
        };
        let value_type = expr.value_type();
        let is_range = times.step != 0;
        if is_range && !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let found = value_type.documented();
            return Err(QueryError::InvalidParameter(format!(
                "invalid expression type {found:?} for range query, must be Scalar or instant Vector"
            )));
        }
        let plan = lower(expr, times)?;
        let mut evaluator = Evaluator::new(ctx, reader, &self.options, steps, text);
        if self.explains {
            evaluator.trace();
        }
        let evaluator = evaluator;
        let evaluate = || {
            let result = evaluator.query(&plan, steps)?;
            Ok::<_, QueryError>(result.into_value(is_range, steps))
        };
        // Waking another thread and waiting for it costs more than a small query does. What is for many threads goes to the
        // pool all the same, and so does everything once as many callers as it has threads are at work.
        let place = self.places.take(ctx.cpu.threads(ctx.cpu_class));
        let value = match place {
            Some(_) => evaluate()?,
            None => ctx.cpu.install(ctx.cpu_class, evaluate)?,
        };
        drop(place);
        let explain = evaluator.explained(&plan);
        let (notes, stats) = evaluator.finish();
        Ok(QueryResult { value, annotations: notes.into_annotations(text), stats, explain })
    }
}

/// What an evaluation ends with.
#[derive(Debug)]
pub(crate) enum Outcome {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Series>),
    Matrix(Vec<MatrixSeries>),
}

impl Outcome {
    fn into_value(self, is_range: bool, steps: Steps) -> Value {
        match self {
            Self::Scalar(values) if is_range => {
                let floats =
                    values.iter().enumerate().map(|(idx, value)| (steps.time(idx), *value)).collect();
                let labels = model::Labels::empty();
                Value::Matrix(vec![MatrixSeries { labels, floats, histograms: Vec::new() }])
            }
            Self::Scalar(values) => {
                Value::Scalar { timestamp: steps.start, value: values.first().copied().unwrap_or(f64::NAN) }
            }
            Self::Text(value) => Value::String { timestamp: steps.start, value },
            Self::Vector(series) if is_range => {
                let mut matrix: Vec<MatrixSeries> =
                    series.into_iter().map(|series| matrix_series(series, steps)).collect();
                matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
                Value::Matrix(matrix)
            }
            Self::Vector(series) => {
                let samples = series.into_iter().filter_map(|series| {
                    let value = match series.points.get(0) {
                        Point::Absent => return None,
                        Point::Float(value) => SampleValue::Float(value),
                        Point::Histogram(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
                    };
                    Some(VectorSample { labels: series.labels, timestamp: steps.start, value })
                });
                Value::Vector(samples.collect())
            }
            Self::Matrix(mut matrix) => {
                matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
                Value::Matrix(matrix)
            }
        }
    }
}

fn matrix_series(series: Series, steps: Steps) -> MatrixSeries {
    let mut result = MatrixSeries { labels: series.labels, floats: Vec::new(), histograms: Vec::new() };
    for idx in 0..series.points.values.len() {
        match series.points.get(idx) {
            Point::Absent => {}
            Point::Float(value) => result.floats.push((steps.time(idx), value)),
            Point::Histogram(histogram) => {
                result.histograms.push((steps.time(idx), Arc::clone(histogram)));
            }
        }
    }
    result
}
