//! Fixtures and process control for tests.
