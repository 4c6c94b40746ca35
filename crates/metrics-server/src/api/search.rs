//! `/api/v1/search/*`: metric names, label names and label values that resemble what was typed, best or first ones first.

mod score;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use go_regex::CompiledMatcher;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use metric_storage_api::{LabelQuery, MetricReader};
use model::{METRIC_NAME_LABEL, MetricMetadata, TimeRange};
use resources::CpuClass;
use serde_json::{Map, Value, json};

use super::error::{ApiError, Kind};
use super::params::Params;
use super::work;
use crate::state::State;
use score::{Algorithm, Terms};

const HOUR_MS: i64 = 3_600_000;
/// Results that a request is answered with where it sets no limit, and results of a line.
const DEFAULT_COUNT: usize = 100;
/// Terms of a request: each is compared with every value.
const TERMS_MAX: usize = 32;
/// Values between two looks at whether the request still wants them.
const CHECK_EVERY: usize = 1024;

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    MetricNames,
    LabelNames,
    LabelValues,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    /// The best first, equally good ones by name.
    Score,
}

/// What a request asks for.
#[derive(Debug)]
struct Asked {
    selectors: Vec<Vec<CompiledMatcher>>,
    range: TimeRange,
    terms: Terms,
    order: Order,
    with_score: bool,
    limit: usize,
    batch: usize,
}

/// A value and how well it fits.
type Hit = (String, f64);

pub(crate) async fn metric_names(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    search(&state, request, What::MetricNames).await
}

pub(crate) async fn label_names(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    search(&state, request, What::LabelNames).await
}

pub(crate) async fn label_values(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    search(&state, request, What::LabelValues).await
}

async fn search(state: &Arc<State>, request: Request, what: What) -> Result<Response, ApiError> {
    if !state.flags.has_feature("search-api") {
        let message = "the search API is off: switch it on with --enable-feature=search-api";
        return Err(ApiError::new(Kind::Unavailable, message));
    }
    let (params, parts) = Params::read(request).await?;
    let asked = Asked::read(
        &params,
        state.clock.now_ms(),
        usize::try_from(state.flags.search_max_limit).unwrap_or(0),
    )?;
    let label = match what {
        What::LabelValues => params
            .non_empty("label")
            .ok_or_else(|| ApiError::bad_data("missing required parameter \"label\""))?,
        What::MetricNames | What::LabelNames => METRIC_NAME_LABEL,
    };
    let with_metadata = what == What::MetricNames && flag(&params, "include_metadata", false)?;
    let scope = work::scope(state, &parts, CpuClass::Query)?;
    let label = label.to_owned();
    let (asked, hits, has_more) = work::run(state, scope, None, move |ctx, db| {
        let query = LabelQuery { selectors: &asked.selectors, range: asked.range, limit: 0 };
        let values = match what {
            What::LabelNames => db.label_names(ctx, &query)?,
            What::MetricNames | What::LabelValues => db.label_values(ctx, &label, &query)?,
        };
        let mut hits: Vec<Hit> = Vec::new();
        for (idx, value) in values.into_iter().enumerate() {
            if idx % CHECK_EVERY == 0 {
                ctx.check().map_err(metric_storage_api::StorageError::from)?;
            }
            if let Some(score) = asked.terms.score(&value) {
                hits.push((value, score));
            }
        }
        let has_more = asked.order_and_cut(&mut hits);
        Ok((asked, hits, has_more))
    })
    .await?;
    let metadata = if with_metadata { all_metadata(state) } else { BTreeMap::new() };
    Ok(respond(what, &asked, &hits, &metadata, has_more))
}

impl Asked {
    fn read(params: &Params, now: i64, limit_max: usize) -> Result<Self, ApiError> {
        let start = params.time("start")?.unwrap_or(now - HOUR_MS);
        let end = params.time("end")?.unwrap_or(now);
        if end < start {
            return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
        }
        let terms = params.all("search[]");
        if terms.len() > TERMS_MAX {
            let count = terms.len();
            return Err(ApiError::bad_data(format!(
                "too many search[] terms: got {count}, maximum is {TERMS_MAX}"
            )));
        }
        let order = order(params, !terms.is_empty())?;
        let threshold = match params.non_empty("fuzz_threshold") {
            None => 0,
            Some(text) => text.parse::<u8>().ok().filter(|number| *number <= 100).ok_or_else(|| {
                ApiError::bad_data(format!("invalid fuzz_threshold {text:?}: must be 0-100"))
            })?,
        };
        let algorithm = match params.non_empty("fuzz_alg").unwrap_or("subsequence") {
            "subsequence" => Algorithm::Subsequence,
            "jarowinkler" => Algorithm::JaroWinkler,
            other => {
                let message =
                    format!("unsupported fuzz_alg {other:?}: must be one of [subsequence jarowinkler]");
                return Err(ApiError::bad_data(message));
            }
        };
        let case_sensitive = flag(params, "case_sensitive", true)?;
        let limit = match count(params, "limit")? {
            None if limit_max > 0 => DEFAULT_COUNT.min(limit_max),
            None => DEFAULT_COUNT,
            Some(limit) if limit_max > 0 && limit > limit_max => {
                return Err(ApiError::bad_data(format!(
                    "limit {limit} exceeds the configured maximum ({limit_max}, see --web.search.max-limit)"
                )));
            }
            Some(limit) => limit,
        };
        Ok(Self {
            selectors: params.selectors()?,
            range: TimeRange::new(start, end),
            terms: Terms::new(&terms, algorithm, f64::from(threshold) / 100.0, case_sensitive),
            order,
            with_score: flag(params, "include_score", false)?,
            limit,
            batch: count(params, "batch_size")?.unwrap_or(DEFAULT_COUNT),
        })
    }

