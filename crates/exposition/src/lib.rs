//! Prometheus text, OpenMetrics and protobuf exposition formats: read and write.
