//! A receiver and its integrations.

use std::collections::BTreeMap;

use config::{Map, Node, Reported};

use super::chat::{DiscordConfig, MsTeamsV2Config, TelegramConfig};
use super::email::EmailConfig;
use super::global::Global;
use super::pagerduty::PagerdutyConfig;
use super::slack::SlackConfig;
use super::webhook::WebhookConfig;

/// Where notifications go.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// All of these are told.
    pub integrations: Vec<Integration>,
}

/// One way to tell somebody.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its place among those of its kind in the receiver.
    pub idx: usize,
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How.
    pub kind: IntegrationKind,
}

/// The kinds of integrations.
#[derive(Clone, Debug)]
pub enum IntegrationKind {
    /// `webhook_configs`
    Webhook(WebhookConfig),
    /// `email_configs`
    Email(Box<EmailConfig>),
    /// `slack_configs`
    Slack(Box<SlackConfig>),
    /// `pagerduty_configs`
    Pagerduty(Box<PagerdutyConfig>),
    /// `telegram_configs`
    Telegram(TelegramConfig),
    /// `discord_configs`
    Discord(DiscordConfig),
    /// `msteamsv2_configs`
    MsTeamsV2(MsTeamsV2Config),
}

impl IntegrationKind {
    /// The kind's name, as in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::Slack(_) => "slack",
            Self::Pagerduty(_) => "pagerduty",
            Self::Telegram(_) => "telegram",
            Self::Discord(_) => "discord",
            Self::MsTeamsV2(_) => "msteamsv2",
        }
    }
}

/// Kinds that the original has and we have not.
const NOT_BUILT: &[&str] = &[
    "opsgenie_configs",
    "victorops_configs",
    "pushover_configs",
    "wechat_configs",
    "sns_configs",
    "webex_configs",
    "msteams_configs",
    "jira_configs",
    "rocketchat_configs",
    "mattermost_configs",
    "incidentio_configs",
];

impl Receiver {
    pub(super) fn read(node: &Node, global: &Global) -> Result<Self, Reported> {
        let map = node.map()?;
        let name = map.read_or("name", String::new(), Node::string)?;
        if name.is_empty() {
            return Err(node.error("missing name in receiver"));
        }
        let labels: BTreeMap<String, String> =
            map.read_or("labels", Vec::new(), Node::string_pairs)?.into_iter().collect();
        if labels.get("name").is_some_and(|label| *label != name) {
            return Err(node.error(format_args!("label \"name\" must be the receiver's name {name:?}")));
        }
        let mut integrations = Vec::new();
        read_kind(&map, "webhook_configs", true, &mut integrations, |map| {
            WebhookConfig::read(map, global).map(IntegrationKind::Webhook)
        })?;
        read_kind(&map, "email_configs", false, &mut integrations, |map| {
            EmailConfig::read(map, global).map(|config| IntegrationKind::Email(Box::new(config)))
        })?;
        read_kind(&map, "pagerduty_configs", true, &mut integrations, |map| {
            PagerdutyConfig::read(map, global).map(|config| IntegrationKind::Pagerduty(Box::new(config)))
        })?;
        read_kind(&map, "slack_configs", false, &mut integrations, |map| {
            SlackConfig::read(map, global).map(|config| IntegrationKind::Slack(Box::new(config)))
        })?;
        read_kind(&map, "telegram_configs", true, &mut integrations, |map| {
            TelegramConfig::read(map, global).map(IntegrationKind::Telegram)
        })?;
        read_kind(&map, "discord_configs", true, &mut integrations, |map| {
            DiscordConfig::read(map, global).map(IntegrationKind::Discord)
        })?;
        read_kind(&map, "msteamsv2_configs", true, &mut integrations, |map| {
            MsTeamsV2Config::read(map, global).map(IntegrationKind::MsTeamsV2)
        })?;
        map.not_built(NOT_BUILT)?;
        map.finish()?;
        Ok(Self { name, labels, integrations })
    }
}

fn read_kind(
    map: &Map,
    key: &str,
    send_resolved: bool,
    integrations: &mut Vec<Integration>,
    read: impl Fn(&Map) -> Result<IntegrationKind, Reported>,
) -> Result<(), Reported> {
    let Some(list) = map.optional(key) else {
        return Ok(());
    };
    for (idx, node) in list.list()?.into_iter().enumerate() {
        if node.is_null() {
            return Err(node.error("an integration must not be null"));
        }
        let inner = node.map()?;
        let send_resolved = inner.read_or("send_resolved", send_resolved, Node::bool)?;
        let kind = read(&inner)?;
        inner.finish()?;
        integrations.push(Integration { idx, send_resolved, kind });
    }
    Ok(())
}
