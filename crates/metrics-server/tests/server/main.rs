//! The real binary over loopback: what it stores, answers, refuses, sends and finds.

mod admin;
mod differential;
mod generate;
mod harness;
mod kill;
mod otlp;
mod process;
mod remote_storage;
mod remote_write;
mod tools;
