//! The service in Loki's role.

fn main() {}
