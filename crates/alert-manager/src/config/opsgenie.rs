//! `opsgenie_configs`

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// An alert for Opsgenie; texts are templates.
#[derive(Clone, Debug)]
pub struct OpsgenieConfig {
    /// The key.
    pub api_key: SecretSource,
    /// The API's address.
    pub api_url: String,
    /// `message`, `description`, `source`, `entity`, `actions`, `tags`, `note`, `priority`
    pub texts: Texts,
    /// Details besides the common labels.
    pub details: Vec<(String, String)>,
    /// Who is called.
    pub responders: Vec<OpsgenieResponder>,
    /// Whether message and description follow the group.
    pub update_alerts: bool,
    /// The client.
    pub http: HttpClientConfig,
}

/// Somebody who is called; texts are templates.
#[derive(Clone, Debug)]
pub struct OpsgenieResponder {
    /// By id.
    pub id: String,
    /// By name.
    pub name: String,
    /// By the user's name.
    pub username: String,
    /// `team`, `teams`, `user`, `escalation` or `schedule`
    pub kind: String,
}

const KINDS: &[&str] = &["team", "teams", "user", "escalation", "schedule"];

impl OpsgenieConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let key = fields::secret(map, "api_key", "api_key_file")?.or_else(|| global.opsgenie_api_key.clone());
        let Some(api_key) = key else {
            return Err(map.error("no global OpsGenie API Key set either inline or in a file"));
        };
        Ok(Self {
            api_key,
            api_url: fields::api_url(map, "api_url", Some(&global.opsgenie_api_url), "OpsGenie")?,
            texts: Texts::read(
                map,
                &[
                    ("message", r#"{{ template "opsgenie.default.message" . }}"#),
                    ("description", r#"{{ template "opsgenie.default.description" . }}"#),
                    ("source", r#"{{ template "opsgenie.default.source" . }}"#),
                    ("entity", ""),
                    ("actions", ""),
                    ("tags", ""),
                    ("note", ""),
                    ("priority", ""),
                ],
            )?,
            details: fields::templates(map, "details")?,
            responders: map.read_or("responders", Vec::new(), |list| list.list_of(read_responder))?,
            update_alerts: map.read_or("update_alerts", false, Node::bool)?,
            http: fields::http(map, &global.http)?,
        })
    }
}

fn read_responder(node: &Node) -> Result<OpsgenieResponder, Reported> {
    let map = node.map()?;
    let text = |key: &str| fields::template(&map, key, "");
    let responder = OpsgenieResponder {
        id: text("id")?,
        name: text("name")?,
        username: text("username")?,
        kind: text("type")?,
    };
    map.finish()?;
    if responder.id.is_empty() && responder.name.is_empty() && responder.username.is_empty() {
        return Err(node.error("responder has to have at least one of id, username or name specified"));
    }
    let kind = responder.kind.to_lowercase();
    if !kind.contains("{{") && !KINDS.contains(&kind.as_str()) {
        return Err(node.error(format_args!("responder type {kind:?} is none of {}", KINDS.join(", "))));
    }
    Ok(responder)
}
