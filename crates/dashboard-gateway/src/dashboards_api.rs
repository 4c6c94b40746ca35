//! Dashboards over HTTP, in Grafana's shapes.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::Extensions;
use model::{TimestampNs, format_rfc3339_ns};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::dashboards::{Dashboard, Save, title_of};
use crate::error::{ApiError, blocking};
use crate::login::login_of;
use crate::state::Gateway;
use crate::users::Role;

type Answer = Result<Json<Value>, ApiError>;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SearchParams {
    query: String,
    tag: String,
    starred: String,
    #[serde(rename = "type")]
    kind: String,
    limit: Option<usize>,
    #[serde(rename = "dashboardUIDs")]
    uids: String,
}

/// `GET /api/search`
pub(crate) async fn search(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Query(params): Query<SearchParams>,
) -> Answer {
    let login = login_of(&extensions)?;
    let dashboards = gateway.dashboards.clone();
    let prefix = gateway.options.prefix();
    let hits = blocking(move || {
        let starred = dashboards.starred(&login.user)?;
        let wanted = params.query.to_lowercase();
        let all = dashboards.all()?;
        let hits = all.iter().filter(|dashboard| {
            let title = title_of(&dashboard.model).to_lowercase();
            let tagged = params.tag.is_empty() || tags_of(dashboard).contains(&params.tag.as_str());
            let listed = params.uids.is_empty() || params.uids.split(',').any(|uid| uid == dashboard.uid);
            let star = params.starred != "true" || starred.contains(&dashboard.uid);
            params.kind != "dash-folder" && title.contains(&wanted) && tagged && listed && star
        });
        let hits = hits.take(params.limit.unwrap_or(1000).min(5000));
        Ok(hits
            .map(|dashboard| hit(dashboard, &prefix, starred.contains(&dashboard.uid)))
            .collect::<Vec<_>>())
    })
    .await?;
    Ok(Json(Value::Array(hits)))
}

fn hit(dashboard: &Dashboard, prefix: &str, starred: bool) -> Value {
    let slug = slug(title_of(&dashboard.model));
    json!({
        "uid": dashboard.uid,
        "title": title_of(&dashboard.model),
        "uri": format!("db/{slug}"),
        "url": format!("{prefix}/d/{}/{slug}", dashboard.uid),
        "type": "dash-db",
        "tags": tags_of(dashboard),
        "isStarred": starred,
        "folderTitle": dashboard.folder,
    })
}

