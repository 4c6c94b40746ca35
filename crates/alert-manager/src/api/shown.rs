//! Alerts and groups as the API shows them, written as text at once: an answer may have a hundred thousand.

use std::collections::BTreeMap;

use model::Labels;
use serde::Serialize;

use crate::alert::Fingerprint;
use crate::dispatch::{AlertView, GroupView};
use crate::times::push_rfc3339_ms;

/// What an alert takes, about.
const ALERT_BYTES: usize = 1 << 10;

/// A list of alerts.
pub(super) fn alerts(views: &[AlertView]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + views.len() * ALERT_BYTES);
    push_alerts(&mut out, views);
    out
}

/// A list of groups.
pub(super) fn groups(groups: &[GroupView]) -> Vec<u8> {
    let count: usize = groups.iter().map(|group| 1 + group.alerts.len()).sum();
    let mut out = Vec::with_capacity(2 + count * ALERT_BYTES);
    push_list(&mut out, groups, |out, group| {
        out.extend_from_slice(b"{\"labels\":");
        push_labels(out, &group.labels);
        out.extend_from_slice(b",\"routeLabels\":");
        push_json::<BTreeMap<String, String>>(out, &group.route_labels);
        out.extend_from_slice(b",\"receiver\":{\"name\":");
        push_json(out, &group.receiver);
        out.extend_from_slice(b"},\"alerts\":");
        push_alerts(out, &group.alerts);
        out.push(b'}');
    });
    out
}

fn push_alerts(out: &mut Vec<u8>, views: &[AlertView]) {
    push_list(out, views, push_alert);
}

fn push_alert(out: &mut Vec<u8>, view: &AlertView) {
    let alert = &view.alert;
    out.extend_from_slice(b"{\"annotations\":");
    push_labels(out, &alert.annotations);
    out.extend_from_slice(b",\"endsAt\":\"");
    push_rfc3339_ms(out, alert.ends_at);
    out.extend_from_slice(b"\",\"fingerprint\":");
    push_fingerprint(out, &alert.fingerprint);
    out.extend_from_slice(b",\"receivers\":");
    push_list(out, &view.receivers, |out, name| {
        out.extend_from_slice(b"{\"name\":");
        push_json(out, name);
        out.push(b'}');
    });
    out.extend_from_slice(b",\"startsAt\":\"");
    push_rfc3339_ms(out, alert.starts_at);
    out.extend_from_slice(b"\",\"status\":{\"inhibitedBy\":");
    push_list(out, &view.inhibited_by, push_fingerprint);
    out.extend_from_slice(b",\"mutedBy\":");
    push_list(out, &view.muted_by, push_json);
    out.extend_from_slice(b",\"silencedBy\":");
    push_list(out, &view.silenced_by, push_json);
    let state: &[u8] = if view.is_suppressed() { b"suppressed" } else { b"active" };
    for part in [b",\"state\":\"", state, b"\"},\"updatedAt\":\""] {
        out.extend_from_slice(part);
    }
    push_rfc3339_ms(out, alert.updated_at);
    out.extend_from_slice(b"\",\"labels\":");
    push_labels(out, &alert.labels);
    if !alert.generator_url.is_empty() {
        out.extend_from_slice(b",\"generatorURL\":");
        push_json(out, &alert.generator_url);
    }
    out.push(b'}');
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (no, item) in items.iter().enumerate() {
        if no > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}

fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (no, (name, value)) in labels.iter().enumerate() {
        if no > 0 {
            out.push(b',');
        }
        push_json(out, name);
        out.push(b':');
        push_json(out, value);
    }
    out.push(b'}');
}

/// 16 hexadecimal digits in quotes.
fn push_fingerprint(out: &mut Vec<u8>, fingerprint: &Fingerprint) {
    out.push(b'"');
    for shift in (0..16).rev() {
        out.push(b"0123456789abcdef"[(fingerprint.0 >> (shift * 4) & 0xf) as usize]);
    }
    out.push(b'"');
}

fn push_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Only a writer that fails, or a map whose keys are no texts, could fail, and there is neither.
    serde_json::to_writer(out, value).expect("texts can always be written to memory");
}

#[cfg(test)]
mod tests;
