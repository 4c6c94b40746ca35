//! `query` and `query_range`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use log_storage_api::{Direction, LogReader};
use logql::{Engine, LogQuery, MetricAnswer, QueryStats, ResultStream, StreamCollector};
use logql_syntax::{Expr, LogExpr, MetricExpr, parse};
use model::{TimestampNs, format_duration_ms};
use resources::RequestContext;

use super::call::Call;
use super::encode;
use super::params::Params;
use super::permit::{check_bytes, permitted};
use crate::config::Limits;
use crate::error::ApiError;
use crate::server::Server;

/// The most points of a series.
const POINTS_MAX: i64 = 11_000;
/// How many lines are answered where nothing else is asked for.
const LIMIT: usize = 100;
/// A step is chosen so that about so many points come out.
const POINTS_CHOSEN: i64 = 250;

/// What a range query asks for, checked against the tenant's limits.
#[derive(Clone, Debug)]
pub(crate) struct RangeParams {
    pub(crate) start: TimestampNs,
    pub(crate) end: TimestampNs,
    pub(crate) kind: QueryKind,
    /// How many bytes the streams may have.
    pub(crate) bytes_max: Option<u64>,
}

/// Lines or numbers.
#[derive(Clone, Debug)]
pub(crate) enum QueryKind {
    /// Lines.
    Log {
        /// Which.
        expr: LogExpr,
        /// The most of them.
        limit: usize,
        /// Which end to begin at.
        direction: Direction,
        /// The least distance of lines, in ns.
        interval: i64,
    },
    /// Numbers.
    Metric {
        /// Which.
        expr: MetricExpr,
        /// The step in ns.
        step: i64,
    },
}

/// The answer of a range query.
#[derive(Debug)]
pub(crate) enum RangeResult {
    /// Lines.
    Streams(Vec<ResultStream>),
    /// Numbers.
    Metric(MetricAnswer),
}

/// What a client asks for before it is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeRequest {
    pub(crate) start: TimestampNs,
    pub(crate) end: TimestampNs,
    pub(crate) step: Option<i64>,
    pub(crate) limit: usize,
    pub(crate) direction: Direction,
    pub(crate) interval: i64,
}

pub(super) async fn range(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let started = server.ingester.clock.monotonic();
    let categorizes = call.categorizes_labels();
    let request = range_request(&call, server.now_ns())?;
    let limits = server.limits_of(&call.scope.context.tenant);
    let range = checked_range(call.query()?, request, &limits, server.now_ns())?;
    let (store, engine) = (Arc::clone(&server.ingester.store), server.engine(&limits));
    let work = move |ctx: &RequestContext| run_range(ctx, &*store, engine, &range, categorizes);
    let (result, stats) = server.run_query(call.scope, work).await?;
    let took = server.ingester.clock.monotonic().saturating_sub(started);
    server.ingester.metrics.query_seconds.with(&["range"]).observe(took.as_secs_f64());
    server.ingester.metrics.query_bytes.add(stats.scan.bytes_scanned);
    let body = match result {
        RangeResult::Streams(streams) => encode::streams(&streams, categorizes, &stats, took),
        RangeResult::Metric(answer) => encode::metric(&answer, &stats, took),
    };
    Ok(encode::json(body))
}

pub(super) async fn instant(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let started = server.ingester.clock.monotonic();
    limit(&call.params)?;
    direction(&call.params)?;
    let time = call.params.time("time", server.now_ns())?;
    let limits = server.limits_of(&call.scope.context.tenant);
    let expr = checked_instant(call.query()?, &limits)?;
    let (store, engine) = (Arc::clone(&server.ingester.store), server.engine(&limits));
    let work = move |ctx: &RequestContext| run_instant(ctx, &*store, engine, &expr, time, &limits);
    let (answer, stats) = server.run_query(call.scope, work).await?;
    let took = server.ingester.clock.monotonic().saturating_sub(started);
    server.ingester.metrics.query_seconds.with(&["instant"]).observe(took.as_secs_f64());
    server.ingester.metrics.query_bytes.add(stats.scan.bytes_scanned);
    Ok(encode::json(encode::metric(&answer, &stats, took)))
}

/// What a call asks for, from its parameters.
pub(super) fn range_request(call: &Call, now: TimestampNs) -> Result<RangeRequest, ApiError> {
    let (start, end) = call.params.bounds(now)?;
    Ok(RangeRequest {
        start,
        end,
        step: call.params.span("step")?,
        limit: limit(&call.params)?,
        direction: direction(&call.params)?,
        interval: call.params.span("interval")?.unwrap_or(0),
    })
}

fn limit(params: &Params) -> Result<usize, ApiError> {
    let limit: i64 = params.number("limit", LIMIT as i64)?;
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(ApiError::bad_request("limit must be a positive value")),
    }
}

fn direction(params: &Params) -> Result<Direction, ApiError> {
    match params.get("direction").map(str::to_ascii_lowercase).as_deref() {
        None | Some("backward") => Ok(Direction::Backward),
        Some("forward") => Ok(Direction::Forward),
        Some(other) => Err(ApiError::bad_request(format!("invalid direction '{other}'"))),
    }
}

