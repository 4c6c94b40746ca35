//! The closed set of error codes that cross a service boundary.

use std::fmt;

/// What went wrong, as far as a caller can act on it. `service` maps each to one HTTP and one gRPC status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request itself is wrong: syntax, parameter, unknown key. 400.
    InvalidArgument,
    /// No or wrong credentials. 401.
    Unauthenticated,
    /// Known, but not allowed. 403.
    PermissionDenied,
    /// No such thing. 404.
    NotFound,
    /// The request is well formed and cannot be carried out, such as a query whose evaluation fails. 422.
    Unprocessable,
    /// A limit on rate, size, series or memory was met; slow down or raise the named setting. 429.
    LimitExceeded,
    /// The client left or the query was cancelled. 499.
    Cancelled,
    /// A defect or an unexpected state of ours. 500.
    Internal,
    /// Named, and not built. 501.
    Unimplemented,
    /// Temporarily not possible: starting, draining, disk full, an upstream away, timed out. 503.
    Unavailable,
}

impl ErrorCode {
    /// Whether the same request may succeed later without being changed.
    pub fn retryable(self) -> bool {
        matches!(self, Self::LimitExceeded | Self::Unavailable)
    }

    /// The code's name in snake case, as metrics and structured errors show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::Unprocessable => "unprocessable",
            Self::LimitExceeded => "limit_exceeded",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
            Self::Unimplemented => "unimplemented",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
