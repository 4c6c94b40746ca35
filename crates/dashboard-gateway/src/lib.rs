//! The service in Grafana's role: the UI and one authenticated way in.
