//! Alerts as the Alertmanager API v2 takes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One alert of a `POST /api/v2/alerts` body (an array of them). Times are RFC 3339; an absent end means that the receiver's
/// `resolve_timeout` counts from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    /// What identifies the alert.
    pub labels: BTreeMap<String, String>,
    /// What describes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Since when it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// Until when it is taken to fire, or when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Where its expression can be looked at.
    #[serde(default, rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
}
