//! `victorops_configs`

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// An incident for VictorOps; texts are templates.
#[derive(Clone, Debug)]
pub struct VictoropsConfig {
    /// The key; a part of the URL.
    pub api_key: SecretSource,
    /// The endpoint.
    pub api_url: String,
    /// `routing_key`, `message_type`, `state_message`, `entity_display_name`, `monitoring_tool`
    pub texts: Texts,
    /// Further fields.
    pub custom_fields: Vec<(String, String)>,
    /// The client.
    pub http: HttpClientConfig,
}

/// Fields that are ours.
const RESERVED: &[&str] = &[
    "routing_key",
    "message_type",
    "state_message",
    "entity_display_name",
    "monitoring_tool",
    "entity_id",
    "entity_state",
];

impl VictoropsConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        if map.read_or("routing_key", String::new(), Node::string)?.is_empty() {
            return Err(map.error("missing Routing key in VictorOps config"));
        }
        let key =
            fields::secret(map, "api_key", "api_key_file")?.or_else(|| global.victorops_api_key.clone());
        let Some(api_key) = key else {
            return Err(map.error("no global VictorOps API Key set"));
        };
        let custom_fields = fields::templates(map, "custom_fields")?;
        if let Some((name, _)) = custom_fields.iter().find(|(name, _)| RESERVED.contains(&name.as_str())) {
            return Err(map.error(format_args!("custom field {name} conflicts with the field of that name")));
        }
        Ok(Self {
            api_key,
            api_url: fields::api_url(map, "api_url", Some(&global.victorops_api_url), "VictorOps")?,
            texts: Texts::read(
                map,
                &[
                    ("routing_key", ""),
                    ("message_type", "CRITICAL"),
                    ("state_message", r#"{{ template "victorops.default.state_message" . }}"#),
                    ("entity_display_name", r#"{{ template "victorops.default.entity_display_name" . }}"#),
                    ("monitoring_tool", r#"{{ template "victorops.default.monitoring_tool" . }}"#),
                ],
            )?,
            custom_fields,
            http: fields::http(map, &global.http)?,
        })
    }
}
