//! Black-box tests of the database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "a test ends where something unexpected happens"
)]

mod arbitrary;
mod arbitrary_bytes;
mod blocks;
mod database;
mod kill;
mod prometheus;
mod replay;
mod simulation;
mod support;
