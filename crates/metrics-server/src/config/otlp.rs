//! `otlp`: how OpenTelemetry's metrics become series.

use ::config::{Node, Reported};
use relabel::NameScheme;

use crate::otlp::{Settings, Strategy};

/// Reads the block.
pub(super) fn read(node: &Node, scheme: NameScheme) -> Result<Settings, Reported> {
    let map = node.map()?;
    let attributes = |node: &Node| {
        let mut found: Vec<String> = Vec::new();
        for item in node.list()? {
            let attribute = item.string()?;
            let attribute = attribute.trim();
            if attribute.is_empty() || found.iter().any(|known| known == attribute) {
                return Err(item.error("empty or duplicated resource attribute"));
            }
            found.push(attribute.to_owned());
        }
        Ok(found)
    };
    let strategy = map.read_or("translation_strategy", Strategy::default(), |node| {
        node.one_of(&[
            ("UnderscoreEscapingWithSuffixes", Strategy::EscapedWithSuffixes),
            ("NoUTF8EscapingWithSuffixes", Strategy::Utf8WithSuffixes),
            ("UnderscoreEscapingWithoutSuffixes", Strategy::Escaped),
            ("NoTranslation", Strategy::Untranslated),
            ("", Strategy::EscapedWithSuffixes),
        ])
    })?;
    let needs_utf8 = matches!(strategy, Strategy::Utf8WithSuffixes | Strategy::Untranslated);
    if needs_utf8 && scheme == NameScheme::Legacy {
        return Err(map
            .error("translation_strategy leaves names as they are, which legacy validation does not allow"));
    }
    let settings = Settings {
        strategy,
        promoted: map.read_or("promote_resource_attributes", Vec::new(), attributes)?,
        promote_all: map.read_or("promote_all_resource_attributes", false, Node::bool)?,
        ignored: map.read_or("ignore_resource_attributes", Vec::new(), attributes)?,
        keep_identifying: map.read_or("keep_identifying_resource_attributes", false, Node::bool)?,
        histograms_to_custom_buckets: map.read_or("convert_histograms_to_nhcb", false, Node::bool)?,
        promote_scope: map.read_or("promote_scope_metadata", false, Node::bool)?,
        sanitize_underscore: map.read_or("label_name_underscore_sanitization", true, Node::bool)?,
        ..Settings::default()
    };
    if !map.read_or("label_name_preserve_multiple_underscores", true, Node::bool)? {
        return Err(map.error("label_name_preserve_multiple_underscores: false is known but not built yet"));
    }
    if settings.promote_all && !settings.promoted.is_empty() {
        return Err(
            map.error("promote_all_resource_attributes cannot be set beside promote_resource_attributes")
        );
    }
    if !settings.promote_all && !settings.ignored.is_empty() {
        return Err(map.error("ignore_resource_attributes needs promote_all_resource_attributes"));
    }
    map.finish()?;
    Ok(settings)
}
