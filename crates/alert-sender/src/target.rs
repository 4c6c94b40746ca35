//! From discovered targets to the URLs of Alertmanagers.

use discovery::{ADDRESS_LABEL, TargetGroup};
use http_client::Url;
use model::LabelsBuilder;

use crate::config::AlertmanagerConfig;

/// The URLs to post to, and those that rules dropped.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Targets {
    pub(crate) active: Vec<Url>,
    pub(crate) dropped: Vec<String>,
}

impl Targets {
    pub(crate) fn from_groups(groups: &[TargetGroup], config: &AlertmanagerConfig) -> Self {
        let mut targets = Self::default();
        for group in groups {
            for target in &group.targets {
                let mut labels = LabelsBuilder::from_labels(&group.labels);
                for (name, value) in target.iter() {
                    labels.set(name, value);
                }
                labels
                    .set("__scheme__", &config.scheme)
                    .set("__alerts_path__", &alerts_path(&config.path_prefix));
                let before = url(&labels);
                if !relabel::apply(&config.relabel, &mut labels) {
                    targets.dropped.push(before);
                    continue;
                }
                match Url::parse(&url(&labels)) {
                    Ok(url) if url.has_host() && !targets.active.contains(&url) => targets.active.push(url),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(url = %url(&labels), error = %error, "alertmanager target is not a URL");
                    }
                }
            }
        }
        targets
    }
}

fn url(labels: &LabelsBuilder) -> String {
    let part = |name| labels.get(name).unwrap_or_default();
    format!("{}://{}{}", part("__scheme__"), part(ADDRESS_LABEL), part("__alerts_path__"))
}

fn alerts_path(prefix: &str) -> String {
    let parts = prefix.split('/').filter(|part| !part.is_empty());
    let mut path: String = parts.map(|part| format!("/{part}")).collect();
    path.push_str("/api/v2/alerts");
    path
}
