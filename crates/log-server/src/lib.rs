//! The service in Loki's role.
