//! What a gateway is told at its start.

use std::path::{Path, PathBuf};

use config::Secret;
use service::Failure;
use url::Url;

use crate::users::Role;

/// The gateway's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen, `:3000`.
    pub listen_address: String,
    /// The flag that sets it, for errors.
    pub listen_flag: &'static str,
    /// The directory for users, sessions and dashboards.
    pub data_dir: PathBuf,
    /// The URL under which browsers reach the gateway, where it is not the top of a host.
    pub external_url: Option<Url>,
    /// The metrics server.
    pub metrics_url: Url,
    /// The log server.
    pub logs_url: Url,
    /// The alert manager.
    pub alerts_url: Url,
    /// Agents whose reports the Status page shows.
    pub agent_urls: Vec<Url>,
    /// Directories of dashboards in Grafana's JSON, the first one that has a uid wins.
    pub dashboard_dirs: Vec<PathBuf>,
    /// The first user's name.
    pub admin_user: String,
    /// Its password, set at every start; `None` generates one at the first.
    pub admin_password: Option<Secret>,
    /// What may be seen without logging in.
    pub anonymous: Option<Role>,
    /// Prometheus' web configuration file, for TLS.
    pub web_config: Option<PathBuf>,
}

impl Options {
    /// The settings for servers beside the gateway on one machine.
    pub fn local(data_dir: &Path) -> Self {
        let local = |port: u16| {
            let text = format!("http://127.0.0.1:{port}");
            Url::parse(&text).expect("a URL with a literal address and a port is valid")
        };
        Self {
            listen_address: ":3000".to_owned(),
            listen_flag: "--web.listen-address",
            data_dir: data_dir.to_owned(),
            external_url: None,
            metrics_url: local(9090),
            logs_url: local(3100),
            alerts_url: local(9093),
            agent_urls: vec![local(8080)],
            dashboard_dirs: Vec::new(),
            admin_user: "admin".to_owned(),
            admin_password: None,
            anonymous: None,
            web_config: None,
        }
    }

    /// The path under which the gateway lies, without a slash at its end: `` or `/monitoring`.
    pub(crate) fn prefix(&self) -> String {
        self.external_url.as_ref().map_or(String::new(), |url| url.path().trim_end_matches('/').to_owned())
    }

    /// Whether browsers come by TLS.
    pub(crate) fn secure(&self) -> bool {
        self.external_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

/// Reads an upstream's URL from a flag.
pub(crate) fn parse_url(flag: &str, text: &str) -> Result<Url, Failure> {
    let fail = |why: &str| Failure::usage(format!("{flag}: {text:?} {why}"));
    let url = Url::parse(text).map_err(|error| fail(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(fail("is not an http or https URL with a host"));
    }
    Ok(url)
}
