//! The distribution, from os-release.

use super::{CollectError, HostContext};
use crate::files::read_text;
use crate::page::{Kind, Page};

/// Keys of os-release and the labels they become.
const LABELS: [(&str, &str); 10] = [
    ("BUILD_ID", "build_id"),
    ("ID", "id"),
    ("ID_LIKE", "id_like"),
    ("IMAGE_ID", "image_id"),
    ("IMAGE_VERSION", "image_version"),
    ("NAME", "name"),
    ("PRETTY_NAME", "pretty_name"),
    ("VARIANT", "variant"),
    ("VERSION", "version"),
    ("VERSION_ID", "version_id"),
];
const MORE_LABELS: [(&str, &str); 2] =
    [("VARIANT_ID", "variant_id"), ("VERSION_CODENAME", "version_codename")];

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let candidates = ["etc/os-release", "usr/lib/os-release"];
    let found = candidates.iter().find_map(|path| read_text(&ctx.roots.host_path(path)).ok());
    let text = found.ok_or_else(|| CollectError::NoData { what: "no os-release".to_owned() })?;
    let fields = parse(&text);
    let value = |key: &str| fields.iter().find(|field| field.0 == key).map_or("", |field| field.1.as_str());
    let labels: Vec<(&str, &str)> =
        LABELS.iter().chain(&MORE_LABELS).map(|(key, label)| (*label, value(key))).collect();
    page.family("node_os_info", Kind::Gauge, "The distribution.").add(&labels, 1.0);
    // 12, 24.04 and 3.19.1 become 12, 24.04 and 3.19.
    let version: String = value("VERSION_ID").split('.').take(2).collect::<Vec<_>>().join(".");
    if let Ok(version) = version.parse() {
        let labels = [("id", value("ID")), ("id_like", value("ID_LIKE")), ("name", value("NAME"))];
        page.family("node_os_version", Kind::Gauge, "The distribution's major.minor version.")
            .add(&labels, version);
    }
    Ok(())
}

/// `KEY=value` lines; values may stand in quotes.
fn parse(text: &str) -> Vec<(&str, String)> {
    let mut fields = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        fields.push((key, unquoted.replace("\\\"", "\"").replace("\\$", "$")));
    }
    fields
}
