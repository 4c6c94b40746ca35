//! Forms that several blocks share.

use std::time::Duration;

use config::{Map, Node, Reported, Secret};
use http_client::{HttpClientConfig, SecretSource};

use crate::templates;

mod tree;

pub use tree::Tree;

/// `x` or `x_file`: a secret in place or in a file.
pub(super) fn secret(map: &Map, key: &str, file_key: &str) -> Result<Option<SecretSource>, Reported> {
    map.at_most_one(&[key, file_key])?;
    if let Some(secret) = map.read(key, Node::secret)?.filter(|secret| !secret.is_empty()) {
        return Ok(Some(SecretSource::Inline(secret)));
    }
    let path = map.read(file_key, Node::file_path)?.filter(|path| !path.as_os_str().is_empty());
    Ok(path.map(SecretSource::File))
}

/// A text that may be a template; checked.
pub(super) fn template(map: &Map, key: &str, default: &str) -> Result<String, Reported> {
    map.read_or(key, default.to_owned(), template_node)
}

/// A text that may be a template; checked.
pub(super) fn template_node(node: &Node) -> Result<String, Reported> {
    let text = node.string()?;
    templates::check(&text).map_err(|error| node.error(error))?;
    Ok(text)
}

/// Texts by key; each may be a template.
#[derive(Clone, Debug, Default)]
pub struct Texts(Vec<(&'static str, String)>);

impl Texts {
    /// Reads keys that have these defaults; checked.
    pub(super) fn read(map: &Map, keys: &[(&'static str, &str)]) -> Result<Self, Reported> {
        let read = keys.iter().map(|(key, default)| Ok((*key, template(map, key, default)?)));
        read.collect::<Result<Vec<_>, Reported>>().map(Self)
    }

    pub(super) fn push(&mut self, key: &'static str, text: String) {
        self.0.push((key, text));
    }

    /// The text of a key; empty where there is none.
    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == key).map_or("", |(_, text)| text)
    }

    /// All keys with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, text)| (*key, text.as_str()))
    }
}

/// A map whose values are templates; checked.
pub(super) fn templates(map: &Map, key: &str) -> Result<Vec<(String, String)>, Reported> {
    map.read_or(key, Vec::new(), |node| {
        node.map()?.entries().into_iter().map(|(name, value)| Ok((name, template_node(&value)?))).collect()
    })
}

/// The address of an API; checked. It ends with a slash where paths are put behind it.
pub(super) fn api_url(map: &Map, key: &str, default: Option<&str>, what: &str) -> Result<String, Reported> {
    let url = map.read(key, url)?.or_else(|| default.map(str::to_owned));
    url.ok_or_else(|| map.error(format_args!("no {what} URL set, neither here nor in global")))
}

/// An http or https URL.
pub(super) fn url(node: &Node) -> Result<String, Reported> {
    let text = node.string()?;
    match http_client::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text),
        Ok(url) => Err(node.error(format_args!("unsupported scheme {:?} for URL", url.scheme()))),
        Err(error) => Err(node.error(format_args!("{text:?} is no URL: {error}"))),
    }
}

/// `http_config`, or the one that is set for all.
pub(super) fn http(map: &Map, global: &HttpClientConfig) -> Result<HttpClientConfig, Reported> {
    map.read_or("http_config", global.clone(), |node| {
        let inner = node.map()?;
        let client = HttpClientConfig::read_inline(&inner)?;
        inner.finish()?;
        Ok(client)
    })
}

/// A duration of zero means that none is set.
pub(super) fn timeout(map: &Map) -> Result<Option<Duration>, Reported> {
    Ok(map.read("timeout", Node::duration)?.filter(|timeout| !timeout.is_zero()))
}

/// A secret's text, read from its file where it stands in one. Blocks.
pub(crate) fn expose(source: &SecretSource) -> std::io::Result<String> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.expose().to_owned()),
        SecretSource::File(path) => Ok(Secret::read_file(path)?.expose().to_owned()),
    }
}
