//! `/api/v1/admin/tsdb/*`: what changes stored data, where that is allowed.

use std::sync::Arc;

use axum::extract::State as AxumState;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::error::{ApiError, Kind};
use super::work;
use crate::state::State;

/// Space of deleted samples is given back by the store's own rounds; this asks for one.
pub(crate) async fn clean_tombstones(AxumState(state): AxumState<Arc<State>>) -> Result<Response, ApiError> {
    if !state.flags.enable_admin_api {
        return Err(ApiError::new(
            Kind::Unavailable,
            "admin APIs disabled: start with --web.enable-admin-api",
        ));
    }
    let db = work::store(&state)?;
    let done = tokio::task::spawn_blocking(move || db.maintain()).await;
    match done {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Err(error)) => Err(ApiError::internal(service::error_chain(&error))),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}