    /// Brings hits, sorted by value, into the wanted order; whether there were more than wanted.
    fn order_and_cut(&self, hits: &mut Vec<Hit>) -> bool {
        match self.order {
            Order::Ascending => {}
            Order::Descending => hits.reverse(),
            Order::Score => hits.sort_by(|a, b| b.1.total_cmp(&a.1)),
        }
        let has_more = hits.len() > self.limit;
        hits.truncate(self.limit);
        has_more
    }
}

fn order(params: &Params, has_terms: bool) -> Result<Order, ApiError> {
    let (by, direction) = (params.non_empty("sort_by"), params.non_empty("sort_dir"));
    let descending = match direction {
        None | Some("asc") => false,
        Some("dsc") => true,
        Some(other) => {
            return Err(ApiError::bad_data(format!(
                "invalid sort_dir {other:?}: must be \"asc\" or \"dsc\""
            )));
        }
    };
    match by {
        None if direction.is_some() => Err(ApiError::bad_data("sort_dir is only valid when sort_by is set")),
        Some("score") if direction.is_some() => {
            Err(ApiError::bad_data("sort_dir is not supported for sort_by=score"))
        }
        Some("score") if !has_terms => Err(ApiError::bad_data("sort_by=score requires search[] to be set")),
        Some("score") => Ok(Order::Score),
        None | Some("alpha") => Ok(if descending { Order::Descending } else { Order::Ascending }),
        Some(other) => {
            Err(ApiError::bad_data(format!("invalid sort_by {other:?}: must be \"alpha\" or \"score\"")))
        }
    }
}

fn count(params: &Params, name: &str) -> Result<Option<usize>, ApiError> {
    let parse = |text: &str| {
        text.parse::<usize>()
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| ApiError::bad_data(format!("invalid {name} {text:?}: must be a positive integer")))
    };
    params.non_empty(name).map(parse).transpose()
}

fn flag(params: &Params, name: &str, default: bool) -> Result<bool, ApiError> {
    match params.non_empty(name) {
        None => Ok(default),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(ApiError::bad_data(format!("invalid {name} {other:?}: must be boolean"))),
    }
}

/// What the targets say of their metrics; the first one counts.
fn all_metadata(state: &State) -> BTreeMap<String, MetricMetadata> {
    let mut found = BTreeMap::new();
    for target in state.scrape.targets() {
        let metadata = Arc::clone(&target.metadata.lock());
        for (family, entry) in metadata.iter() {
            found.entry(family.clone()).or_insert_with(|| entry.clone());
        }
    }
    found
}

/// One line for each batch, at least one, and a last line that says that this was all.
fn respond(
    what: What,
    asked: &Asked,
    hits: &[Hit],
    metadata: &BTreeMap<String, MetricMetadata>,
    has_more: bool,
) -> Response {
    let key = if what == What::LabelValues { "value" } else { "name" };
    let one = |(value, score): &Hit| {
        let mut shown = Map::new();
        shown.insert(key.to_owned(), json!(value));
        if asked.with_score {
            shown.insert("score".to_owned(), json!(score));
        }
        if let Some(entry) = metadata.get(value) {
            let kind = entry.kind.as_str();
            let fields = [("type", kind), ("help", entry.help.as_str()), ("unit", entry.unit.as_str())];
            for (name, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
                shown.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(shown)
    };
    let mut body = String::new();
    let mut batches = hits.chunks(asked.batch);
    let first = batches.next().unwrap_or_default();
    for batch in std::iter::once(first).chain(batches) {
        let results: Vec<Value> = batch.iter().map(one).collect();
        body.push_str(&json!({ "results": results }).to_string());
        body.push('\n');
    }
    body.push_str(&json!({ "status": "success", "has_more": has_more }).to_string());
    body.push('\n');
    let mut response = Response::new(body.into());
    let kind = HeaderValue::from_static("application/x-ndjson; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
