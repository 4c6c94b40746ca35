//! Prometheus' relabel rules.
