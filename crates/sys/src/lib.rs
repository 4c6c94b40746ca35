//! The outside world behind traits: clock, randomness, file system, blob store; the real ones and simulated, faulty ones.
//!
//! Stores, rules and dispatch take these by constructor and never call `std::fs`, `Instant::now` or `tokio::time`
//! themselves, so that a test can give them a clock that jumps and a disk that tears its writes.

#![warn(missing_docs)]

mod clock;
mod fs;
mod heap;
mod real_fs;
mod rng;
mod sim_fs;

pub use clock::{Clock, ManualClock, SystemClock};
pub use fs::{AppendFile, DirEntry, DiskSpace, FileLock, Fs, Mapped, ReadAt};
pub use heap::{limit_heap_arenas, release_free_memory};
pub use real_fs::RealFs;
pub use rng::{Rng, SeededRng, SystemRng};
pub use sim_fs::{SimFaults, SimFs};
