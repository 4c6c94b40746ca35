//! Generated from `proto/`: do not edit.

macro_rules! generated {
    ($(#[$doc:meta])* $module:ident, $file:literal) => {
        $(#[$doc])*
        #[allow(
            clippy::all,
            clippy::pedantic,
            clippy::restriction,
            clippy::nursery,
            missing_docs,
            unreachable_pub,
            elided_lifetimes_in_paths,
            unused_qualifications,
            reason = "generated code"
        )]
        pub mod $module {
            include!(concat!("generated/", $file));
        }
    };
}

generated!(
    /// `watchbell.delivery.v1`: log lines from an agent to a log server.
    delivery,
    "watchbell.delivery.v1.rs"
);
generated!(
    /// `grpc.health.v1`: the health checking protocol.
    health,
    "grpc.health.v1.rs"
);
generated!(
    /// `watchbell.logs.v1`: queries to a log server.
    logs,
    "watchbell.logs.v1.rs"
);
generated!(
    /// `logproto`: Loki's push protocol.
    loki,
    "logproto.rs"
);
generated!(
    /// `watchbell.metrics.v1`: queries to a metrics server.
    metrics,
    "watchbell.metrics.v1.rs"
);
generated!(
    /// `prometheus`: remote write 1.0 and remote read.
    prometheus,
    "prometheus.rs"
);
