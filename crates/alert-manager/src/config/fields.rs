//! Forms that several blocks share.

use std::time::Duration;

use config::{Map, Node, Reported, Secret};
use http_client::{HttpClientConfig, SecretSource};

use crate::templates;

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
