//! `/api/v1/format_query` and `/api/v1/parse_query`.

mod tree;

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use promql::Expr;

use super::answer;
use super::error::ApiError;
use super::params::Params;
use crate::state::State;

pub(crate) async fn format(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let expr = parsed(&state, request).await?;
    Ok(answer::success(&promql_syntax::pretty(&expr)))
}

pub(crate) async fn parse(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let expr = parsed(&state, request).await?;
    Ok(answer::success(&tree::node(&expr)))
}

async fn parsed(state: &State, request: Request) -> Result<Expr, ApiError> {
    let (params, _) = Params::read(request).await?;
    Ok(state.engine.parse(params.get("query").unwrap_or_default())?)
}
