//! The life every service has: flags, listener, TLS and auth, health, reload, drain, task ownership.
