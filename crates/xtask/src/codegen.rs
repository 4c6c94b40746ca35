//! Rust from `proto/`, without protoc: protox compiles, tonic and prost generate.

use std::path::Path;

#[cfg(not(feature = "codegen"))]
pub(crate) fn run(_root: &Path) -> anyhow::Result<()> {
    anyhow::bail!(
        "run `cargo run -p xtask --features codegen -- codegen`: the protobuf compiler is built only for that"
    )
}

#[cfg(feature = "codegen")]
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    const FILES: [&str; 8] = [
        "grpc/health/v1/health.proto",
        "loki/push.proto",
        "loki/querier.proto",
        "opentelemetry/proto/collector/logs/v1/logs_service.proto",
        "prometheus/remote.proto",
        "watchbell/delivery/v1/delivery.proto",
        "watchbell/logs/v1/query.proto",
        "watchbell/metrics/v1/query.proto",
    ];
    let descriptors = protox::compile(FILES, [root.join("proto")])?;
    let generated = root.join("crates/wire/src/generated");
    std::fs::create_dir_all(&generated)?;
    tonic_prost_build::configure().out_dir(&generated).bytes(".prometheus.Chunk").compile_fds(descriptors)?;
    Ok(())
}
