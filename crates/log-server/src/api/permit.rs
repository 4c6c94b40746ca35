//! Which queries a tenant may run.

use log_storage_api::LogReader;
use logql_syntax::{Expr, LogExpr};
use model::{ByteSize, TimestampNs};
use resources::RequestContext;

use super::labels::streams;
use crate::config::{Limits, QueryClass};
use crate::error::ApiError;

/// Refuses what the tenant's limits block, and selectors that are not as they want them.
pub(super) fn permitted(query: &str, expr: &Expr, limits: &Limits) -> Result<(), ApiError> {
    let kind = match expr {
        Expr::Metric(_) => QueryClass::Metric,
        Expr::Log(log) if log.stages.is_empty() => QueryClass::Limited,
        Expr::Log(_) => QueryClass::Filter,
    };
    if limits.blocked_queries.iter().any(|blocked| blocked.blocks(query, kind)) {
        return Err(ApiError::bad_request("query blocked by policy (limits_config.blocked_queries)"));
    }
    let mut result = Ok(());
    for_each_selector(expr, &mut |log, _, _| {
        if result.is_ok() {
            result = check_matchers(log, limits);
        }
    });
    result
}

fn check_matchers(log: &LogExpr, limits: &Limits) -> Result<(), ApiError> {
    let count = log.matchers.len();
    if count > limits.matchers_max {
        return Err(ApiError::bad_request(format!(
            "max streams matchers per query exceeded, matchers-count > limit ({count} > {})",
            limits.matchers_max
        )));
    }
    let present = || log.matchers.iter().map(|matcher| matcher.name.as_str()).collect::<Vec<_>>().join(", ");
    let is_missing = |name: &&String| log.matchers.iter().all(|matcher| matcher.name != **name);
    let missing: Vec<&str> = limits.required_labels.iter().filter(is_missing).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(ApiError::bad_request(format!(
            "stream selector is missing required matchers [{}], labels present in the query were [{}]",
            missing.join(", "),
            present()
        )));
    }
    if count < limits.matchers_min {
        return Err(ApiError::bad_request(format!(
            "stream selector has less label matchers than required: (present: [{}], number_present: {count}, \
             required_number_label_matchers: {})",
            present(),
            limits.matchers_min
        )));
    }
    Ok(())
}

/// Refuses a query whose streams have more bytes in the range than the tenant may have read. Blocks.
pub(super) fn check_bytes(
    ctx: &RequestContext,
    reader: &dyn LogReader,
    expr: &Expr,
    (start, end): (TimestampNs, TimestampNs),
    limit: Option<u64>,
) -> Result<(), ApiError> {
    let Some(limit) = limit else { return Ok(()) };
    let mut selectors = Vec::new();
    for_each_selector(expr, &mut |log, range, offset| selectors.push((&log.matchers, range, offset)));
    let mut bytes: u64 = 0;
    for (matchers, range, offset) in selectors {
        let matchers = logql::compile_matchers(matchers)?;
        let (from, to) = (start.saturating_sub(range).saturating_sub(offset), end.saturating_sub(offset));
        let found = streams(ctx, reader, vec![matchers], from, to)?;
        bytes = bytes.saturating_add(found.iter().map(|stats| stats.bytes).sum());
    }
    if bytes <= limit {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the query would read too many bytes (query: {}, limit: {}); consider adding more specific stream selectors or \
         reduce the time range of the query (limits_config.max_query_bytes_read)",
        ByteSize(bytes),
        ByteSize(limit)
    )))
}

/// Calls `visit` with each log query, its range and its offset.
fn for_each_selector<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a LogExpr, i64, i64)) {
    match expr {
        Expr::Log(log) => visit(log, 0, 0),
        Expr::Metric(metric) => metric.for_each_range(&mut |aggregation| {
            let range = &aggregation.range;
            visit(&range.log, range.range, range.offset);
        }),
    }
}
