//! Trees of any form whose texts are templates: a webhook's own payload, a ticket's own fields.

use config::{Document, Kind, Node, Reported};
use serde_json::{Map, Value};

use super::template_node;

/// A tree as it stands in the file; its texts are rendered when it is sent.
#[derive(Clone, Debug)]
pub enum Tree {
    /// Nothing.
    Null,
    /// A text, number or boolean: what it is shows once it is rendered.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A map; its keys are templates, too.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads a tree; its texts are checked.
    pub(in crate::config) fn read(node: &Node) -> Result<Self, Reported> {
        Ok(match node.kind() {
            Kind::Null => Self::Null,
            Kind::Scalar => Self::Text(template_node(node)?),
            Kind::List => Self::List(node.list_of(Self::read)?),
            Kind::Map => {
                let entries = node.map()?.entries().into_iter();
                Self::Map(
                    entries.map(|(key, value)| Ok((key, Self::read(&value)?))).collect::<Result<_, _>>()?,
                )
            }
        })
    }

    /// The tree with its texts rendered. A text that is then YAML for something else than a text is taken for that.
    pub(crate) fn render<E>(&self, text: &impl Fn(&str) -> Result<String, E>) -> Result<Value, E> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Text(template) => typed(text(template)?),
            Self::List(items) => {
                items.iter().map(|item| item.render(text)).collect::<Result<Vec<_>, E>>()?.into()
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    map.insert(text(key)?, value.render(text)?);
                }
                map.into()
            }
        })
    }
}

fn typed(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::String(_)) => return text.into(),
        Ok(value) => return value,
        Err(_) => {}
    }
    let Ok(document) = Document::parse_yaml("rendered text", &text) else {
        return text.into();
    };
    match plain(&document.root()) {
        Value::String(_) => text.into(),
        value => value,
    }
}

/// A node without a schema: what an unquoted scalar looks like is what it is.
fn plain(node: &Node) -> Value {
    match node.kind() {
        Kind::Null => Value::Null,
        Kind::Scalar => {
            let text = node.text().unwrap_or_default();
            match text {
                _ if node.is_quoted() => text.into(),
                "true" | "True" | "TRUE" => true.into(),
                "false" | "False" | "FALSE" => false.into(),
                _ => number(text).unwrap_or_else(|| text.into()),
            }
        }
        Kind::List => node.list().map(|items| items.iter().map(plain).collect()).unwrap_or_default(),
        Kind::Map => match node.map() {
            Ok(map) => map.entries().iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
            Err(_) => Value::Null,
        },
    }
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    // `inf` and `nan` are words.
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let float: f64 = text.parse().ok().filter(|_| is_number)?;
    serde_json::Number::from_f64(float).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_texts_are_what_they_look_like() {
        for (text, expected) in [
            ("5", Value::from(5)),
            ("5.5", 5.5.into()),
            ("true", true.into()),
            ("plain", "plain".into()),
            ("\"5\"", "\"5\"".into()),
            ("", Value::Null),
            ("inf", "inf".into()),
            ("{\"a\": \"5\", \"b\": [1]}", serde_json::json!({ "a": "5", "b": [1] })),
            ("a: '5'\nb: 6", serde_json::json!({ "a": "5", "b": 6 })),
            ("- 1\n- x", serde_json::json!([1, "x"])),
            ("not: [closed", "not: [closed".into()),
        ] {
            assert_eq!(typed(text.to_owned()), expected, "{text:?}");
        }
    }
}
