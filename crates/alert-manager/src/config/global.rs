//! `global`: defaults for all receivers.

use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource, TlsClientConfig};

use super::fields;

/// What is set for all receivers.
#[derive(Clone, Debug)]
pub struct Global {
    /// How long an alert without an end is believed.
    pub resolve_timeout: Duration,
    /// The HTTP client of receivers that set none.
    pub http: HttpClientConfig,
    /// Mail settings.
    pub smtp: SmtpDefaults,
    /// Slack's webhook.
    pub slack_api_url: Option<SecretSource>,
    /// Slack's app token.
    pub slack_app_token: Option<SecretSource>,
    /// Slack's API for app tokens.
    pub slack_app_url: String,
    /// PagerDuty's Events API v2.
    pub pagerduty_url: String,
    /// Telegram's API.
    pub telegram_api_url: String,
    /// Telegram's bot.
    pub telegram_bot_token: Option<SecretSource>,
    /// Opsgenie's API.
    pub opsgenie_api_url: String,
    /// Opsgenie's key.
    pub opsgenie_api_key: Option<SecretSource>,
    /// WeChat's API.
    pub wechat_api_url: String,
    /// WeChat's secret.
    pub wechat_api_secret: Option<SecretSource>,
    /// WeChat's company.
    pub wechat_api_corp_id: String,
    /// VictorOps' endpoint.
    pub victorops_api_url: String,
    /// VictorOps' key.
    pub victorops_api_key: Option<SecretSource>,
    /// Webex' messages.
    pub webex_api_url: String,
    /// Rocket.Chat's server.
    pub rocketchat_api_url: String,
    /// Rocket.Chat's token.
    pub rocketchat_token: Option<SecretSource>,
    /// The user that Rocket.Chat's token is of.
    pub rocketchat_token_id: Option<SecretSource>,
    /// Jira's API.
    pub jira_api_url: Option<String>,
    /// Mattermost's incoming webhook.
    pub mattermost_webhook_url: Option<SecretSource>,
}

/// `smtp_*`
#[derive(Clone, Debug)]
pub struct SmtpDefaults {
    /// The sender.
    pub from: Option<String>,
    /// What we call ourselves.
    pub hello: String,
    /// `host:port`
    pub smarthost: Option<String>,
    /// The user.
    pub auth_username: Option<String>,
    /// The password.
    pub auth_password: Option<SecretSource>,
    /// The secret of CRAM-MD5.
    pub auth_secret: Option<SecretSource>,
    /// The identity of PLAIN.
    pub auth_identity: Option<String>,
    /// Whether STARTTLS must be offered.
    pub require_tls: bool,
    /// Certificates.
    pub tls: TlsClientConfig,
    /// Whether TLS comes first, whatever the port.
    pub force_implicit_tls: Option<bool>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            resolve_timeout: Duration::from_secs(300),
            http: HttpClientConfig::default(),
            smtp: SmtpDefaults {
                from: None,
                hello: "localhost".to_owned(),
                smarthost: None,
                auth_username: None,
                auth_password: None,
                auth_secret: None,
                auth_identity: None,
                require_tls: true,
                tls: TlsClientConfig::default(),
                force_implicit_tls: None,
            },
            slack_api_url: None,
            slack_app_token: None,
            slack_app_url: "https://slack.com/api/chat.postMessage".to_owned(),
            pagerduty_url: "https://events.pagerduty.com/v2/enqueue".to_owned(),
            telegram_api_url: "https://api.telegram.org".to_owned(),
            telegram_bot_token: None,
            opsgenie_api_url: "https://api.opsgenie.com/".to_owned(),
            opsgenie_api_key: None,
            wechat_api_url: "https://qyapi.weixin.qq.com/cgi-bin/".to_owned(),
            wechat_api_secret: None,
            wechat_api_corp_id: String::new(),
            victorops_api_url: "https://alert.victorops.com/integrations/generic/20131114/alert/".to_owned(),
            victorops_api_key: None,
            webex_api_url: "https://webexapis.com/v1/messages".to_owned(),
            rocketchat_api_url: "https://open.rocket.chat/".to_owned(),
            rocketchat_token: None,
            rocketchat_token_id: None,
            jira_api_url: None,
            mattermost_webhook_url: None,
        }
    }
}

