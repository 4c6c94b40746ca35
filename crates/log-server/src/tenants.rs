//! The limits of each tenant, as the API and the store ask for them.

use std::collections::HashMap;
use std::sync::Arc;

use log_store::{LimitsSource, LogLimits, StreamRetention};
use model::TenantId;
use parking_lot::RwLock;

use crate::config::{Config, Limits};

/// Limits by tenant; replaced as a whole when the configuration is read again.
#[derive(Debug)]
pub(crate) struct TenantLimits(RwLock<Tables>);

#[derive(Debug)]
struct Tables {
    common: Both,
    overrides: HashMap<String, Both>,
}

#[derive(Clone, Debug)]
struct Both {
    api: Arc<Limits>,
    store: Arc<LogLimits>,
}

impl TenantLimits {
    pub(crate) fn new(config: &Config) -> Self {
        Self(RwLock::new(Tables::new(config)))
    }

    pub(crate) fn replace(&self, config: &Config) {
        *self.0.write() = Tables::new(config);
    }

    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<Limits> {
        Arc::clone(&self.0.read().of(tenant).api)
    }
}

impl LimitsSource for TenantLimits {
    fn limits(&self, tenant: &TenantId) -> Arc<LogLimits> {
        Arc::clone(&self.0.read().of(tenant).store)
    }
}

impl Tables {
    fn new(config: &Config) -> Self {
        let both = |limits: &Arc<Limits>| Both {
            api: Arc::clone(limits),
            store: Arc::new(store_limits(limits, config)),
        };
        let overrides = config.overrides.iter().map(|(tenant, limits)| (tenant.clone(), both(limits)));
        Self { common: both(&config.limits), overrides: overrides.collect() }
    }

    fn of(&self, tenant: &TenantId) -> &Both {
        self.overrides.get(tenant.as_str()).unwrap_or(&self.common)
    }
}

fn store_limits(limits: &Limits, config: &Config) -> LogLimits {
    let stream_retention = limits.stream_retention.iter().map(|rule| StreamRetention {
        matchers: rule.matchers.clone(),
        priority: rule.priority,
        period: rule.period,
    });
    LogLimits {
        out_of_order_window: Some(config.max_chunk_age / 2),
        reject_old_max_age: limits.reject_old_max_age,
        creation_grace: Some(limits.creation_grace),
        line_bytes_max: limits.line_bytes_max,
        streams_max: limits.streams_max,
        retention: limits.retention,
        stream_retention: stream_retention.collect(),
    }
}
