//! A receiver and its integrations.

use std::collections::BTreeMap;
use std::time::Duration;

use config::{Map, Node, Reported};
use http_client::HttpClientConfig;

use super::chat::{DiscordConfig, MsTeamsConfig, MsTeamsV2Config, TelegramConfig, WebexConfig};
use super::email::EmailConfig;
use super::global::Global;
use super::incidentio::IncidentioConfig;
use super::jira::JiraConfig;
use super::mattermost::MattermostConfig;
use super::opsgenie::OpsgenieConfig;
use super::pagerduty::PagerdutyConfig;
use super::pushover::PushoverConfig;
use super::rocketchat::RocketchatConfig;
use super::slack::SlackConfig;
use super::sns::SnsConfig;
use super::victorops::VictoropsConfig;
use super::webhook::WebhookConfig;
use super::wechat::WechatConfig;

/// Where notifications go.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Who is told where this one cannot be reached.
    pub fallback: Option<Fallback>,
    /// All of these are told.
    pub integrations: Vec<Integration>,
}

/// Who takes over, and after how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The other receiver.
    pub receiver: String,
    /// For how long a notification does not arrive.
    pub after: Duration,
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
    /// `opsgenie_configs`
    Opsgenie(Box<OpsgenieConfig>),
    /// `victorops_configs`
    Victorops(Box<VictoropsConfig>),
    /// `pushover_configs`
    Pushover(Box<PushoverConfig>),
    /// `wechat_configs`
    Wechat(Box<WechatConfig>),
    /// `sns_configs`
    Sns(Box<SnsConfig>),
    /// `webex_configs`
    Webex(Box<WebexConfig>),
    /// `msteams_configs`
    MsTeams(Box<MsTeamsConfig>),
    /// `jira_configs`
    Jira(Box<JiraConfig>),
    /// `rocketchat_configs`
    Rocketchat(Box<RocketchatConfig>),
    /// `mattermost_configs`
    Mattermost(Box<MattermostConfig>),
    /// `incidentio_configs`
    Incidentio(Box<IncidentioConfig>),
}

impl IntegrationKind {
    /// The HTTP client's block; mail has none.
    pub fn http(&self) -> Option<&HttpClientConfig> {
        match self {
            Self::Webhook(config) => Some(&config.http),
            Self::Email(_) => None,
            Self::Slack(config) => Some(&config.http),
            Self::Pagerduty(config) => Some(&config.http),
            Self::Telegram(config) => Some(&config.http),
            Self::Discord(config) => Some(&config.http),
            Self::MsTeamsV2(config) => Some(&config.http),
            Self::Opsgenie(config) => Some(&config.http),
            Self::Victorops(config) => Some(&config.http),
            Self::Pushover(config) => Some(&config.http),
            Self::Wechat(config) => Some(&config.http),
            Self::Sns(config) => Some(&config.http),
            Self::Webex(config) => Some(&config.http),
            Self::MsTeams(config) => Some(&config.http),
            Self::Jira(config) => Some(&config.http),
            Self::Rocketchat(config) => Some(&config.http),
            Self::Mattermost(config) => Some(&config.http),
            Self::Incidentio(config) => Some(&config.http),
        }
    }

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
            Self::Opsgenie(_) => "opsgenie",
            Self::Victorops(_) => "victorops",
            Self::Pushover(_) => "pushover",
            Self::Wechat(_) => "wechat",
            Self::Sns(_) => "sns",
            Self::Webex(_) => "webex",
            Self::MsTeams(_) => "msteams",
            Self::Jira(_) => "jira",
            Self::Rocketchat(_) => "rocketchat",
            Self::Mattermost(_) => "mattermost",
            Self::Incidentio(_) => "incidentio",
        }
    }
}

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
        let fallback = map.read("fallback", read_fallback)?;
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
        read_further(&map, global, &mut integrations)?;
        map.finish()?;
        if fallback.as_ref().is_some_and(|fallback| fallback.receiver == name) {
            return Err(node.error("a receiver cannot be its own fallback"));
        }
        Ok(Self { name, labels, fallback, integrations })
    }
}

fn read_fallback(node: &Node) -> Result<Fallback, Reported> {
    let map = node.map()?;
    let fallback = Fallback {
        receiver: map.required("receiver")?.non_empty_string()?,
        after: map.read_or("after", Duration::from_secs(900), Node::duration)?,
    };
    map.finish()?;
    Ok(fallback)
}

/// The kinds that fewer have.
fn read_further(map: &Map, global: &Global, integrations: &mut Vec<Integration>) -> Result<(), Reported> {
    read_kind(map, "opsgenie_configs", true, integrations, |map| {
        OpsgenieConfig::read(map, global).map(|config| IntegrationKind::Opsgenie(Box::new(config)))
    })?;
    read_kind(map, "victorops_configs", true, integrations, |map| {
        VictoropsConfig::read(map, global).map(|config| IntegrationKind::Victorops(Box::new(config)))
    })?;
    read_kind(map, "pushover_configs", true, integrations, |map| {
        PushoverConfig::read(map, global).map(|config| IntegrationKind::Pushover(Box::new(config)))
    })?;
    read_kind(map, "wechat_configs", false, integrations, |map| {
        WechatConfig::read(map, global).map(|config| IntegrationKind::Wechat(Box::new(config)))
    })?;
    read_kind(map, "sns_configs", true, integrations, |map| {
        SnsConfig::read(map, global).map(|config| IntegrationKind::Sns(Box::new(config)))
    })?;
    read_kind(map, "webex_configs", true, integrations, |map| {
        WebexConfig::read(map, global).map(|config| IntegrationKind::Webex(Box::new(config)))
    })?;
    read_kind(map, "msteams_configs", true, integrations, |map| {
        MsTeamsConfig::read(map, global).map(|config| IntegrationKind::MsTeams(Box::new(config)))
    })?;
    read_kind(map, "jira_configs", true, integrations, |map| {
        JiraConfig::read(map, global).map(|config| IntegrationKind::Jira(Box::new(config)))
    })?;
    read_kind(map, "rocketchat_configs", false, integrations, |map| {
        RocketchatConfig::read(map, global).map(|config| IntegrationKind::Rocketchat(Box::new(config)))
    })?;
    read_kind(map, "mattermost_configs", true, integrations, |map| {
        MattermostConfig::read(map, global).map(|config| IntegrationKind::Mattermost(Box::new(config)))
    })?;
    read_kind(map, "incidentio_configs", true, integrations, |map| {
        IncidentioConfig::read(map, global).map(|config| IntegrationKind::Incidentio(Box::new(config)))
    })?;
    Ok(())
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
