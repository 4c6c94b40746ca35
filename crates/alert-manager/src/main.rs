//! The service in Alertmanager's role.

fn main() {}
