//! `email_configs`

use std::collections::BTreeMap;

use config::{Map, Node, Reported};
use http_client::{SecretSource, TlsClientConfig};

use super::fields;
use super::global::{Global, smarthost};

/// A mail.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    /// The recipients; a template.
    pub to: String,
    /// The sender; a template.
    pub from: String,
    /// What we call ourselves.
    pub hello: String,
    /// `host:port`
    pub smarthost: String,
    /// The user; none: no authentication.
    pub auth_username: Option<String>,
    /// The password of PLAIN and LOGIN.
    pub auth_password: Option<SecretSource>,
    /// The secret of CRAM-MD5.
    pub auth_secret: Option<SecretSource>,
    /// On whose behalf, for PLAIN.
    pub auth_identity: Option<String>,
    /// Headers by name as written; templates.
    pub headers: BTreeMap<String, String>,
    /// The HTML part; a template.
    pub html: String,
    /// The text part; a template.
    pub text: String,
    /// Whether STARTTLS must be offered.
    pub require_tls: bool,
    /// Certificates.
    pub tls: TlsClientConfig,
    /// Whether TLS comes first, whatever the port.
    pub force_implicit_tls: Option<bool>,
    /// Whether mails of a group make a thread, and whether a new one begins each day.
    pub threading: Option<ThreadByDate>,
}

/// `threading.thread_by_date`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadByDate {
    /// One thread for ever.
    None,
    /// A thread each day.
    Daily,
}

impl EmailConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let defaults = &global.smtp;
        let to = fields::template(map, "to", "")?;
        if to.is_empty() {
            return Err(map.error("missing to address in email config"));
        }
        let from = match map.optional("from") {
            Some(node) => Some(fields::template_node(&node)?),
            None => defaults.from.clone(),
        };
        let smarthost = map.read("smarthost", smarthost)?.or_else(|| defaults.smarthost.clone());
        let headers = read_headers(map)?;
        let threading = map.read("threading", read_threading)?.flatten();
        let custom = |name: &str| headers.keys().any(|key| key.eq_ignore_ascii_case(name));
        if threading.is_some() && (custom("References") || custom("In-Reply-To")) {
            return Err(map.error("threading cannot be used with custom References or In-Reply-To headers"));
        }
        let password = fields::secret(map, "auth_password", "auth_password_file")?;
        let secret = fields::secret(map, "auth_secret", "auth_secret_file")?;
        let identity = map.read("auth_identity", Node::string)?;
        Ok(Self {
            to,
            from: from.ok_or_else(|| map.error("no global SMTP from set"))?,
            smarthost: smarthost.ok_or_else(|| map.error("no global SMTP smarthost set"))?,
            hello: map.read_or("hello", defaults.hello.clone(), Node::string)?,
            auth_username: map
                .read("auth_username", Node::string)?
                .or_else(|| defaults.auth_username.clone())
                .filter(|name| !name.is_empty()),
            auth_password: password.or_else(|| defaults.auth_password.clone()),
            auth_secret: secret.or_else(|| defaults.auth_secret.clone()),
            auth_identity: identity.or_else(|| defaults.auth_identity.clone()),
            headers,
            html: fields::template(map, "html", r#"{{ template "email.default.html" . }}"#)?,
            text: fields::template(map, "text", "")?,
            require_tls: map.read_or("require_tls", defaults.require_tls, Node::bool)?,
            tls: map.read_or("tls_config", defaults.tls.clone(), TlsClientConfig::read)?,
            force_implicit_tls: map.read("force_implicit_tls", Node::bool)?.or(defaults.force_implicit_tls),
            threading,
        })
    }
}

fn read_headers(map: &Map) -> Result<BTreeMap<String, String>, Reported> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let Some(node) = map.optional("headers") else {
        return Ok(headers);
    };
    for (name, value) in node.map()?.entries() {
        if headers.keys().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(value.error(format_args!("duplicate header {name:?} in email config")));
        }
        headers.insert(name, fields::template_node(&value)?);
    }
    Ok(headers)
}

fn read_threading(node: &Node) -> Result<Option<ThreadByDate>, Reported> {
    let map = node.map()?;
    let enabled = map.read_or("enabled", false, Node::bool)?;
    let words = [("none", ThreadByDate::None), ("daily", ThreadByDate::Daily)];
    let by_date = map.read_or("thread_by_date", ThreadByDate::Daily, |node| node.one_of(&words))?;
    map.finish()?;
    Ok(enabled.then_some(by_date))
}
