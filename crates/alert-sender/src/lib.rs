//! Alerts to Alertmanager's API v2.
