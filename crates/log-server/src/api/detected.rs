//! `detected_labels`, `detected_fields` and the values of a field

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use log_storage_api::{Direction, LogReader};
use logql::{Engine, LogQuery, ResultEntry, StreamCollector};
use logql_syntax::{LogExpr, Span, Stage, StageKind};
use model::{TimestampNs, parse_go_duration_ns};
use resources::RequestContext;
use serde_json::json;
use service::RequestScope;

use super::call::Call;
use super::encode;
use super::labels::{selector, streams};
use crate::error::ApiError;
use crate::server::Server;

/// Lines that are looked at where nothing else is asked for.
const LINE_LIMIT: usize = 100;
/// Fields or values that are answered where nothing else is asked for.
const FIELD_LIMIT: usize = 1000;
/// The most lines that are looked at.
const LINE_LIMIT_MAX: usize = 5000;

pub(super) async fn labels(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let (start, end) = call.params.bounds(server.now_ns())?;
    let selector = selector(call.params.get("query"))?;
    let store = Arc::clone(&server.ingester.store);
    let work = move |ctx: &RequestContext| streams(ctx, &*store, vec![selector], start, end);
    let found = server.run_query(call.scope, work).await?;
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for stats in &found {
        for (name, value) in stats.stream.labels.iter() {
            values.entry(name).or_default().insert(value);
        }
    }
    let list: Vec<_> =
        values.iter().map(|(name, values)| json!({ "label": name, "cardinality": values.len() })).collect();
    Ok(encode::json(json!({ "detectedLabels": list }).to_string()))
}

/// What was seen of a field.
#[derive(Debug, Default)]
pub(crate) struct Field {
    values: BTreeSet<String>,
    /// The parsers that find it; none for structured metadata.
    parsers: BTreeSet<&'static str>,
}

impl Field {
    pub(crate) fn values(&self) -> impl Iterator<Item = &String> {
        self.values.iter()
    }

    /// The parsers that find it; none for structured metadata.
    pub(crate) fn parsers(&self) -> impl Iterator<Item = &'static str> {
        self.parsers.iter().copied()
    }

    /// The narrowest type that all values have.
    pub(crate) fn kind(&self) -> &'static str {
        kind_of(&self.values)
    }
}

pub(super) async fn fields(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let limit = field_limit(&call)?;
    let fields = found_fields(&server, call).await?;
    let list: Vec<_> = fields
        .iter()
        .take(limit)
        .map(|(name, field)| {
            let parsers = (!field.parsers.is_empty()).then(|| field.parsers.iter().collect::<Vec<_>>());
            json!({
                "label": name,
                "type": field.kind(),
                "cardinality": field.values.len(),
                "parsers": parsers,
            })
        })
        .collect();
    Ok(encode::json(json!({ "fields": list, "limit": limit }).to_string()))
}

pub(super) async fn field_values(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Response, ApiError> {
    let limit = field_limit(&call)?;
    let fields = found_fields(&server, call).await?;
    let values: Vec<&String> = fields.get(&name).iter().flat_map(|field| &field.values).take(limit).collect();
    Ok(encode::json(json!({ "values": values, "limit": limit }).to_string()))
}

fn field_limit(call: &Call) -> Result<usize, ApiError> {
    let alias = call.params.number("field_limit", FIELD_LIMIT)?;
    call.params.number("limit", alias)
}

async fn found_fields(server: &Arc<Server>, call: Call) -> Result<BTreeMap<String, Field>, ApiError> {
    let (start, end) = call.params.bounds(server.now_ns())?;
    let line_limit = call.params.number("line_limit", LINE_LIMIT)?;
    let query = call.query()?.to_owned();
    fields_of(server, call.scope, &query, (start, end), line_limit).await
}

/// The fields of the newest lines of a query.
pub(crate) async fn fields_of(
    server: &Arc<Server>,
    scope: RequestScope,
    query: &str,
    range: (TimestampNs, TimestampNs),
    line_limit: usize,
) -> Result<BTreeMap<String, Field>, ApiError> {
    let expr = logql_syntax::parse_log(query)?;
    let line_limit = line_limit.min(LINE_LIMIT_MAX);
    let store = Arc::clone(&server.ingester.store);
    let work = move |ctx: &RequestContext| look(ctx, &*store, &expr, range, line_limit);
    server.run_query(scope, work).await
}

/// Looks at the newest lines, once with each parser. Blocks.
fn look(
    ctx: &RequestContext,
    reader: &dyn LogReader,
    expr: &LogExpr,
    range: (TimestampNs, TimestampNs),
    line_limit: usize,
) -> Result<BTreeMap<String, Field>, ApiError> {
    let logfmt = StageKind::Logfmt { strict: false, keep_empty: false, fields: Vec::new() };
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    for (parser, kind) in [("json", StageKind::Json(Vec::new())), ("logfmt", logfmt)] {
        let mut expr = expr.clone();
        expr.stages.push(Stage { kind, span: Span::default() });
        let query = LogQuery {
            expr,
            start: range.0,
            end: range.1,
            limit: Some(line_limit),
            direction: Direction::Backward,
            interval: 0,
        };
        let mut collector = StreamCollector::categorizing(ctx)?;
        Engine::default().log_query(ctx, reader, &query, &mut collector)?;
        for stream in collector.finish() {
            stream.entries.iter().for_each(|entry| note(&mut fields, entry, parser));
        }
    }
    Ok(fields)
}

fn note(fields: &mut BTreeMap<String, Field>, entry: &ResultEntry, parser: &'static str) {
    let is_json = entry.line.trim_start().starts_with('{');
    // What logfmt makes of JSON is noise, and the other way round an error.
    let is_of_parser = is_json == (parser == "json");
    for (name, value) in entry.parsed.iter().filter(|(name, _)| is_of_parser && !name.starts_with("__error"))
    {
        let field = fields.entry(name.clone()).or_default();
        field.values.insert(value.clone());
        field.parsers.insert(parser);
    }
    for (name, value) in &entry.structured_metadata {
        fields.entry(name.clone()).or_default().values.insert(value.clone());
    }
}

/// The narrowest type that all values have.
fn kind_of(values: &BTreeSet<String>) -> &'static str {
    let all = |test: fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
    let has_unit = |value: &str| value.ends_with(|c: char| c.is_ascii_alphabetic());
    if all(|value| value.parse::<i64>().is_ok()) {
        "int"
    } else if all(|value| value.parse::<f64>().is_ok()) {
        "float"
    } else if all(|value| matches!(value, "true" | "false")) {
        "boolean"
    } else if values.iter().all(|value| has_unit(value)) && all(|value| parse_go_duration_ns(value).is_ok()) {
        "duration"
    } else if values.iter().all(|value| has_unit(value)) && all(|value| model::ByteSize::parse(value).is_ok())
    {
        "bytes"
    } else {
        "string"
    }
}

#[cfg(test)]
mod tests {
    use super::kind_of;

    #[test]
    fn the_narrowest_type_is_told() {
        for (values, kind) in [
            (&["1", "20"][..], "int"),
            (&["1", "2.5"], "float"),
            (&["true"], "boolean"),
            (&["1ms", "2h"], "duration"),
            (&["1KB", "5 MB"], "bytes"),
            (&["1", "x"], "string"),
            (&[], "string"),
        ] {
            assert_eq!(
                kind_of(&values.iter().map(|value| (*value).to_owned()).collect()),
                kind,
                "{values:?}"
            );
        }
    }
}
