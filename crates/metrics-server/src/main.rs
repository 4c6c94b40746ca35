//! The service in Prometheus' role.

fn main() {}
