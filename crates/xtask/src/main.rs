//! Project chores: tidy and code generation.

fn main() {}
