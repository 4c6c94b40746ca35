//! What a handler is given: parameters and the request's context.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use resources::{CpuClass, Principal};
use service::RequestScope;

use super::params::Params;
use crate::error::ApiError;
use crate::server::Server;

/// The largest form in a request's body.
const FORM_BYTES_MAX: usize = 1 << 20;

/// A request for data.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) scope: RequestScope,
}

impl FromRequest<Arc<Server>> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, ApiError> {
        let mut params = Params::parse(request.uri().query().unwrap_or("").as_bytes());
        let (parts, body) = request.into_parts();
        let principal = parts.extensions.get::<Principal>();
        let scope = server.contexts.from_headers(&parts.headers, principal, CpuClass::Query)?;
        let is_form = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if parts.method == Method::POST && is_form {
            let form = to_bytes(body, FORM_BYTES_MAX)
                .await
                .map_err(|error| ApiError::bad_request(format!("the form could not be read: {error}")))?;
            params.extend(Params::parse(&form));
        }
        let timeout = server.limits_of(&scope.context.tenant).query_timeout;
        Ok(Self { params, headers: parts.headers, scope: scope.with_timeout(Some(timeout)) })
    }
}

impl Call {
    /// The parameter `query`, which has to be there.
    pub(crate) fn query(&self) -> Result<&str, ApiError> {
        self.params.get("query").ok_or_else(|| {
            ApiError::bad_request("parse error at line 1, col 1: syntax error: unexpected $end")
        })
    }

    /// Whether labels are to be kept apart by where they come from.
    pub(crate) fn categorizes_labels(&self) -> bool {
        self.headers.get_all("x-loki-response-encoding-flags").iter().any(|value| {
            value.to_str().is_ok_and(|flags| flags.split(',').any(|flag| flag.trim() == "categorize-labels"))
        })
    }
}
