//! `wechat_configs`

use config::{Map, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// A message in WeChat; texts are templates.
#[derive(Clone, Debug)]
pub struct WechatConfig {
    /// The application's secret.
    pub api_secret: SecretSource,
    /// The API's address.
    pub api_url: String,
    /// `corp_id`, `message`, `to_user`, `to_party`, `to_tag`, `agent_id`
    pub texts: Texts,
    /// Whether the message is Markdown; else plain text.
    pub is_markdown: bool,
    /// The client.
    pub http: HttpClientConfig,
}

impl WechatConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let secret = fields::secret(map, "api_secret", "api_secret_file")?;
        let Some(api_secret) = secret.or_else(|| global.wechat_api_secret.clone()) else {
            return Err(map.error("no global Wechat Api Secret set either inline or in a file"));
        };
        let texts = Texts::read(
            map,
            &[
                ("corp_id", &global.wechat_api_corp_id),
                ("message", r#"{{ template "wechat.default.message" . }}"#),
                ("to_user", r#"{{ template "wechat.default.to_user" . }}"#),
                ("to_party", r#"{{ template "wechat.default.to_party" . }}"#),
                ("to_tag", r#"{{ template "wechat.default.to_tag" . }}"#),
                ("agent_id", r#"{{ template "wechat.default.agent_id" . }}"#),
            ],
        )?;
        if texts.get("corp_id").is_empty() {
            return Err(map.error("no global Wechat CorpID set"));
        }
        Ok(Self {
            api_secret,
            api_url: fields::api_url(map, "api_url", Some(&global.wechat_api_url), "Wechat")?,
            texts,
            is_markdown: map.read_or("message_type", false, |node| {
                node.one_of(&[("", false), ("text", false), ("markdown", true)])
            })?,
            http: fields::http(map, &global.http)?,
        })
    }
}
