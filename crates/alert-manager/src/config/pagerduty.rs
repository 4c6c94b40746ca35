//! `pagerduty_configs`

use std::collections::BTreeMap;
use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields;
use super::global::Global;

/// Which API is spoken.
#[derive(Clone, Debug)]
pub enum PagerdutyKey {
    /// Events API v2.
    Routing(SecretSource),
    /// The generic API, v1.
    Service(SecretSource),
}

/// An event for PagerDuty; texts are templates.
#[derive(Clone, Debug)]
pub struct PagerdutyConfig {
    /// The key.
    pub key: PagerdutyKey,
    /// Where to post to.
    pub url: String,
    /// Who monitors.
    pub client: String,
    /// Where that can be seen.
    pub client_url: String,
    /// The summary.
    pub description: String,
    /// Further fields.
    pub details: BTreeMap<String, String>,
    /// Images.
    pub images: Vec<PagerdutyImage>,
    /// Links.
    pub links: Vec<PagerdutyLink>,
    /// What is affected.
    pub source: String,
    /// How bad it is.
    pub severity: String,
    /// The class of the event.
    pub class: String,
    /// The component.
    pub component: String,
    /// The group.
    pub group: String,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// The client.
    pub http: HttpClientConfig,
}

/// An image; texts are templates.
#[derive(Clone, Debug)]
pub struct PagerdutyImage {
    /// Its address.
    pub src: String,
    /// Its text.
    pub alt: String,
    /// Where it leads.
    pub href: String,
}

/// A link; texts are templates.
#[derive(Clone, Debug)]
pub struct PagerdutyLink {
    /// Where it leads.
    pub href: String,
    /// Its text.
    pub text: String,
}

impl PagerdutyConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let routing = fields::secret(map, "routing_key", "routing_key_file")?;
        let service = fields::secret(map, "service_key", "service_key_file")?;
        let key = match (routing, service) {
            (Some(key), None) => PagerdutyKey::Routing(key),
            (None, Some(key)) => PagerdutyKey::Service(key),
            (None, None) => return Err(map.error("missing service or routing key in PagerDuty config")),
            (Some(_), Some(_)) => {
                return Err(map.error("at most one of routing_key and service_key must be configured"));
            }
        };
        let default_url = match &key {
            PagerdutyKey::Routing(_) => global.pagerduty_url.clone(),
            PagerdutyKey::Service(_) => {
                "https://events.pagerduty.com/generic/2010-04-15/create_event.json".to_owned()
            }
        };
        let text = |key: &str, default: &str| fields::template(map, key, default);
        let client = text("client", r#"{{ template "pagerduty.default.client" . }}"#)?;
        Ok(Self {
            key,
            url: map.read_or("url", default_url, Node::non_empty_string)?,
            source: text("source", &client)?,
            client,
            client_url: text("client_url", r#"{{ template "pagerduty.default.clientURL" . }}"#)?,
            description: text("description", r#"{{ template "pagerduty.default.description" . }}"#)?,
            details: map.read_or("details", BTreeMap::new(), |node| {
                node.map()?.entries().into_iter().map(|(k, v)| Ok((k, fields::template_node(&v)?))).collect()
            })?,
            images: map.read_or("images", Vec::new(), |list| list.list_of(read_image))?,
            links: map.read_or("links", Vec::new(), |list| list.list_of(read_link))?,
            severity: text("severity", "error")?,
            class: text("class", "")?,
            component: text("component", "")?,
            group: text("group", "")?,
            timeout: fields::timeout(map)?,
            http: fields::http(map, &global.http)?,
        })
    }
}

fn read_image(node: &Node) -> Result<PagerdutyImage, Reported> {
    let map = node.map()?;
    let text = |key: &str| fields::template(&map, key, "");
    let image = PagerdutyImage { src: text("src")?, alt: text("alt")?, href: text("href")? };
    map.finish()?;
    Ok(image)
}

fn read_link(node: &Node) -> Result<PagerdutyLink, Reported> {
    let map = node.map()?;
    let text = |key: &str| fields::template(&map, key, "");
    let link = PagerdutyLink { href: text("href")?, text: text("text")? };
    map.finish()?;
    Ok(link)
}
