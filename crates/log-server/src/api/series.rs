//! `series`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use resources::RequestContext;

use super::call::Call;
use super::encode;
use super::labels::{selector, streams};
use crate::error::ApiError;
use crate::server::Server;

pub(super) async fn series(State(server): State<Arc<Server>>, call: Call) -> Result<Response, ApiError> {
    let (start, end) = call.params.bounds(server.now_ns())?;
    let given = call.params.all("match[]").chain(call.params.all("match"));
    let mut selectors = given.map(|text| selector(Some(text))).collect::<Result<Vec<_>, _>>()?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let store = Arc::clone(&server.ingester.store);
    let work = move |ctx: &RequestContext| streams(ctx, &*store, selectors, start, end);
    let mut found = server.run_query(call.scope, work).await?;
    found.sort_by(|a, b| a.stream.labels.cmp(&b.stream.labels));
    found.dedup_by(|a, b| a.stream.labels == b.stream.labels);
    let mut body = String::from(r#"{"status":"success","data":["#);
    for (idx, stats) in found.iter().enumerate() {
        if idx > 0 {
            body.push(',');
        }
        encode::push_pairs(&mut body, stats.stream.labels.iter());
    }
    body.push_str("]}");
    Ok(encode::json(body))
}
