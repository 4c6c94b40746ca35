//! The real binary over loopback: what it stores, answers, refuses, sends and finds.

mod admin;
mod harness;
mod kill;
mod process;
mod remote_storage;
mod remote_write;
