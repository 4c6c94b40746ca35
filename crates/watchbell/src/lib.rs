//! All five services in one process.
