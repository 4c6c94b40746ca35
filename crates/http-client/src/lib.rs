//! Prometheus' HTTP client block: TLS, authorization, OAuth2, proxies.
