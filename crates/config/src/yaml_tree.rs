//! YAML events into the tree, within bounds.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::place::{Place, Position};
use crate::problem::{ConfigError, ConfigErrors};
use crate::tree::{Entry, Raw, Scalar, Value};

/// Bounds of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub bytes_max: usize,
    /// Nesting of lists and maps.
    pub depth_max: usize,
    /// Nodes of the tree with all aliases followed.
    pub nodes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, depth_max: 100, nodes_max: 5_000_000 }
    }
}

/// A list or map that is not yet complete.
enum Open {
    List { position: Position, anchor: usize, items: Vec<Raw> },
    Map { position: Position, anchor: usize, entries: Vec<Entry>, key: Option<Key>, merges: Vec<Raw> },
}

enum Key {
    Name(Arc<str>, Position),
    Merge,
}

pub(crate) struct Builder<'a> {
    file: &'a Arc<str>,
    limits: Limits,
    open: Vec<Open>,
    anchors: HashMap<usize, Raw>,
    errors: Vec<ConfigError>,
    documents: usize,
    nodes: u64,
    pub(crate) root: Option<Raw>,
    pub(crate) later_document: Option<Position>,
}

/// Reads the first document of `text`; an empty one is null. Also the place of a second document, if there is one.
pub(crate) fn parse(
    file: &Arc<str>,
    text: &str,
    limits: Limits,
) -> Result<(Raw, Option<Position>), ConfigErrors> {
    let whole = Place { file: Arc::clone(file), line: 0, column: 0 };
    if text.len() > limits.bytes_max {
        let message = format!("the file has {} bytes, at most {} are read", text.len(), limits.bytes_max);
        return Err(ConfigErrors::one(whole, message));
    }
    let mut builder = Builder {
        file,
        limits,
        open: Vec::new(),
        anchors: HashMap::new(),
        errors: Vec::new(),
        documents: 0,
        nodes: 0,
        root: None,
        later_document: None,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.event(event, position(&span)),
            Err(error) => {
                let marker = error.marker();
                let place = Position { line: marker.line() as u32, column: marker.col() as u32 + 1 };
                Err(builder.error(place, format!("not valid YAML: {}", error.info())))
            }
        };
        if let Err(error) = step {
            builder.errors.push(error);
            break;
        }
    }
    if !builder.errors.is_empty() {
        return Err(ConfigErrors { errors: builder.errors });
    }
    let root = builder.root.unwrap_or_else(|| Raw::null(Position { line: 1, column: 1 }));
    Ok((root, builder.later_document))
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line() as u32, column: span.start.col() as u32 + 1 }
}

impl Builder<'_> {
    fn error(&self, position: Position, message: String) -> ConfigError {
        let place = Place { file: Arc::clone(self.file), line: position.line, column: position.column };
        ConfigError { place, key: String::new(), message }
    }

    fn event(&mut self, event: Event<'_>, position: Position) -> Result<(), ConfigError> {
        if let Event::DocumentStart(_) = event {
            self.documents += 1;
            if self.documents == 2 {
                self.later_document = Some(position);
            }
        }
        if self.documents > 1 {
            return Ok(());
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), position)
            }
            Event::Alias(anchor) => {
                let shared = self.anchors.get(&anchor).cloned();
                let raw = shared.ok_or_else(|| {
                    self.error(position, "an alias may not stand inside its own anchor".to_owned())
                })?;
                self.complete(Raw { position, ..raw }, 0)
            }
            Event::SequenceStart(anchor, _) => {
                self.push(Open::List { position, anchor, items: Vec::new() }, position)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, key, merges) = (Vec::new(), None, Vec::new());
                self.push(Open::Map { position, anchor, entries, key, merges }, position)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn push(&mut self, open: Open, position: Position) -> Result<(), ConfigError> {
        if self.open.len() >= self.limits.depth_max {
            let message = format!("nested more than {} deep", self.limits.depth_max);
            return Err(self.error(position, message));
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(self.error(position, "a key must be a plain text".to_owned()));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), ConfigError> {
        match self.open.pop() {
            Some(Open::List { position, anchor, items }) => {
                self.complete(Raw::new(position, Value::List(items)), anchor)
            }
            Some(Open::Map { position, anchor, mut entries, merges, .. }) => {
                for merge in merges {
                    self.merge(&mut entries, &merge)?;
                }
                self.complete(Raw::new(position, Value::Map(entries)), anchor)
            }
            None => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        position: Position,
    ) -> Result<(), ConfigError> {
        let string_tag =
            tag.is_some_and(|tag| tag.suffix == "str" || (tag.handle.is_empty() && tag.suffix == "!"));
        let quoted = style != ScalarStyle::Plain || string_tag;
        if let Some(Open::Map { entries, key: slot @ None, .. }) = self.open.last_mut() {
            if !quoted && text == "<<" {
                *slot = Some(Key::Merge);
                return Ok(());
            }
            let first = entries.iter().find(|entry| &*entry.key == text).map(|entry| entry.position);
            *slot = Some(Key::Name(text.into(), position));
            if let Some(first) = first {
                let error = self
                    .error(position, format!("key {text:?} is given twice, first in line {}", first.line));
                self.errors.push(error);
            }
            return Ok(());
        }
        self.complete(Raw::new(position, Value::Scalar(Scalar { text: text.into(), quoted })), anchor)
    }

    /// Puts a complete node where it belongs.
    fn complete(&mut self, raw: Raw, anchor: usize) -> Result<(), ConfigError> {
        self.nodes = self.nodes.saturating_add(match &*raw.value {
            // An alias brings its whole subtree; a list or map has had its nodes counted one by one.
            Value::List(_) | Value::Map(_) if anchor == 0 && self.is_alias(&raw) => raw.weight,
            _ => 1,
        });
        if self.nodes > self.limits.nodes_max {
            let message = format!("more than {} nodes, aliases followed", self.limits.nodes_max);
            return Err(self.error(raw.position, message));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, raw.clone());
        }
        let position = raw.position;
        match self.open.last_mut() {
            None => self.root = Some(raw),
            Some(Open::List { items, .. }) => items.push(raw),
            Some(Open::Map { entries, key, merges, .. }) => match key.take() {
                Some(Key::Name(key, position)) => entries.push(Entry { key, position, value: raw }),
                Some(Key::Merge) => merges.push(raw),
                None => return Err(self.error(position, "a key must be a plain text".to_owned())),
            },
        }
        Ok(())
    }

    fn is_alias(&self, raw: &Raw) -> bool {
        Arc::strong_count(&raw.value) > 1
    }

    /// Adds what `<<` brings; keys that are there already win.
    fn merge(&mut self, entries: &mut Vec<Entry>, merge: &Raw) -> Result<(), ConfigError> {
        let single = std::slice::from_ref(merge);
        let sources = match &*merge.value {
            Value::List(items) => items.as_slice(),
            Value::Map(_) | Value::Scalar(_) => single,
        };
        for source in sources {
            let Value::Map(merged) = &*source.value else {
                return Err(self.error(source.position, "\"<<\" takes a map or a list of maps".to_owned()));
            };
            for entry in merged {
                if !entries.iter().any(|own| own.key == entry.key) {
                    entries.push(entry.clone());
                }
            }
        }
        Ok(())
    }
}
