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
    /// `logproto`: Loki's push protocol, and what its parts ask of each other.
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

/// `opentelemetry.proto`: what OpenTelemetry's collectors and libraries send. The modules are those of the packages, as the
/// generated code refers to them by their place.
pub(crate) mod opentelemetry {
    /// What all signals share.
    pub(crate) mod common {
        generated!(
            /// Values and attributes.
            v1,
            "opentelemetry.proto.common.v1.rs"
        );
    }
    /// What records come from.
    pub(crate) mod resource {
        generated!(
            /// Resources.
            v1,
            "opentelemetry.proto.resource.v1.rs"
        );
    }
    /// Logs.
    pub(crate) mod logs {
        generated!(
            /// Records.
            v1,
            "opentelemetry.proto.logs.v1.rs"
        );
    }
    /// How records are handed over.
    pub(crate) mod collector {
        /// Logs.
        pub(crate) mod logs {
            generated!(
                /// The service.
                v1,
                "opentelemetry.proto.collector.logs.v1.rs"
            );
        }
    }
}
