//! Taking over a configuration: at the start, at SIGHUP and at `/-/reload`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use service::{BoxError, Failure, Site};
use sys::RealFs;

use super::maintenance::retention;
use super::{blocking, warn_all};
use crate::api::Notice;
use crate::config::{LoadedConfig, PathAliases, load};
use crate::state::State;

/// Loads the files again; where something is wrong with them, everything stays as it is.
pub(super) async fn reload(state: Arc<State>, site: Site) -> Result<(), BoxError> {
    let result = try_reload(&state, site).await;
    state.metrics.reload_ok.set(if result.is_ok() { 1.0 } else { 0.0 });
    if result.is_err() {
        state.config_loaded.write().1 = false;
        state.notifications.add(Notice::ReloadFailed, state.clock.now_ms());
    } else {
        state.notifications.remove(Notice::ReloadFailed);
    }
    result
}

async fn try_reload(state: &Arc<State>, site: Site) -> Result<(), BoxError> {
    let file = state.flags.config_file.clone();
    let aliases = PathAliases::parse(&state.flags.path_aliases).map_err(|failure| failure.error)?;
    let loaded = blocking(move || load(&file, &aliases)).await.map_err(|failure| failure.error)?;
    blocking(move || site.reload_web_config()).await.map_err(|failure| failure.error)?;
    warn_all(&loaded);
    let loaded = Arc::new(loaded);
    if let Some(db) = state.db.get().cloned() {
        apply(state, &loaded, &db, false).await?;
    }
    *state.config.write() = loaded;
    Ok(())
}

/// Hands a configuration to the parts.
pub(super) async fn apply(
    state: &Arc<State>,
    loaded: &Arc<LoadedConfig>,
    db: &Arc<tsdb::Db>,
    is_first: bool,
) -> Result<(), BoxError> {
    let config = &loaded.config;
    let (preparing, checked) = (Arc::clone(state), Arc::clone(loaded));
    let prepared = blocking(move || preparing.scrape.prepare(&checked.config).map_err(Failure::usage))
        .await
        .map_err(|failure| failure.error)?;
    let (preparing, checked) = (Arc::clone(state), Arc::clone(loaded));
    let senders = blocking(move || preparing.remote.prepare(&checked.config).map_err(Failure::usage))
        .await
        .map_err(|failure| failure.error)?;
    let (logging, path) = (Arc::clone(state), config.global.query_log_file.clone());
    let opened = move || {
        let opened = logging.query_log.open(&RealFs, &path);
        opened.map_err(|error| Failure::usage(format!("query_log_file {}: {error}", path.display())))
    };
    blocking(opened).await.map_err(|failure| failure.error)?;
    state.metrics.query_log.set(f64::from(u8::from(state.query_log.is_on())));
    // The last step that can fail: what follows is taken over as a whole.
    state.alerts.apply(config.alerting.clone()).await.map_err(|error| error.chain())?;
    let (retention_ms, retention_bytes) = retention(&state.flags, config);
    db.set_retention(retention_ms, retention_bytes);
    db.set_out_of_order_window(config.storage.out_of_order_window_ms);
    let step = config.global.evaluation_interval.as_millis() as i64;
    state.subquery_step_ms.store(step, Ordering::Relaxed);
    state.rules.apply(loaded, &state.rule_env(Arc::clone(db)), is_first).await;
    state.scrape.apply(config, prepared, (Arc::clone(db), state.internal.clone(), Arc::clone(&state.clock)));
    state.remote.apply(config, senders, db).await;
    let now = state.clock.now_ms();
    *state.config_loaded.write() = (now, true);
    state.metrics.reload_ok.set(1.0);
    state.metrics.reload_time.set(now as f64 / 1000.0);
    Ok(())
}
