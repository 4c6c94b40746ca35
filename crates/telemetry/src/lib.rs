//! Metrics registry and its text form; tracing and OpenTelemetry set-up.
