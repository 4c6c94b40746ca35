//! `jira_configs`

use std::time::Duration;

use config::{Kind, Map, Node, Reported};
use http_client::HttpClientConfig;

use super::fields::{self, Texts, Tree};
use super::global::Global;

/// A ticket in Jira; texts are templates.
#[derive(Clone, Debug)]
pub struct JiraConfig {
    /// The API's address, with its version.
    pub api_url: String,
    /// Which API is spoken.
    pub api_type: JiraApi,
    /// `project`, `issue_type`, `priority`
    pub texts: Texts,
    /// The ticket's title.
    pub summary: JiraField,
    /// The ticket's text.
    pub description: JiraField,
    /// Labels.
    pub labels: Vec<String>,
    /// The transition that opens a ticket again.
    pub reopen_transition: String,
    /// The transition that closes a ticket.
    pub resolve_transition: String,
    /// Tickets closed in this way are left alone.
    pub wont_fix_resolution: String,
    /// For how long a closed ticket is opened again.
    pub reopen_duration: Duration,
    /// Further fields.
    pub fields: Vec<(String, Tree)>,
    /// The client.
    pub http: HttpClientConfig,
}

/// The kinds of Jira.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JiraApi {
    /// By the host's name.
    Auto,
    /// Atlassian's.
    Cloud,
    /// One's own.
    Datacenter,
}

/// A field that may be kept as it was first written.
#[derive(Clone, Debug)]
pub struct JiraField {
    /// The text.
    pub template: String,
    /// Whether it is written again when the group changes.
    pub enable_update: bool,
}

impl JiraConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let texts = Texts::read(
            map,
            &[
                ("project", ""),
                ("issue_type", ""),
                ("priority", r#"{{ template "jira.default.priority" . }}"#),
            ],
        )?;
        for key in ["project", "issue_type"] {
            if texts.get(key).is_empty() {
                return Err(map.error(format_args!("missing {key} in jira_config")));
            }
        }
        let text = |key: &str| map.read_or(key, String::new(), Node::string);
        let field = |key: &str| {
            let default = format!("{{{{ template \"jira.default.{key}\" . }}}}");
            map.read_or(key, JiraField { template: default.clone(), enable_update: true }, |node| {
                read_field(node, &default)
            })
        };
        Ok(Self {
            api_url: fields::api_url(map, "api_url", global.jira_api_url.as_deref(), "Jira Cloud")?,
            api_type: map.read_or("api_type", JiraApi::Auto, |node| {
                node.one_of(&[
                    ("auto", JiraApi::Auto),
                    ("cloud", JiraApi::Cloud),
                    ("datacenter", JiraApi::Datacenter),
                ])
            })?,
            texts,
            summary: field("summary")?,
            description: field("description")?,
            labels: map.read_or("labels", Vec::new(), |list| list.list_of(fields::template_node))?,
            reopen_transition: text("reopen_transition")?,
            resolve_transition: text("resolve_transition")?,
            wont_fix_resolution: text("wont_fix_resolution")?,
            reopen_duration: map.read_or("reopen_duration", Duration::ZERO, Node::duration)?,
            fields: map.read_or("fields", Vec::new(), |node| {
                let entries = node.map()?.entries().into_iter();
                entries.map(|(key, value)| Ok((key, Tree::read(&value)?))).collect()
            })?,
            http: fields::http(map, &global.http)?,
        })
    }
}

/// A text, or a text with a switch.
fn read_field(node: &Node, default: &str) -> Result<JiraField, Reported> {
    if node.kind() != Kind::Map {
        return Ok(JiraField { template: fields::template_node(node)?, enable_update: true });
    }
    let map = node.map()?;
    let field = JiraField {
        template: fields::template(&map, "template", default)?,
        enable_update: map.read_or("enable_update", true, Node::bool)?,
    };
    map.finish()?;
    Ok(field)
}