impl Global {
    pub(super) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let mut global = Self::default();
        map.set(&mut global.resolve_timeout, "resolve_timeout", Node::duration);
        global.http = fields::http(&map, &HttpClientConfig::default())?;
        let smtp = &mut global.smtp;
        map.set_some(&mut smtp.from, "smtp_from", Node::string);
        map.set(&mut smtp.hello, "smtp_hello", Node::string);
        map.set_some(&mut smtp.smarthost, "smtp_smarthost", smarthost);
        map.set_some(&mut smtp.auth_username, "smtp_auth_username", Node::string);
        smtp.auth_password = fields::secret(&map, "smtp_auth_password", "smtp_auth_password_file")?;
        smtp.auth_secret = fields::secret(&map, "smtp_auth_secret", "smtp_auth_secret_file")?;
        map.set_some(&mut smtp.auth_identity, "smtp_auth_identity", Node::string);
        map.set(&mut smtp.require_tls, "smtp_require_tls", Node::bool);
        map.set(&mut smtp.tls, "smtp_tls_config", TlsClientConfig::read);
        map.set_some(&mut smtp.force_implicit_tls, "smtp_force_implicit_tls", Node::bool);
        global.slack_api_url = fields::secret(&map, "slack_api_url", "slack_api_url_file")?;
        global.slack_app_token = fields::secret(&map, "slack_app_token", "slack_app_token_file")?;
        map.set(&mut global.slack_app_url, "slack_app_url", Node::non_empty_string);
        map.set(&mut global.pagerduty_url, "pagerduty_url", Node::non_empty_string);
        map.set(&mut global.telegram_api_url, "telegram_api_url", Node::non_empty_string);
        global.telegram_bot_token = fields::secret(&map, "telegram_bot_token", "telegram_bot_token_file")?;
        if global.slack_api_url.is_some() && global.slack_app_token.is_some() {
            return Err(map.error("at most one of slack_api_url and slack_app_token must be configured"));
        }
        global.read_further(&map)?;
        map.finish()?;
        Ok(global)
    }

    fn read_further(&mut self, map: &Map) -> Result<(), Reported> {
        map.set(&mut self.opsgenie_api_url, "opsgenie_api_url", fields::url);
        map.set(&mut self.wechat_api_url, "wechat_api_url", fields::url);
        map.set(&mut self.wechat_api_corp_id, "wechat_api_corp_id", Node::string);
        map.set(&mut self.victorops_api_url, "victorops_api_url", fields::url);
        map.set(&mut self.webex_api_url, "webex_api_url", fields::url);
        map.set(&mut self.rocketchat_api_url, "rocketchat_api_url", fields::url);
        map.set_some(&mut self.jira_api_url, "jira_api_url", fields::url);
        let secret = |key: &str| fields::secret(map, key, &format!("{key}_file"));
        self.opsgenie_api_key = secret("opsgenie_api_key")?;
        self.wechat_api_secret = secret("wechat_api_secret")?;
        self.victorops_api_key = secret("victorops_api_key")?;
        self.rocketchat_token = secret("rocketchat_token")?;
        self.rocketchat_token_id = secret("rocketchat_token_id")?;
        self.mattermost_webhook_url = secret("mattermost_webhook_url")?;
        Ok(())
    }
}

/// `host:port`
pub(super) fn smarthost(node: &Node) -> Result<String, Reported> {
    let text = node.string()?;
    match text.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok(text),
        _ => Err(node.error(format_args!("address {text}: port missing"))),
    }
}