/// Parses a query for one time and checks what it asks for.
pub(crate) fn checked_instant(query: &str, limits: &Limits) -> Result<MetricExpr, ApiError> {
    let expr = parse(query)?;
    permitted(query, &expr, limits)?;
    let Expr::Metric(expr) = expr else {
        return Err(ApiError::bad_request(
            "log queries are not supported as an instant query type, please change your query to a range query type",
        ));
    };
    check_ranges(&expr, limits)?;
    Ok(expr)
}

/// Evaluates a query at one time. Blocks.
pub(crate) fn run_instant(
    ctx: &RequestContext,
    reader: &dyn LogReader,
    engine: Engine,
    expr: &MetricExpr,
    time: TimestampNs,
    limits: &Limits,
) -> Result<(MetricAnswer, QueryStats), ApiError> {
    if limits.query_bytes_max.is_some() {
        let expr = Expr::Metric(expr.clone());
        check_bytes(ctx, reader, &expr, (time, time), limits.query_bytes_max)?;
    }
    Ok(engine.instant(ctx, reader, expr, time)?)
}

/// Parses a query and checks what it asks for.
pub(crate) fn checked_range(
    query: &str,
    request: RangeRequest,
    limits: &Limits,
    now: TimestampNs,
) -> Result<RangeParams, ApiError> {
    let RangeRequest { mut start, mut end, .. } = request;
    let expr = parse(query)?;
    permitted(query, &expr, limits)?;
    if let Some(max) = limits.query_length_max
        && end.saturating_sub(start) > max.as_nanos() as i64
    {
        return Err(ApiError::bad_request(format!(
            "the query time range exceeds the limit (query length: {}, limit: {}; limits_config.max_query_length)",
            format_duration_ms((end - start) / 1_000_000),
            format_duration_ms(max.as_millis() as i64)
        )));
    }
    if let Some(lookback) = limits.query_lookback {
        start = start.max(now.saturating_sub(lookback.as_nanos() as i64));
        end = end.max(start);
    }
    let kind = match expr {
        Expr::Log(expr) => {
            if limits.entries_max > 0 && request.limit > limits.entries_max {
                return Err(ApiError::bad_request(format!(
                    "max entries limit per query exceeded, limit > max_entries_limit_per_query ({} > {})",
                    request.limit, limits.entries_max
                )));
            }
            if request.interval < 0 {
                return Err(ApiError::bad_request("interval must not be negative"));
            }
            let RangeRequest { limit, direction, interval, .. } = request;
            QueryKind::Log { expr, limit, direction, interval }
        }
        Expr::Metric(expr) => {
            check_ranges(&expr, limits)?;
            let chosen = ((end - start) / 1_000_000_000 / POINTS_CHOSEN).max(1) * 1_000_000_000;
            let step = request.step.unwrap_or(chosen);
            if step <= 0 {
                return Err(ApiError::bad_request(
                    "zero or negative query resolution step widths are not accepted. Try a positive integer",
                ));
            }
            if (end - start) / step > POINTS_MAX {
                return Err(ApiError::bad_request(
                    "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
                ));
            }
            if limits.split_interval.is_some() {
                start = start.div_euclid(step) * step;
                end = end.div_euclid(step) * step + if end.rem_euclid(step) == 0 { 0 } else { step };
            }
            QueryKind::Metric { expr, step }
        }
    };
    Ok(RangeParams { start, end, kind, bytes_max: limits.query_bytes_max })
}

fn check_ranges(expr: &MetricExpr, limits: &Limits) -> Result<(), ApiError> {
    let Some(max) = limits.query_range_max else { return Ok(()) };
    let mut longest = 0;
    expr.for_each_range(&mut |range| longest = longest.max(range.range.range));
    if longest > max.as_nanos() as i64 {
        return Err(ApiError::bad_request("[interval] value exceeds limit (limits_config.max_query_range)"));
    }
    Ok(())
}

/// Evaluates a range query. Blocks.
pub(crate) fn run_range(
    ctx: &RequestContext,
    reader: &dyn LogReader,
    engine: Engine,
    range: &RangeParams,
    categorizes: bool,
) -> Result<(RangeResult, QueryStats), ApiError> {
    if range.bytes_max.is_some() {
        let expr = match &range.kind {
            QueryKind::Log { expr, .. } => Expr::Log(expr.clone()),
            QueryKind::Metric { expr, .. } => Expr::Metric(expr.clone()),
        };
        check_bytes(ctx, reader, &expr, (range.start, range.end), range.bytes_max)?;
    }
    match &range.kind {
        QueryKind::Metric { expr, step } => {
            let (answer, stats) = engine.range(ctx, reader, expr, (range.start, range.end), *step)?;
            Ok((RangeResult::Metric(answer), stats))
        }
        QueryKind::Log { expr, limit, direction, interval } => {
            let query = LogQuery {
                expr: expr.clone(),
                start: range.start,
                end: range.end,
                limit: Some(*limit),
                direction: *direction,
                interval: *interval,
            };
            let mut collector = if categorizes {
                StreamCollector::categorizing(ctx)?
            } else {
                StreamCollector::merging(ctx)?
            };
            let stats = engine.log_query(ctx, reader, &query, &mut collector)?;
            Ok((RangeResult::Streams(collector.finish()), stats))
        }
    }
}
