//! Streams that were pushed lately: their label text is read and checked once.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, TenantId};
use parking_lot::Mutex;

use super::decode::parse_labels;
use super::validate::{self, Invalid};
use super::{IncomingLabels, level};
use crate::config::Limits;
use crate::error::ApiError;

/// So many streams of a tenant are remembered.
const STREAMS_MAX: usize = 20_000;

/// A stream that has passed the checks.
#[derive(Clone, Debug)]
pub(crate) struct KnownStream {
    pub(crate) labels: Labels,
    /// The level that the labels tell.
    pub(crate) level: Option<&'static str>,
}

/// Known streams by tenant and label text.
#[derive(Debug, Default)]
pub(crate) struct StreamCache {
    tenants: Mutex<HashMap<TenantId, OfTenant>>,
}

#[derive(Debug)]
struct OfTenant {
    /// The limits that the streams were checked by: new ones may judge otherwise.
    limits: Arc<Limits>,
    streams: HashMap<Box<str>, KnownStream>,
}

impl StreamCache {
    /// The stream that labels name. The outer error is the request's, the inner one the stream's.
    pub(super) fn resolve(
        &self,
        tenant: &TenantId,
        limits: &Arc<Limits>,
        labels: &IncomingLabels<'_>,
    ) -> Result<Result<KnownStream, Invalid>, ApiError> {
        let text = match labels {
            IncomingLabels::Pairs(pairs) => return Ok(checked(pairs, limits)),
            IncomingLabels::Text(text) => *text,
        };
        if let Some(known) = self.get(tenant, limits, text) {
            return Ok(Ok(known));
        }
        let stream = checked(&parse_labels(text)?, limits);
        if let Ok(known) = &stream {
            self.put(tenant, limits, text, known.clone());
        }
        Ok(stream)
    }

    fn get(&self, tenant: &TenantId, limits: &Arc<Limits>, text: &str) -> Option<KnownStream> {
        let tenants = self.tenants.lock();
        let known = tenants.get(tenant).filter(|known| Arc::ptr_eq(&known.limits, limits))?;
        known.streams.get(text).cloned()
    }

    fn put(&self, tenant: &TenantId, limits: &Arc<Limits>, text: &str, stream: KnownStream) {
        let mut tenants = self.tenants.lock();
        let make = || OfTenant { limits: Arc::clone(limits), streams: HashMap::new() };
        let known = tenants.entry(tenant.clone()).or_insert_with(make);
        if !Arc::ptr_eq(&known.limits, limits) || known.streams.len() >= STREAMS_MAX {
            *known = make();
        }
        known.streams.insert(text.into(), stream);
    }
}

fn checked(pairs: &[(String, String)], limits: &Limits) -> Result<KnownStream, Invalid> {
    let labels = validate::labels(pairs, limits)?;
    let level = level::of_labels(&labels, &limits.level_fields);
    Ok(KnownStream { labels, level })
}
