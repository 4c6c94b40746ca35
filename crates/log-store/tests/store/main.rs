//! The store from outside: against brute force, and what the contract asks of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod arbitrary;
mod brute_force;
mod contract;
mod damage;
mod fields;