fn tags_of(dashboard: &Dashboard) -> Vec<&str> {
    let tags = dashboard.model.get("tags").and_then(Value::as_array);
    tags.map(|tags| tags.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// `GET /api/dashboards/tags`
pub(crate) async fn tags(State(gateway): State<Gateway>) -> Answer {
    let dashboards = gateway.dashboards.clone();
    let counted = blocking(move || {
        let mut counts = std::collections::BTreeMap::new();
        for dashboard in dashboards.all()? {
            for tag in tags_of(&dashboard) {
                *counts.entry(tag.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(counts)
    })
    .await?;
    Ok(Json(counted.into_iter().map(|(term, count)| json!({ "term": term, "count": count })).collect()))
}

/// `GET /api/dashboards/uid/:uid`
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Path(uid): Path<String>,
) -> Answer {
    let login = login_of(&extensions)?;
    let dashboards = gateway.dashboards.clone();
    let user = login.user.clone();
    let (dashboard, starred) = blocking(move || {
        let dashboard = dashboards.get(&uid)?.ok_or_else(|| ApiError::not_found("Dashboard"))?;
        let starred = dashboards.starred(&user)?.contains(&dashboard.uid);
        Ok((dashboard, starred))
    })
    .await?;
    let slug = slug(title_of(&dashboard.model));
    let editor = login.role >= Role::Editor;
    let meta = json!({
        "type": "db",
        "slug": slug,
        "url": format!("{}/d/{}/{slug}", gateway.options.prefix(), dashboard.uid),
        "version": dashboard.version,
        "folderTitle": dashboard.folder,
        "provisioned": dashboard.provisioned,
        "updated": rfc3339(dashboard.updated_ms),
        "updatedBy": dashboard.updated_by,
        "isStarred": starred,
        "canSave": editor,
        "canEdit": editor,
        "canStar": true,
    });
    Ok(Json(json!({ "dashboard": dashboard.model, "meta": meta })))
}

#[derive(Deserialize)]
pub(crate) struct SaveRequest {
    dashboard: Value,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    overwrite: bool,
    /// Of an import: what the `${DS_…}` of the dashboard stand for.
    #[serde(default)]
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
pub(crate) struct Input {
    name: String,
    #[serde(default)]
    value: String,
}

/// `POST /api/dashboards/db`
pub(crate) async fn save(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Json(request): Json<SaveRequest>,
) -> Answer {
    let login = login_of(&extensions)?;
    login.require(Role::Editor)?;
    let dashboards = gateway.dashboards.clone();
    let SaveRequest { dashboard, message, overwrite, .. } = request;
    let message = message.unwrap_or_default();
    let save = Save { model: dashboard, message, overwrite, user: login.user };
    let saved = blocking(move || dashboards.save(save)).await?;
    let slug = slug(title_of(&saved.model));
    Ok(Json(json!({
        "uid": saved.uid,
        "version": saved.version,
        "status": "success",
        "slug": slug,
        "url": format!("{}/d/{}/{slug}", gateway.options.prefix(), saved.uid),
    })))
}

/// `POST /api/dashboards/import`: the dashboard with its inputs put in.
pub(crate) async fn import(
    state: State<Gateway>,
    extensions: Extensions,
    Json(mut request): Json<SaveRequest>,
) -> Answer {
    let replacements: Vec<(String, String)> =
        request.inputs.drain(..).map(|input| (format!("${{{}}}", input.name), input.value)).collect();
    replace(&mut request.dashboard, &replacements);
    if let Some(fields) = request.dashboard.as_object_mut() {
        fields.remove("__inputs");
        fields.remove("__requires");
    }
    save(state, extensions, Json(request)).await
}

/// serde_json refuses JSON nested deeper than 128, so this recursion is bounded.
fn replace(value: &mut Value, replacements: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (from, to) in replacements {
                if text.contains(from.as_str()) {
                    *text = text.replace(from, to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, replacements)),
        Value::Object(fields) => fields.values_mut().for_each(|item| replace(item, replacements)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `DELETE /api/dashboards/uid/:uid`
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Path(uid): Path<String>,
) -> Answer {
    login_of(&extensions)?.require(Role::Editor)?;
    let dashboards = gateway.dashboards.clone();
    let title = blocking(move || dashboards.delete(&uid)).await?;
    Ok(Json(json!({ "title": title, "message": format!("Dashboard {title} deleted") })))
}

/// `GET /api/dashboards/uid/:uid/versions`
pub(crate) async fn versions(State(gateway): State<Gateway>, Path(uid): Path<String>) -> Answer {
    let dashboards = gateway.dashboards.clone();
    let versions = blocking(move || dashboards.versions(&uid)).await?;
    let shown = versions.iter().map(|version| {
        json!({
            "uid": version.uid,
            "version": version.version,
            "created": rfc3339(version.updated_ms),
            "createdBy": version.updated_by,
            "message": version.message,
        })
    });
    Ok(Json(shown.collect()))
}

/// `GET /api/dashboards/uid/:uid/versions/:version`
pub(crate) async fn version(
    State(gateway): State<Gateway>,
    Path((uid, number)): Path<(String, u64)>,
) -> Answer {
    let dashboards = gateway.dashboards.clone();
    let versions = blocking(move || dashboards.versions(&uid)).await?;
    let found = versions.into_iter().find(|version| version.version == number);
    let found = found.ok_or_else(|| ApiError::not_found("Dashboard version"))?;
    Ok(Json(json!({ "uid": found.uid, "version": found.version, "data": found.model })))
}

#[derive(Deserialize)]
pub(crate) struct Restore {
    version: u64,
}

/// `POST /api/dashboards/uid/:uid/restore`: an old version becomes the newest.
pub(crate) async fn restore(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Path(uid): Path<String>,
    Json(restore): Json<Restore>,
) -> Answer {
    let login = login_of(&extensions)?;
    login.require(Role::Editor)?;
    let dashboards = gateway.dashboards.clone();
    let saved = blocking(move || {
        let versions = dashboards.versions(&uid)?;
        let old = versions.into_iter().find(|version| version.version == restore.version);
        let old = old.ok_or_else(|| ApiError::not_found("Dashboard version"))?;
        let message = format!("Restored from version {}", restore.version);
        dashboards.save(Save { model: old.model, message, overwrite: true, user: login.user })
    })
    .await?;
    Ok(Json(json!({ "uid": saved.uid, "version": saved.version, "status": "success" })))
}

/// `POST /api/user/stars/dashboard/uid/:uid`
pub(crate) async fn star(state: State<Gateway>, extensions: Extensions, path: Path<String>) -> Answer {
    set_star(state, extensions, path, true).await
}

/// `DELETE /api/user/stars/dashboard/uid/:uid`
pub(crate) async fn unstar(state: State<Gateway>, extensions: Extensions, path: Path<String>) -> Answer {
    set_star(state, extensions, path, false).await
}

async fn set_star(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Path(uid): Path<String>,
    on: bool,
) -> Answer {
    let login = login_of(&extensions)?;
    let dashboards = gateway.dashboards.clone();
    blocking(move || dashboards.star(&login.user, &uid, on)).await?;
    Ok(Json(json!({ "message": if on { "Dashboard starred!" } else { "Dashboard unstarred" } })))
}

fn rfc3339(ms: i64) -> String {
    format_rfc3339_ns(ms.saturating_mul(1_000_000) as TimestampNs)
}

/// Grafana's URL form of a title.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "dashboard".to_owned() } else { slug.to_owned() }
}
