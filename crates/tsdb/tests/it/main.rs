//! Black-box tests of the database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "a test ends where something unexpected happens"
)]

mod database;
mod support;
