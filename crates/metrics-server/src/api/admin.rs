//! `/api/v1/admin/tsdb/*`: what changes or copies stored data, where that is allowed.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::error::{ApiError, Kind};
use super::params::Params;
use super::{answer, work};
use crate::state::State;

pub(crate) async fn delete_series(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    allowed(&state)?;
    let (params, _) = Params::read(request).await?;
    if params.all("match[]").is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (selectors, range) = (params.selectors()?, params.range()?);
    on_store(&state, move |db| db.delete_series(&selectors, range)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn clean_tombstones(AxumState(state): AxumState<Arc<State>>) -> Result<Response, ApiError> {
    allowed(&state)?;
    on_store(&state, tsdb::Db::clean_tombstones).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(crate) async fn snapshot(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    allowed(&state)?;
    let (params, _) = Params::read(request).await?;
    let skip_head = match params.non_empty("skip_head") {
        None => false,
        Some(text) => {
            text.parse().map_err(|_| ApiError::invalid_parameter("skip_head", "unable to parse boolean"))?
        }
    };
    let options = tsdb::SnapshotOptions { with_head: !skip_head };
    let name = on_store(&state, move |db| db.snapshot(options)).await?;
    Ok(answer::success(&json!({ "name": name })))
}

/// Refuses what changes something where that has not been switched on.
pub(crate) fn allowed(state: &State) -> Result<(), ApiError> {
    if state.flags.enable_admin_api {
        return Ok(());
    }
    Err(ApiError::new(Kind::Unavailable, "admin APIs disabled: start with --web.enable-admin-api"))
}

async fn on_store<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&tsdb::Db) -> tsdb::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let db = work::store(state)?;
    match tokio::task::spawn_blocking(move || work(&db)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(ApiError::internal(service::error_chain(&error))),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}
