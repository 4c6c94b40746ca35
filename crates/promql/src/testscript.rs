//! PromQL test scripts.
