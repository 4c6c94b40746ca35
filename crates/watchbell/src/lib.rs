//! All five services in one process: what `make run` starts.
//!
//! Each service gets its arguments as its own binary would, a runtime of its own and a thread that starts it again should it
//! panic. They speak to each other over loopback, as they would apart. Nothing listens beyond 127.0.0.1 but the gateway.

#![warn(missing_docs)]

mod aliases;
mod conf;
mod flags;
mod ports;
mod services;
mod supervisor;

pub use flags::{Arguments, Command, Flags, ServiceArguments, ServiceCommand};
pub use ports::{TakenPort, check_ports};
pub use services::{ServiceSpec, run_service, service_specs};
pub use supervisor::run;
