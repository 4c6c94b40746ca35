//! `alertmanager.yml`: read strictly, checked, with defaults applied.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use config::{ConfigErrors, Document, Map, Node, Reported, Warning};

use crate::matchers::MatcherMode;
use crate::time_interval::TimeInterval;

mod chat;
mod email;
mod fields;
pub(crate) use fields::expose;
mod global;
mod incidentio;
mod inhibit;
mod intervals;
mod jira;
mod mattermost;
mod opsgenie;
mod pagerduty;
mod pushover;
mod receiver;
mod rocketchat;
mod route;
mod slack;
mod sns;
mod victorops;
mod webhook;
mod wechat;

pub use chat::{DiscordConfig, MsTeamsConfig, MsTeamsV2Config, TelegramChat, TelegramConfig, WebexConfig};
pub use email::{EmailConfig, ThreadByDate};
pub use fields::{Texts, Tree};
pub use global::Global;
pub use incidentio::IncidentioConfig;
pub use inhibit::InhibitRule;
pub use jira::{JiraApi, JiraConfig, JiraField};
pub use mattermost::{MattermostAttachment, MattermostConfig, MattermostPriority};
pub use opsgenie::{OpsgenieConfig, OpsgenieResponder};
pub use pagerduty::{PagerdutyConfig, PagerdutyKey};
pub use pushover::PushoverConfig;
pub use receiver::{Fallback, Integration, IntegrationKind, Receiver};
pub use rocketchat::RocketchatConfig;
pub use route::{GroupBy, Route};
pub use slack::{SlackAction, SlackAuth, SlackConfig};
pub use sns::{Sigv4Config, SnsConfig};
pub use victorops::VictoropsConfig;
pub use webhook::WebhookConfig;
pub use wechat::WechatConfig;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Config {
    /// What is set for all receivers.
    pub global: Global,
    /// The routing tree: the root is at 0, children are indexes.
    pub routes: Vec<Route>,
    /// The receivers by name.
    pub receivers: Vec<Receiver>,
    /// The inhibition rules.
    pub inhibit_rules: Vec<InhibitRule>,
    /// The named time intervals.
    pub intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// Patterns of template files, relative ones taken from the file's directory.
    pub templates: Vec<String>,
    /// The file with its secrets masked.
    pub masked: String,
    /// What was accepted with a remark.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads and checks a file. Blocks.
    pub fn load(path: &Path, mode: MatcherMode) -> Result<Self, ConfigErrors> {
        Self::read(&Document::load(path)?, mode)
    }

    /// Reads and checks a text; relative paths are taken from the directory of `file`.
    pub fn parse(file: &str, text: &str, mode: MatcherMode) -> Result<Self, ConfigErrors> {
        Self::read(&Document::parse_yaml(file, text)?, mode)
    }

    fn read(document: &Document, mode: MatcherMode) -> Result<Self, ConfigErrors> {
        let loaded = document.read(|root| Self::read_root(root, mode))?;
        let mut config = loaded.value;
        config.masked = document.to_masked_yaml();
        config.warnings = loaded.warnings;
        Ok(config)
    }

    fn read_root(root: &Node, mode: MatcherMode) -> Result<Self, Reported> {
        let map = root.map()?;
        let global = match map.optional("global") {
            Some(node) => Global::read(&node)?,
            None => Global::default(),
        };
        let receivers = read_receivers(&map, &global)?;
        let intervals = intervals::read(&map)?;
        let names: HashSet<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        let fallbacks = receivers.iter().filter_map(|receiver| receiver.fallback.as_ref());
        if let Some(unknown) = fallbacks.map(|one| &one.receiver).find(|name| !names.contains(name.as_str()))
        {
            return Err(map.error(format_args!("undefined receiver {unknown:?} used as fallback")));
        }
        let Some(route) = map.optional("route") else {
            return Err(map.error("no route provided in config"));
        };
        let routes = route::read(&route, mode)?;
        route::check(&routes, &names, &intervals)?;
        let inhibit_rules = map.read_or("inhibit_rules", Vec::new(), |list| {
            list.list_of(|node| InhibitRule::read(node, mode))
        })?;
        let templates = map.read_or("templates", Vec::new(), |list| {
            list.list_of(|node| node.file_path().map(|path| path.display().to_string()))
        })?;
        map.without_meaning(&["tracing"], "traces go where OTEL_EXPORTER_OTLP_ENDPOINT says");
        map.not_built(&["event_recorder"])?;
        map.finish()?;
        Ok(Self {
            global,
            routes: routes.into_iter().map(|read| read.route).collect(),
            receivers,
            inhibit_rules,
            intervals,
            templates,
            masked: String::new(),
            warnings: Vec::new(),
        })
    }

    /// The receiver of that name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    /// The names of receivers that some route names.
    pub fn used_receivers(&self) -> HashSet<&str> {
        let mut used: HashSet<&str> = self.routes.iter().map(|route| route.receiver.as_str()).collect();
        let fallbacks = self.receivers.iter().filter(|receiver| used.contains(receiver.name.as_str()));
        let fallbacks: Vec<&str> =
            fallbacks.filter_map(|receiver| Some(receiver.fallback.as_ref()?.receiver.as_str())).collect();
        used.extend(fallbacks);
        used
    }

    /// The files that the template patterns name, sorted within each pattern. Blocks.
    pub fn template_files(&self) -> std::io::Result<Vec<std::path::PathBuf>> {
        let mut files = Vec::new();
        for pattern in &self.templates {
            files.extend(crate::glob::expand(Path::new(pattern))?);
        }
        Ok(files)
    }
}

fn read_receivers(map: &Map, global: &Global) -> Result<Vec<Receiver>, Reported> {
    let mut names = HashSet::new();
    map.read_or("receivers", Vec::new(), |list| {
        list.list_of(|node| {
            let receiver = Receiver::read(node, global)?;
            if !names.insert(receiver.name.clone()) {
                return Err(
                    node.error(format_args!("notification config name {:?} is not unique", receiver.name))
                );
            }
            Ok(receiver)
        })
    })
}

#[cfg(test)]
mod tests;
