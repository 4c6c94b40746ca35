//! TOML into the same tree.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::place::{Place, Position};
use crate::problem::ConfigErrors;
use crate::tree::{Entry, Raw, Scalar, Value};
use crate::yaml_tree::Limits;

/// Reads TOML. Numbers, booleans and dates keep their text; whoever reads a node decides its type.
pub(crate) fn parse(file: &Arc<str>, text: &str, limits: Limits) -> Result<Raw, ConfigErrors> {
    let place =
        |position: Position| Place { file: Arc::clone(file), line: position.line, column: position.column };
    if text.len() > limits.bytes_max {
        let message = format!("the file has {} bytes, at most {} are read", text.len(), limits.bytes_max);
        return Err(ConfigErrors::one(place(Position::default()), message));
    }
    let lines = Lines::new(text);
    let table = DeTable::parse(text).map_err(|error| {
        let position = error.span().map_or(Position::default(), |span| lines.position(span.start));
        ConfigErrors::one(place(position), format!("not valid TOML: {}", error.message().replace('\n', "; ")))
    })?;
    let position = Position { line: 1, column: 1 };
    Ok(Raw::new(position, map(&lines, table.get_ref())))
}

fn map(lines: &Lines<'_>, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().as_ref().into(),
            position: lines.position(key.span().start),
            value: node(lines, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.position);
    Value::Map(entries)
}

/// The parser refuses deep nesting, so this recursion is bounded.
fn node(lines: &Lines<'_>, value: &Spanned<DeValue<'_>>) -> Raw {
    let plain = |text: &str| Value::Scalar(Scalar { text: text.into(), quoted: false });
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::Scalar(Scalar { text: text.as_ref().into(), quoted: true }),
        DeValue::Integer(number) => {
            let prefix = match number.radix() {
                16 => "0x",
                8 => "0o",
                2 => "0b",
                _ => "",
            };
            plain(&format!("{prefix}{}", number.as_str()))
        }
        DeValue::Float(number) => plain(number.as_str()),
        DeValue::Boolean(flag) => plain(if *flag { "true" } else { "false" }),
        DeValue::Datetime(date) => plain(&date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(lines, item)).collect()),
        DeValue::Table(table) => map(lines, table),
    };
    Raw::new(lines.position(value.span().start), converted)
}

struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Position { line: line as u32, column: column as u32 }
    }
}
