//! Prometheus' data directory: head, WAL, blocks, index, compaction, retention.
