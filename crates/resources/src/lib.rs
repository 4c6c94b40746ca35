//! What a request may use: who asks, how long, how much memory, on which CPU pool.
//!
//! A [`RequestContext`] is made once in `service` and handed to every read and write. Nothing here is global, and nothing
//! here looks at a clock: a deadline is turned into a cancellation by whoever drives the request.

#![warn(missing_docs)]

mod cancel;
mod context;
mod cpu;
mod memory;

pub use cancel::{CancelReason, CancelToken, Interrupted};
pub use context::{Principal, QueryId, RequestContext};
pub use cpu::{CpuClass, CpuPools};
pub use memory::{MemoryBudget, MemoryExceeded, Reservation};
