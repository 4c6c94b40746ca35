//! The one place where error codes become HTTP and gRPC statuses.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use model::ErrorCode;
use tonic::{Code, Status};

/// The HTTP status of a code.
pub fn http_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The gRPC code of a code.
pub fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidArgument => Code::InvalidArgument,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::PermissionDenied => Code::PermissionDenied,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::Unprocessable => Code::FailedPrecondition,
        ErrorCode::LimitExceeded => Code::ResourceExhausted,
        ErrorCode::Cancelled => Code::Cancelled,
        ErrorCode::Internal => Code::Internal,
        ErrorCode::Unimplemented => Code::Unimplemented,
        ErrorCode::Unavailable => Code::Unavailable,
    }
}

/// The code of a gRPC answer: the way back of [`grpc_code`].
pub fn code_of_grpc(code: Code) -> ErrorCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorCode::InvalidArgument,
        Code::Unauthenticated => ErrorCode::Unauthenticated,
        Code::PermissionDenied => ErrorCode::PermissionDenied,
        Code::NotFound => ErrorCode::NotFound,
        Code::FailedPrecondition | Code::AlreadyExists => ErrorCode::Unprocessable,
        Code::ResourceExhausted => ErrorCode::LimitExceeded,
        Code::Cancelled => ErrorCode::Cancelled,
        Code::Unimplemented => ErrorCode::Unimplemented,
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted => ErrorCode::Unavailable,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => ErrorCode::Internal,
    }
}

/// The code of an HTTP answer of another service.
pub fn code_of_http(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        401 => ErrorCode::Unauthenticated,
        403 => ErrorCode::PermissionDenied,
        404 | 405 | 410 => ErrorCode::NotFound,
        409 | 412 | 422 => ErrorCode::Unprocessable,
        429 => ErrorCode::LimitExceeded,
        499 => ErrorCode::Cancelled,
        501 => ErrorCode::Unimplemented,
        408 | 502..=504 => ErrorCode::Unavailable,
        400..=498 => ErrorCode::InvalidArgument,
        _ => ErrorCode::Internal,
    }
}

/// A gRPC status.
pub fn grpc_status(code: ErrorCode, message: impl Into<String>) -> Status {
    Status::new(grpc_code(code), message)
}

/// A plain text answer, with `Retry-After` where trying again makes sense.
pub fn text_error(code: ErrorCode, message: &str) -> Response {
    let mut response = text(http_status(code), message);
    if code.retryable() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A plain text answer with a line break at its end.
pub fn text(status: StatusCode, message: &str) -> Response {
    let mut body = message.to_owned();
    if !body.ends_with('\n') {
        body.push('\n');
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_from_grpc_and_http() {
        for code in [
            ErrorCode::InvalidArgument,
            ErrorCode::Unauthenticated,
            ErrorCode::PermissionDenied,
            ErrorCode::NotFound,
            ErrorCode::Unprocessable,
            ErrorCode::LimitExceeded,
            ErrorCode::Cancelled,
            ErrorCode::Internal,
            ErrorCode::Unimplemented,
            ErrorCode::Unavailable,
        ] {
            assert_eq!(code_of_grpc(grpc_code(code)), code);
            assert_eq!(code_of_http(http_status(code)), code);
        }
    }
}
