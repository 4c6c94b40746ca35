//! The file of tenants' limits, read again when it changes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use service::Lifecycle;
use tokio::time::MissedTickBehavior;

use crate::config::{LoadedConfig, load_overrides};
use crate::server::Server;

/// The file is not looked at more often.
const PERIOD_MIN: Duration = Duration::from_millis(100);
/// The largest file.
const BYTES_MAX: u64 = 64 << 20;

/// Looks at the file that the configuration names, as often as it says. One that is wrong leaves the limits as they are.
pub(super) fn watch(lifecycle: &Lifecycle, server: &Arc<Server>) {
    let successful = lifecycle.registry().gauge(
        "loki_runtime_config_last_reload_successful",
        "Whether the file of tenants' limits was right when it was read last.",
    );
    successful.set(1.0);
    let (server, stopping) = (Arc::clone(server), lifecycle.stopping().clone());
    lifecycle.spawn("runtime configuration", async move {
        let mut seen: Option<String> = None;
        loop {
            let period = server.loaded.read().config.overrides_period.max(PERIOD_MIN);
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let loaded = Arc::clone(&server.loaded.read());
            let Some(path) = loaded.config.overrides_file.clone() else { continue };
            // What was read at the start is read once more, as it may have changed since.
            let is_first = seen.is_none();
            let before = seen.take();
            let looked = tokio::task::spawn_blocking(move || look(&path, &loaded, before.as_deref())).await;
            let Ok(Look { content, read }) = looked else { return };
            seen = content;
            match read {
                Some(Ok(loaded)) => {
                    server.limits.replace(&loaded.config);
                    *server.loaded.write() = Arc::new(loaded);
                    successful.set(1.0);
                    if !is_first {
                        tracing::info!("limits of tenants read again");
                    }
                }
                Some(Err(error)) => {
                    successful.set(0.0);
                    tracing::error!(error, "limits of tenants cannot be read: the old ones stay");
                }
                None => {}
            }
        }
    });
}

/// What the file held, and what it says where that has changed.
struct Look {
    content: Option<String>,
    read: Option<Result<LoadedConfig, String>>,
}

fn look(path: &Path, loaded: &LoadedConfig, before: Option<&str>) -> Look {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let content = if size > BYTES_MAX { None } else { std::fs::read_to_string(path).ok() };
    if content.as_deref() == before {
        return Look { content, read: None };
    }
    let read = load_overrides(path, &loaded.config.limits).map_err(|error| error.to_string());
    let read = read.map(|(overrides, _)| {
        let mut loaded = loaded.clone();
        loaded.config.overrides = overrides;
        loaded
    });
    Look { content, read: Some(read) }
}
