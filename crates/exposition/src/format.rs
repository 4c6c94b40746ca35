//! Formats, the content types that name them, and what a scraper asks for.

use std::fmt;

/// A format, as `scrape_protocols` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `PrometheusText0.0.4`
    Text004,
    /// `PrometheusText1.0.0`
    Text100,
    /// `OpenMetricsText0.0.1`
    OpenMetrics001,
    /// `OpenMetricsText1.0.0`
    OpenMetrics100,
    /// `PrometheusProto`
    Protobuf,
}

impl Format {
    const ALL: [Self; 5] =
        [Self::Protobuf, Self::OpenMetrics100, Self::OpenMetrics001, Self::Text100, Self::Text004];

    /// Reads a name as `scrape_protocols` has it; case matters.
    pub fn from_protocol_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.protocol_name() == name)
    }

    /// The name in `scrape_protocols`.
    pub fn protocol_name(self) -> &'static str {
        match self {
            Self::Text004 => "PrometheusText0.0.4",
            Self::Text100 => "PrometheusText1.0.0",
            Self::OpenMetrics001 => "OpenMetricsText0.0.1",
            Self::OpenMetrics100 => "OpenMetricsText1.0.0",
            Self::Protobuf => "PrometheusProto",
        }
    }

    /// The content type of a body in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Self::Text100 => "text/plain; version=1.0.0; charset=utf-8",
            Self::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Whether this is one of OpenMetrics' versions.
    pub fn is_open_metrics(self) -> bool {
        matches!(self, Self::OpenMetrics001 | Self::OpenMetrics100)
    }

    /// The format that a `Content-Type` names; `fallback` where it is missing or names none.
    ///
    /// # Errors
    /// Where there is no fallback.
    pub fn from_content_type(
        content_type: Option<&str>,
        fallback: Option<Self>,
    ) -> Result<Self, UnknownContentType> {
        let found = content_type.and_then(Self::parse_content_type);
        found.or(fallback).ok_or_else(|| UnknownContentType(content_type.map(str::to_owned)))
    }

    fn parse_content_type(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let parameter = |name: &str| {
            text.split(';').skip(1).find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        let version = parameter("version");
        if media.eq_ignore_ascii_case("text/plain") {
            return Some(if version.as_deref() == Some("1.0.0") { Self::Text100 } else { Self::Text004 });
        }
        if media.eq_ignore_ascii_case("application/openmetrics-text") {
            let first = version.as_deref() == Some("0.0.1");
            return Some(if first { Self::OpenMetrics001 } else { Self::OpenMetrics100 });
        }
        let family = parameter("proto").as_deref() == Some("io.prometheus.client.MetricFamily");
        let protobuf = media.eq_ignore_ascii_case("application/vnd.google.protobuf");
        (protobuf && family).then_some(Self::Protobuf)
    }
}

/// A body whose format is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownContentType(pub Option<String>);

impl fmt::Display for UnknownContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(found) => write!(f, "unknown content type {found:?}")?,
            None => f.write_str("no content type")?,
        }
        f.write_str("; set fallback_scrape_protocol for a target that does not say its format")
    }
}

impl std::error::Error for UnknownContentType {}

/// How a scraper wants names outside `[a-zA-Z0-9_:]` written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// As they are.
    #[default]
    AllowUtf8,
    /// Every invalid character as `_`.
    Underscores,
    /// `.` as `_dot_`, `_` as `__`.
    Dots,
    /// With the prefix `U__` and code points.
    Values,
}

impl Escaping {
    /// The name in `metric_name_escaping_scheme` and in content types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|escaping| escaping.as_str() == name)
    }
}

/// The `Accept` header of a scrape: `formats` in order of preference, then anything.
pub fn accept_header(formats: &[Format], escaping: Escaping) -> String {
    let mut out = String::new();
    let mut weight = 6;
    for format in formats {
        let content_type = format.content_type();
        let content_type = content_type.strip_suffix("; charset=utf-8").unwrap_or(content_type);
        out.push_str(&content_type.replace("; ", ";"));
        if matches!(format, Format::Text100 | Format::OpenMetrics100) {
            out.push_str(";escaping=");
            out.push_str(escaping.as_str());
        }
        out.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    out.push_str(&format!("*/*;q=0.{}", weight.max(1)));
    out
}

/// The text format that a client asks for by its `Accept` header: OpenMetrics where it prefers that, else 0.0.4.
pub fn negotiate(accept: &str) -> Format {
    let mut best = (0.0, Format::Text004);
    for part in accept.split(',') {
        let Some(format) = Format::parse_content_type(part.trim()) else {
            continue;
        };
        let weight = part.split(';').skip(1).find_map(|p| p.trim().strip_prefix("q=")?.trim().parse().ok());
        let weight: f64 = weight.unwrap_or(1.0);
        if format != Format::Protobuf && weight > best.0 {
            best = (weight, format);
        }
    }
    match best.1 {
        Format::Text100 => Format::Text004,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_name_formats() {
        for (content_type, format) in [
            ("text/plain", Some(Format::Text004)),
            ("text/plain; version=0.0.4; charset=utf-8; escaping=underscores", Some(Format::Text004)),
            ("text/plain;version=1.0.0", Some(Format::Text100)),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics100)),
            ("application/openmetrics-text;version=0.0.1", Some(Format::OpenMetrics001)),
            (Format::Protobuf.content_type(), Some(Format::Protobuf)),
            ("application/vnd.google.protobuf", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Format::from_content_type(Some(content_type), None).ok(), format, "{content_type}");
            let fallback = Format::from_content_type(Some(content_type), Some(Format::Text100));
            assert_eq!(fallback, Ok(format.unwrap_or(Format::Text100)));
        }
        assert!(Format::from_content_type(None, None).is_err());
    }

    #[test]
    fn the_accept_header_lists_protocols_by_preference() {
        let formats = [Format::OpenMetrics100, Format::OpenMetrics001, Format::Text100, Format::Text004];
        assert_eq!(
            accept_header(&formats, Escaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(negotiate(&accept_header(&formats, Escaping::AllowUtf8)), Format::OpenMetrics100);
        assert_eq!(negotiate("*/*"), Format::Text004);
        assert_eq!(negotiate("text/plain;q=0.9,application/openmetrics-text;q=0.5"), Format::Text004);
    }
}
