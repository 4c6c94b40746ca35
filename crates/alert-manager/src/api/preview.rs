//! What a silence would mute.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use model::{Labels, TimestampNs};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, error};
use crate::data::{Pairs, pairs};
use crate::history::{Happening, HistoryEvent};
use crate::manager::AckTarget;
use crate::matchers::{self, MatcherSet};
use crate::times::{rfc3339_ms, seconds};

/// How far back is looked.
const PAST_NS: i64 = seconds(7 * 86_400);
/// The most events that are looked at.
const EVENTS_MAX: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    matchers: Vec<String>,
}

pub(super) async fn silence(State(api): State<Api>, body: Bytes) -> Response {
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(failed) => return error(StatusCode::BAD_REQUEST, format!("parsing the body failed: {failed}")),
    };
    let mut all = Vec::new();
    for text in &asked.matchers {
        match matchers::parse(text, api.manager.settings().matcher_mode) {
            Ok((read, _)) => all.extend(read),
            Err(failed) => return error(StatusCode::BAD_REQUEST, failed),
        }
    }
    let matchers = match MatcherSet::new(all) {
        Ok(matchers) if matchers.refuses_empty() => matchers,
        Ok(_) => {
            return error(StatusCode::BAD_REQUEST, "at least one matcher must not match the empty string");
        }
        Err(failed) => return error(StatusCode::BAD_REQUEST, failed),
    };
    let now = api.manager.now();
    let firing = api.manager.dispatcher().firing(&AckTarget::Matching(matchers.clone()), now);
    let firing: Vec<Value> = firing
        .iter()
        .map(|alert| {
            json!({
                "fingerprint": alert.fingerprint.to_string(),
                "labels": pairs(&alert.labels),
                "startsAt": rfc3339_ms(alert.starts_at),
            })
        })
        .collect();
    let manager = api.manager.clone();
    manager.flush_history().await;
    let reading =
        tokio::task::spawn_blocking(move || manager.history().query(now - PAST_NS, now, EVENTS_MAX));
    let events = match reading.await {
        Ok(Ok(events)) => events,
        Ok(Err(failed)) => return error(StatusCode::INTERNAL_SERVER_ERROR, service::error_chain(&failed)),
        Err(failed) => return error(StatusCode::INTERNAL_SERVER_ERROR, failed),
    };
    super::json(StatusCode::OK, &json!({ "firing": firing, "past": past(events, &matchers) }))
}

/// The alerts that matched, each with how often it fired and when it last did; the latest first.
fn past(events: Vec<HistoryEvent>, matchers: &MatcherSet) -> Vec<Value> {
    let mut found: BTreeMap<String, (Pairs, usize, TimestampNs)> = BTreeMap::new();
    for event in events {
        let Happening::AlertFiring { labels, fingerprint } = event.happening else {
            continue;
        };
        if matchers.matches(&Labels::from_pairs(&labels)) {
            let entry = found.entry(fingerprint).or_insert((labels, 0, event.at));
            entry.1 += 1;
            entry.2 = entry.2.max(event.at);
        }
    }
    let mut sorted: Vec<_> = found.into_iter().collect();
    sorted.sort_by_key(|(_, (_, _, last))| std::cmp::Reverse(*last));
    let shown = |(fingerprint, (labels, times, last)): (String, (Pairs, usize, TimestampNs))| json!({ "fingerprint": fingerprint, "labels": labels, "times": times, "last": rfc3339_ms(last) });
    sorted.into_iter().map(shown).collect()
}
