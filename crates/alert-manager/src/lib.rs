//! The service in Alertmanager's role.
