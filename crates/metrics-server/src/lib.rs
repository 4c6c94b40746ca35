//! The service in Prometheus' role.
