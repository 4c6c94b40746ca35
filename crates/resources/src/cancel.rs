//! Cancellation that costs one atomic load to check.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use model::ErrorCode;

/// Why a request ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The client closed its connection or an operator killed the query.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// The service is stopping.
    ShuttingDown,
}

/// The error of work that stopped because its request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted(pub CancelReason);

impl Interrupted {
    /// The code that a client sees.
    pub fn code(self) -> ErrorCode {
        match self.0 {
            CancelReason::Cancelled => ErrorCode::Cancelled,
            CancelReason::TimedOut | CancelReason::ShuttingDown => ErrorCode::Unavailable,
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CancelReason::Cancelled => "query was canceled",
            CancelReason::TimedOut => "query timed out",
            CancelReason::ShuttingDown => "service is shutting down",
        })
    }
}

impl std::error::Error for Interrupted {}

/// Set once, seen by all clones. The first reason stays.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicU8>);

impl CancelToken {
    /// A token that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the request for `reason`, unless it has ended already.
    pub fn cancel(&self, reason: CancelReason) {
        let code = match reason {
            CancelReason::Cancelled => 1,
            CancelReason::TimedOut => 2,
            CancelReason::ShuttingDown => 3,
        };
        // Losing this race means that another reason was first: nothing to do.
        self.0.compare_exchange(0, code, Ordering::Release, Ordering::Relaxed).ok();
    }

    /// The error to stop with, once the request has ended. Call it at least every 10 ms of CPU work.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::Acquire) {
            0 => Ok(()),
            1 => Err(Interrupted(CancelReason::Cancelled)),
            2 => Err(Interrupted(CancelReason::TimedOut)),
            _ => Err(Interrupted(CancelReason::ShuttingDown)),
        }
    }
}
