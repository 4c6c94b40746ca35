//! Errors as Loki's clients see them: a status and a line of text.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use log_storage_api::LogStorageError;
use logql::LogqlError;
use model::ErrorCode;
use resources::{CancelReason, Interrupted};
use service::{DecompressError, RequestError};

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What a client can act on, for gRPC.
    pub code: ErrorCode,
    /// The text.
    pub message: String,
}

impl ApiError {
    /// An error with the usual status of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status: service::http_status(code), code, message: message.into() }
    }

    /// The request is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn interrupted(interrupted: Interrupted) -> Self {
        match interrupted.0 {
            CancelReason::TimedOut => Self::new(
                ErrorCode::Unavailable,
                "request timed out, decrease the duration of the request or narrow its selectors \
                 (limits_config.query_timeout)",
            )
            .with_status(StatusCode::GATEWAY_TIMEOUT),
            CancelReason::Cancelled => {
                Self::new(ErrorCode::Cancelled, "the request was cancelled by the client")
            }
            CancelReason::ShuttingDown => Self::new(ErrorCode::Unavailable, interrupted.to_string()),
        }
    }

    /// The error over gRPC.
    pub fn to_grpc(&self) -> tonic::Status {
        service::grpc_status(self.code, self.message.as_str())
    }
}

impl From<LogqlError> for ApiError {
    fn from(error: LogqlError) -> Self {
        match error {
            LogqlError::Interrupted(interrupted) => Self::interrupted(interrupted),
            LogqlError::Storage(error) => error.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

impl From<logql_syntax::ParseError> for ApiError {
    fn from(error: logql_syntax::ParseError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<LogStorageError> for ApiError {
    fn from(error: LogStorageError) -> Self {
        match error {
            LogStorageError::Interrupted(interrupted) => Self::interrupted(interrupted),
            error => Self::new(error.code(), service::error_chain(&error)),
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<DecompressError> for ApiError {
    fn from(error: DecompressError) -> Self {
        let status = match error {
            DecompressError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(error.code(), error.to_string()).with_status(status)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = service::text_error(self.code, &self.message);
        *response.status_mut() = self.status;
        let nosniff = HeaderName::from_static("x-content-type-options");
        response.headers_mut().insert(nosniff, HeaderValue::from_static("nosniff"));
        response
    }
}
