//! `/api/v1/series`, `/api/v1/labels` and `/api/v1/label/NAME/values`.

use std::sync::Arc;

use axum::extract::{Path, Request, State as AxumState};
use axum::response::Response;
use go_regex::CompiledMatcher;
use metric_storage_api::{LabelQuery, MetricReader, SelectHints, SelectRequest, StorageError};
use model::{Labels, TimeRange};
use promql::Annotations;
use resources::{CpuClass, RequestContext};

use super::error::ApiError;
use super::params::Params;
use super::{answer, json, work};
use crate::state::State;

const TRUNCATED: &str = "results truncated due to limit";

pub(crate) async fn series(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    if params.all("match[]").is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let found = work::run(&state, scope, params.timeout()?, move |ctx, db| {
        Ok(select_series(ctx, db, &selectors, range, limit)?)
    })
    .await?;
    let mut data = Vec::new();
    answer::list(&mut data, &found.items, json::labels);
    Ok(answer::success_raw(&data, &found.annotations))
}

pub(crate) async fn names(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, parts) = Params::read(request).await?;
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let names = work::run(&state, scope, None, move |ctx, db| {
        let query = LabelQuery { selectors: &selectors, range, limit: one_more(limit) };
        Ok(db.label_names(ctx, &query)?)
    })
    .await?;
    Ok(respond(names, limit))
}

pub(crate) async fn values(
    AxumState(state): AxumState<Arc<State>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let name = unescape(&name).ok_or_else(|| ApiError::bad_data(format!("invalid label name: {name:?}")))?;
    let (params, parts) = Params::read(request).await?;
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    let scope = work::scope(&state, &parts, CpuClass::Query)?;
    let values = work::run(&state, scope, None, move |ctx, db| {
        let query = LabelQuery { selectors: &selectors, range, limit: one_more(limit) };
        Ok(db.label_values(ctx, &name, &query)?)
    })
    .await?;
    Ok(respond(values, limit))
}

/// Label sets with what the user should know of them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Labels>,
    pub(crate) annotations: Annotations,
}

/// The series of all selectors, each once, in label order.
pub(crate) fn select_series(
    ctx: &RequestContext,
    db: &dyn MetricReader,
    selectors: &[Vec<CompiledMatcher>],
    range: TimeRange,
    limit: usize,
) -> Result<Found, StorageError> {
    let mut items: Vec<Labels> = Vec::new();
    let mut annotations = Annotations::default();
    for matchers in selectors {
        let hints =
            SelectHints { labels_only: true, sorted: true, limit: one_more(limit), ..SelectHints::default() };
        let set = db.select(ctx, &SelectRequest { matchers, range, hints })?;
        annotations.warnings.extend(set.warnings);
        for series in set.series {
            ctx.check()?;
            items.push(series.labels());
        }
    }
    if selectors.len() > 1 {
        items.sort_unstable();
        items.dedup();
    }
    if limit > 0 && items.len() > limit {
        items.truncate(limit);
        annotations.warnings.push(TRUNCATED.to_owned());
    }
    Ok(Found { items, annotations })
}

/// One more than asked for shows that there is more.
fn one_more(limit: usize) -> usize {
    if limit == 0 { 0 } else { limit.saturating_add(1) }
}

fn respond(mut items: Vec<String>, limit: usize) -> Response {
    let mut annotations = Annotations::default();
    if limit > 0 && items.len() > limit {
        items.truncate(limit);
        annotations.warnings.push(TRUNCATED.to_owned());
    }
    answer::success_with(&items, &annotations)
}

/// Undoes the escaping of names in paths: `U__`, then `__` for `_` and `_hex_` for any other character.
fn unescape(name: &str) -> Option<String> {
    let Some(mut rest) = name.strip_prefix("U__") else {
        return (!name.is_empty()).then(|| name.to_owned());
    };
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find('_')?;
        if end == 0 {
            out.push('_');
        } else {
            out.push(char::from_u32(u32::from_str_radix(&rest[..end], 16).ok()?)?);
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn names_in_paths_are_unescaped() {
        for (name, plain) in [
            ("job", Some("job")),
            ("U__foo_2e_bar", Some("foo.bar")),
            ("U__a__b", Some("a_b")),
            ("U__snow_2603_man", Some("snow☃man")),
            ("U__a_zz_", None),
            ("U__a_2e", None),
            ("", None),
        ] {
            assert_eq!(unescape(name).as_deref(), plain, "{name}");
        }
    }
}
