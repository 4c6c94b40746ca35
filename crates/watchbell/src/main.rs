//! All five services in one process.

fn main() {}
