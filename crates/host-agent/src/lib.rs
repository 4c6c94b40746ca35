//! The agent on each host: container and host metrics, logs.
