//! Acknowledgements: by the API, and by the link in a notification.

use axum::extract::{Path, RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use model::{TimestampNs, parse_duration_ms};
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::time;
use super::query::{Parameters, Refusal};
use super::{Api, error};
use crate::acks::Ack;
use crate::alert::Fingerprint;
use crate::manager::{AckBy, AckTarget, ChangeError};
use crate::matchers::{self, MatcherSet};
use crate::times::{rfc3339_ms, seconds};

/// How long an acknowledgement holds unless it says otherwise.
const LIFE_NS: i64 = seconds(86_400);
/// The longest texts.
const TEXT_BYTES_MAX: usize = 4096;

pub(super) async fn list(State(api): State<Api>) -> Response {
    let now = api.manager.now();
    let acks = api.manager.dispatcher().acks.list(now);
    super::json(StatusCode::OK, &acks.iter().map(ack_json).collect::<Vec<Value>>())
}

fn ack_json(ack: &Ack) -> Value {
    json!({
        "fingerprint": Fingerprint(ack.fingerprint).to_string(),
        "labels": ack.labels,
        "owner": ack.owner,
        "comment": ack.comment,
        "at": rfc3339_ms(ack.at),
        "expiresAt": rfc3339_ms(ack.expires_at),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PostedAck {
    #[serde(default)]
    fingerprints: Vec<String>,
    #[serde(default)]
    matchers: Vec<String>,
    #[serde(default)]
    group_key: Option<String>,
    owner: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    duration: Option<String>,
}

pub(super) async fn post(State(api): State<Api>, body: Bytes) -> Response {
    let posted: PostedAck = match serde_json::from_slice(&body) {
        Ok(posted) => posted,
        Err(failed) => return error(StatusCode::BAD_REQUEST, format!("parsing the body failed: {failed}")),
    };
    let (target, by) = match read(posted, &api) {
        Ok(read) => read,
        Err(response) => return *response,
    };
    match api.manager.acknowledge(target, by).await {
        Ok(acks) => super::json(StatusCode::OK, &acks.iter().map(ack_json).collect::<Vec<Value>>()),
        Err(failed) => failure(&failed),
    }
}

fn failure(failed: &ChangeError) -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, failed)
}

fn read(posted: PostedAck, api: &Api) -> Result<(AckTarget, AckBy), Refusal> {
    let bad = |message: String| Box::new(error(StatusCode::BAD_REQUEST, message));
    let now = api.manager.now();
    let target = match (posted.fingerprints.as_slice(), posted.matchers.as_slice(), posted.group_key) {
        (all @ [_, ..], [], None) => {
            let all: Option<Vec<Fingerprint>> = all.iter().map(|text| fingerprint(text)).collect();
            AckTarget::Fingerprints(all.ok_or_else(|| bad("fingerprints: 16 hexadecimal digits".to_owned()))?)
        }
        ([], texts @ [_, ..], None) => {
            let mut all = Vec::new();
            for text in texts {
                let read = matchers::parse(text, api.manager.settings().matcher_mode);
                all.extend(read.map_err(|failed| bad(format!("matchers: {failed}")))?.0);
            }
            AckTarget::Matching(MatcherSet::new(all).map_err(|failed| bad(format!("matchers: {failed}")))?)
        }
        ([], [], Some(key)) => AckTarget::Group(key, now),
        _ => return Err(bad("exactly one of fingerprints, matchers and groupKey is needed".to_owned())),
    };
    let expires_at = match (posted.expires_at, posted.duration) {
        (Some(_), Some(_)) => return Err(bad("at most one of expiresAt and duration".to_owned())),
        (Some(text), None) => time("expiresAt", Some(&text)).map_err(bad)?.unwrap_or(now + LIFE_NS),
        (None, Some(text)) => {
            let ms = parse_duration_ms(&text).map_err(|failed| bad(format!("duration: {failed}")))?;
            now.saturating_add(ms.saturating_mul(1_000_000))
        }
        (None, None) => now + LIFE_NS,
    };
    let by = checked(AckBy { owner: posted.owner, comment: posted.comment, expires_at }, now).map_err(bad)?;
    Ok((target, by))
}

fn checked(by: AckBy, now: TimestampNs) -> Result<AckBy, String> {
    match () {
        () if by.owner.trim().is_empty() => Err("owner is needed".to_owned()),
        () if by.owner.len() + by.comment.len() > TEXT_BYTES_MAX => {
            Err(format!("owner and comment may have {TEXT_BYTES_MAX} bytes"))
        }
        () if by.expires_at <= now => Err("the acknowledgement would be over already".to_owned()),
        () => Ok(by),
    }
}

fn fingerprint(text: &str) -> Option<Fingerprint> {
    let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Fingerprint)
}

pub(super) async fn delete(State(api): State<Api>, Path(text): Path<String>) -> Response {
    let Some(fingerprint) = fingerprint(&text) else {
        return error(StatusCode::BAD_REQUEST, "a fingerprint has 16 hexadecimal digits");
    };
    match api.manager.forget_ack(fingerprint).await {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => error(StatusCode::NOT_FOUND, format!("alert {fingerprint} is not acknowledged")),
        Err(failed) => failure(&failed),
    }
}

/// What a link leads to: a form, as programs that look at links must not acknowledge anything.
pub(super) async fn page(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::of(query.as_deref());
    let token = parameters.get("token").unwrap_or_default();
    let Some((group_key, at)) = api.manager.read_ack_token(token) else {
        return shown(StatusCode::FORBIDDEN, "<p>This link is not valid, or older than seven days.</p>");
    };
    let now = api.manager.now();
    let alerts = api.manager.dispatcher().firing(&AckTarget::Group(group_key, at), now);
    let items: String = alerts
        .iter()
        .take(100)
        .map(|alert| format!("<li>{}</li>", escape(&alert.labels.to_string())))
        .collect();
    let body = match alerts.len() {
        0 => "<p>None of the alerts of this notification fires any more.</p>".to_owned(),
        count => format!(
            "<p>{count} firing:</p><ul>{items}</ul><form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
             <p><label>Name <input name=\"owner\" required maxlength=\"200\"></label></p>\
             <p><label>Comment <input name=\"comment\" maxlength=\"1000\"></label></p><button>Acknowledge</button></form>",
            escape(token)
        ),
    };
    shown(StatusCode::OK, &body)
}

/// The form, sent.
pub(super) async fn from_page(State(api): State<Api>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let form = String::from_utf8_lossy(&body).into_owned();
    let (form, query) = (Parameters::of(Some(&form)), Parameters::of(query.as_deref()));
    let token = form.get("token").or_else(|| query.get("token")).unwrap_or_default();
    let Some((group_key, at)) = api.manager.read_ack_token(token) else {
        return shown(StatusCode::FORBIDDEN, "<p>This link is not valid, or older than seven days.</p>");
    };
    let now = api.manager.now();
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let by = AckBy { owner: text("owner"), comment: text("comment"), expires_at: now + LIFE_NS };
    let by = match checked(by, now) {
        Ok(by) => by,
        Err(reason) => return shown(StatusCode::BAD_REQUEST, &format!("<p>{}</p>", escape(&reason))),
    };
    match api.manager.acknowledge(AckTarget::Group(group_key, at), by).await {
        Ok(acks) => shown(StatusCode::OK, &format!("<p>{} acknowledged.</p>", acks.len())),
        Err(failed) => shown(StatusCode::INTERNAL_SERVER_ERROR, &escape(&failed.to_string())),
    }
}

fn shown(status: StatusCode, body: &str) -> Response {
    let page = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Acknowledge</title></head><body><h1>Acknowledge</h1>{body}</body></html>"
    );
    (status, Html(page)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
