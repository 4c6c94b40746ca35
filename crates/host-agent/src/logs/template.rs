//! Templates of the configuration: `{{ field }}`, `{{ a.b }}`, `{{ label."com.docker.compose.service" }}`, strftime's `%F`.

use super::line::Field;

/// A template in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Vec<String>),
    /// Text with strftime's `%` directives, which stand for the line's time.
    Time(String),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template {template:?}: {what}")]
pub(crate) struct TemplateError {
    template: String,
    what: &'static str,
}

/// Where a template's fields come from.
pub(crate) trait Fields {
    /// A field by name.
    fn field(&self, name: &str) -> Option<&Field>;
    /// The message, which is not among the fields.
    fn message(&self) -> &str;
    /// The line's time.
    fn timestamp_ns(&self) -> i64;
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let fail = |what| TemplateError { template: text.to_owned(), what };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            push_text(&mut parts, &rest[..open]);
            let inner = &rest[open + 2..];
            let close = inner.find("}}").ok_or_else(|| fail("`{{` without `}}`"))?;
            let path = parse_path(inner[..close].trim())
                .ok_or_else(|| fail("a field's name is expected in `{{ }}`"))?;
            parts.push(Part::Field(path));
            rest = &inner[close + 2..];
        }
        push_text(&mut parts, rest);
        for part in &parts {
            if let Part::Time(format) = part
                && render_time(format, 0).is_none()
            {
                return Err(fail("a % directive that is not known; write %% for a percent sign"));
            }
        }
        Ok(Self { parts, source: text.to_owned() })
    }

    /// The template as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it comes out the same for all lines of a source.
    pub(crate) fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Field(path) => path[0] != "message" && path[0] != "timestamp",
            Part::Time(_) => false,
        })
    }

    /// The text before the first field, where that is all of it but one field: `host1/` of `host1/{{ container_name }}`.
    pub(crate) fn prefix_of_field(&self, name: &str) -> Option<&str> {
        match &self.parts[..] {
            [Part::Text(prefix), Part::Field(path)] if path.len() == 1 && path[0] == name => Some(prefix),
            _ => None,
        }
    }

    /// The text for a line; `None` where a field is missing.
    pub(crate) fn render(&self, fields: &dyn Fields) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Time(format) => out.push_str(&render_time(format, fields.timestamp_ns())?),
                Part::Field(path) => render_field(path, fields, &mut out)?,
            }
        }
        Some(out)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if text.contains('%') {
        parts.push(Part::Time(text.to_owned()));
    } else if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn render_time(format: &str, timestamp_ns: i64) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(timestamp_ns)).ok()?;
    jiff::fmt::strtime::format(format, &time.to_zoned(jiff::tz::TimeZone::UTC)).ok()
}

fn render_field(path: &[String], fields: &dyn Fields, out: &mut String) -> Option<()> {
    match path {
        [name] if name == "message" => out.push_str(fields.message()),
        [name] => match fields.field(name)? {
            Field::Text(text) => out.push_str(text),
            Field::Map(_) => return None,
        },
        [name, rest @ ..] => match fields.field(name)? {
            // A label's own dots may stand without quotes.
            Field::Map(map) => out.push_str(map.get(&rest.join("."))?),
            Field::Text(_) => return None,
        },
        [] => return None,
    }
    Some(())
}

/// `a.b`, `.a.b`, `label."x.y"`.
fn parse_path(text: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text.strip_prefix('.').unwrap_or(text);
    loop {
        let (segment, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if segment.is_empty() || segment.contains(['{', '}', ' ']) {
            return None;
        }
        path.push(segment.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(path),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Event(BTreeMap<String, Field>);

    impl Fields for Event {
        fn field(&self, name: &str) -> Option<&Field> {
            self.0.get(name)
        }

        fn message(&self) -> &str {
            "hello"
        }

        fn timestamp_ns(&self) -> i64 {
            86_400_000_000_000
        }
    }

    #[test]
    fn templates_are_rendered() {
        let labels = BTreeMap::from([("com.docker.compose.service".to_owned(), "web".to_owned())]);
        let event = Event(BTreeMap::from([
            ("container_name".to_owned(), Field::Text("c1".to_owned())),
            ("label".to_owned(), Field::Map(labels)),
        ]));
        for (template, expected) in [
            ("host1/{{ container_name }}", Some("host1/c1")),
            ("{{container_name}}-{{ .container_name }}", Some("c1-c1")),
            ("{{ label.\"com.docker.compose.service\" }}", Some("web")),
            ("{{ label.com.docker.compose.service }}", Some("web")),
            ("{{ message }}", Some("hello")),
            ("%Y-%m-%d", Some("1970-01-02")),
            ("{{ missing }}", None),
            ("{{ label }}", None),
            ("{{ container_name.x }}", None),
            ("plain", Some("plain")),
        ] {
            let got = Template::parse(template).unwrap().render(&event);
            assert_eq!(got.as_deref(), expected, "{template}");
        }
        for wrong in ["{{ a", "{{ }}", "{{ a b }}", "{{ a. }}", "%!"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        let blog = Template::parse("host1/{{ container_name }}").unwrap();
        assert_eq!((blog.prefix_of_field("container_name"), blog.is_fixed()), (Some("host1/"), true));
        assert!(!Template::parse("{{ message }}").unwrap().is_fixed());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]
        #[test]
        fn no_template_panics(text in "[{}a.%\"F ]{0,16}") {
            if let Ok(template) = Template::parse(&text) {
                template.render(&Event(BTreeMap::new()));
            }
        }
    }
}
