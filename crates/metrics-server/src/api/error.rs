//! Errors in Prometheus' envelope.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use metric_storage_api::StorageError;
use model::ErrorCode;
use promql::QueryError;
use service::RequestError;

/// An error with its `errorType`.
#[derive(Debug)]
pub(crate) struct ApiError {
    kind: Kind,
    message: String,
}

/// Prometheus' error types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    Unavailable,
    NotFound,
    /// The store is not open yet, or not any more: plain text.
    NotReady {
        stopping: bool,
    },
}

impl ApiError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(Kind::BadData, message)
    }

    pub(crate) fn invalid_parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {message}"))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// The code for gRPC.
    pub(crate) fn code(&self) -> ErrorCode {
        match self.kind {
            Kind::BadData => ErrorCode::InvalidArgument,
            Kind::Execution => ErrorCode::Unprocessable,
            Kind::Canceled => ErrorCode::Cancelled,
            Kind::Timeout | Kind::NotReady { .. } | Kind::Unavailable => ErrorCode::Unavailable,
            Kind::Internal => ErrorCode::Internal,
            Kind::NotFound => ErrorCode::NotFound,
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn of_code(code: ErrorCode, message: String) -> Self {
        let kind = match code {
            ErrorCode::InvalidArgument => Kind::BadData,
            ErrorCode::Unprocessable | ErrorCode::LimitExceeded => Kind::Execution,
            ErrorCode::Cancelled => Kind::Canceled,
            ErrorCode::Unavailable => Kind::Timeout,
            ErrorCode::NotFound => Kind::NotFound,
            ErrorCode::Unauthenticated
            | ErrorCode::PermissionDenied
            | ErrorCode::Internal
            | ErrorCode::Unimplemented => Kind::Internal,
        };
        Self { kind, message }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = service::error_chain(&error);
        match error {
            QueryError::Parse(_) => Self::invalid_parameter("query", message),
            error => Self::of_code(error.code(), message),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::of_code(error.code(), service::error_chain(&error))
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        Self::bad_data(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (name, status) = match self.kind {
            Kind::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            Kind::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            Kind::Canceled => ("canceled", service::http_status(ErrorCode::Cancelled)),
            Kind::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            Kind::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Kind::Unavailable => ("unavailable", StatusCode::INTERNAL_SERVER_ERROR),
            Kind::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Kind::NotReady { stopping } => {
                let mut response = service::text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
                let value = HeaderValue::from_static(if stopping { "true" } else { "false" });
                response.headers_mut().insert(HeaderName::from_static("x-prometheus-stopping"), value);
                return response;
            }
        };
        let body = serde_json::json!({"status": "error", "errorType": name, "error": self.message});
        let json = HeaderValue::from_static("application/json");
        (status, [(CONTENT_TYPE, json)], body.to_string()).into_response()
    }
}
