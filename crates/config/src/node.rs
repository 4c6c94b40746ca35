//! A node of the tree as its reader sees it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use model::ByteSize;

use crate::document::Shared;
use crate::emit;
use crate::map::Map;
use crate::place::Place;
use crate::problem::{ConfigError, Reported};
use crate::scalar::{parse_bool, parse_float, parse_int};
use crate::secret::{MASK, MASK_URL, Secret};
use crate::suggest::nearest;
use crate::tree::{Raw, Scalar, Value};

/// What a node is, before it has a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: `key:` or `null`.
    Null,
    /// A text, number or boolean.
    Scalar,
    /// A list.
    List,
    /// A map.
    Map,
}

impl Kind {
    fn described(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar => "a single value",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }
}

/// A node with the path that leads to it. Cheap to clone. Reading functions report to the document's list of errors.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    raw: Raw,
    path: Arc<str>,
}

impl Node {
    pub(crate) fn root(shared: Arc<Shared>, raw: Raw) -> Self {
        Self { shared, raw, path: "".into() }
    }

    pub(crate) fn child(&self, key: &str, raw: Raw) -> Self {
        let path = if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path).into() };
        Self { shared: Arc::clone(&self.shared), raw, path }
    }

    pub(crate) fn raw(&self) -> &Raw {
        &self.raw
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Where the node stands.
    pub fn place(&self) -> Place {
        self.shared.place(self.raw.position)
    }

    /// The path of keys that leads here, such as `scrape_configs[0].job_name`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the node is.
    pub fn kind(&self) -> Kind {
        match &*self.raw.value {
            Value::Scalar(scalar) if scalar.is_null() => Kind::Null,
            Value::Scalar(_) => Kind::Scalar,
            Value::List(_) => Kind::List,
            Value::Map(_) => Kind::Map,
        }
    }

    /// Whether the node is null.
    pub fn is_null(&self) -> bool {
        self.raw.is_null()
    }

    /// Reports an error at this node.
    pub fn error(&self, message: impl fmt::Display) -> Reported {
        self.error_at(self.place(), message)
    }

    pub(crate) fn error_at(&self, place: Place, message: impl fmt::Display) -> Reported {
        let error = ConfigError { place, key: self.path.to_string(), message: message.to_string() };
        self.shared.found().errors.push(error);
        Reported(())
    }

    /// Reports a warning at this node.
    pub fn warn(&self, message: impl fmt::Display) {
        self.warn_at(self.place(), message);
    }

    pub(crate) fn warn_at(&self, place: Place, message: impl fmt::Display) {
        let warning = ConfigError { place, key: self.path.to_string(), message: message.to_string() };
        self.shared.found().warnings.push(warning);
    }

    /// The text of a scalar as written, if the node is one (null included, as ""). For forms that may be several things.
    pub fn text(&self) -> Option<&str> {
        match &*self.raw.value {
            Value::Scalar(scalar) if scalar.is_null() => Some(""),
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether the node is a scalar that is a text whatever it looks like: quoted, a block, or tagged as one.
    pub fn is_quoted(&self) -> bool {
        matches!(&*self.raw.value, Value::Scalar(scalar) if scalar.quoted)
    }

    fn scalar(&self, expected: &str) -> Result<&Scalar, Reported> {
        match &*self.raw.value {
            Value::Scalar(scalar) => Ok(scalar),
            Value::List(_) | Value::Map(_) => {
                Err(self.error(format_args!("expected {expected}, got {}", self.kind().described())))
            }
        }
    }

    /// A text; numbers and booleans keep their spelling, null is empty.
    pub fn string(&self) -> Result<String, Reported> {
        let scalar = self.scalar("a text")?;
        Ok(if scalar.is_null() { String::new() } else { scalar.text.to_string() })
    }

    /// A text with at least one character.
    pub fn non_empty_string(&self) -> Result<String, Reported> {
        let text = self.string()?;
        if text.is_empty() { Err(self.error("must not be empty")) } else { Ok(text) }
    }

    /// A text that must never be shown.
    pub fn secret(&self) -> Result<Secret, Reported> {
        self.shared.found().secrets.insert(self.raw.id(), MASK);
        // The value must not get into an error's message either.
        self.scalar("a text").map(|scalar| {
            if scalar.is_null() { Secret::default() } else { Secret::new(scalar.text.to_string()) }
        })
    }

    /// The node as YAML, with everything in it that was read as a secret masked.
    pub fn to_masked_yaml(&self) -> String {
        let secrets = self.shared.found().secrets.clone();
        // Only a map with keys that are no text could fail to be written, and there are none.
        serde_yaml::to_string(&emit::to_yaml(&self.raw, &secrets)).unwrap_or_default()
    }

    /// Marks the node as secret for [`crate::Document::to_masked_yaml`], whatever it holds.
    pub fn mark_secret(&self) {
        self.shared.found().secrets.insert(self.raw.id(), MASK);
    }

    /// Marks the node as a URL that is secret: what is shown in its place can be read as a URL, as older clients do.
    pub fn mark_secret_url(&self) {
        self.shared.found().secrets.insert(self.raw.id(), MASK_URL);
    }

    /// A path; a relative one is taken from the directory of the file that names it. An empty one stays empty.
    pub fn file_path(&self) -> Result<PathBuf, Reported> {
        let text = self.string()?;
        Ok(if text.is_empty() { PathBuf::new() } else { self.shared.base_dir.join(text) })
    }

    /// `true`/`false`, `yes`/`no`, `on`/`off`.
    pub fn bool(&self) -> Result<bool, Reported> {
        let scalar = self.scalar("true or false")?;
        let value = if scalar.quoted { None } else { parse_bool(&scalar.text) };
        value.ok_or_else(|| self.error(format_args!("expected true or false, got {:?}", &*scalar.text)))
    }

    /// A whole number of the type that is asked for: `u16`, `i64`, `usize` …
    pub fn integer<T: TryFrom<i128>>(&self) -> Result<T, Reported> {
        let scalar = self.scalar("a whole number")?;
        let number = parse_int(&scalar.text)
            .ok_or_else(|| self.error(format_args!("expected a whole number, got {:?}", &*scalar.text)))?;
        T::try_from(number).map_err(|_| self.error(format_args!("{number} is out of range")))
    }

    /// A number.
    pub fn f64(&self) -> Result<f64, Reported> {
        let scalar = self.scalar("a number")?;
        let number =
            parse_float(&scalar.text).or_else(|| parse_int(&scalar.text).map(|number| number as f64));
        number.ok_or_else(|| self.error(format_args!("expected a number, got {:?}", &*scalar.text)))
    }

    /// A duration in Prometheus' spelling, `1h30m`.
    pub fn duration(&self) -> Result<Duration, Reported> {
        self.parse_with(|text| {
            model::parse_duration_ms(text).map(|ms| Duration::from_millis(ms.unsigned_abs()))
        })
    }

    /// A duration in Go's spelling, `1.5s`, also with `d`, `w`, `y`; not negative.
    pub fn go_duration(&self) -> Result<Duration, Reported> {
        let ns = self.parse_with(model::parse_go_duration_ns)?;
        u64::try_from(ns).map(Duration::from_nanos).map_err(|_| self.error("must not be negative"))
    }

    /// A duration in Go's spelling that may be negative, in nanoseconds.
    pub fn signed_duration_ns(&self) -> Result<i64, Reported> {
        self.parse_with(model::parse_go_duration_ns)
    }

    /// A number of bytes, `512MB`.
    pub fn byte_size(&self) -> Result<ByteSize, Reported> {
        self.parse_with(ByteSize::parse)
    }

    /// A text that `parse` turns into a value; its error becomes the message.
    pub fn parse_with<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Reported> {
        let scalar = self.scalar("a text")?;
        let text = if scalar.is_null() { "" } else { &*scalar.text };
        parse(text).map_err(|error| self.error(error))
    }

    /// A text in the spelling of `T`.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, Reported> {
        self.parse_with(T::from_str)
    }

    /// One of some words, each with what it means.
    pub fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, Reported> {
        let text = self.string()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(value.clone());
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(&text, known.iter().copied())
            .map(|word| format!(", did you mean {word:?}"))
            .unwrap_or_default();
        Err(self.error(format_args!("expected one of {}, got {text:?}{hint}", known.join(", "))))
    }

    /// A list's items; null is an empty list.
    pub fn list(&self) -> Result<Vec<Node>, Reported> {
        match &*self.raw.value {
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(idx, raw)| Self {
                    shared: Arc::clone(&self.shared),
                    raw: raw.clone(),
                    path: format!("{}[{idx}]", self.path).into(),
                })
                .collect()),
            Value::Scalar(scalar) if scalar.is_null() => Ok(Vec::new()),
            Value::Scalar(_) | Value::Map(_) => {
                Err(self.error(format_args!("expected a list, got {}", self.kind().described())))
            }
        }
    }

    /// A list with each item read by `read`. All items are read, so that the errors of all are reported.
    pub fn list_of<T>(&self, mut read: impl FnMut(&Node) -> Result<T, Reported>) -> Result<Vec<T>, Reported> {
        let items = self.list()?;
        let mut values = Vec::with_capacity(items.len());
        let mut failed = None;
        for item in &items {
            match read(item) {
                Ok(value) => values.push(value),
                Err(reported) => failed = Some(reported),
            }
        }
        failed.map_or(Ok(values), Err)
    }

    /// A list of texts.
    pub fn strings(&self) -> Result<Vec<String>, Reported> {
        self.list_of(Self::string)
    }

    /// A list of texts, or a single one.
    pub fn strings_or_one(&self) -> Result<Vec<String>, Reported> {
        if self.kind() == Kind::Scalar { Ok(vec![self.string()?]) } else { self.strings() }
    }

    /// A map; null is an empty map.
    pub fn map(&self) -> Result<Map, Reported> {
        match &*self.raw.value {
            Value::Map(_) => Ok(Map::new(self.clone())),
            Value::Scalar(scalar) if scalar.is_null() => Ok(Map::new(self.clone())),
            Value::Scalar(_) | Value::List(_) => {
                Err(self.error(format_args!("expected a map, got {}", self.kind().described())))
            }
        }
    }

    /// A map of texts to texts, such as labels, in the order of the file.
    pub fn string_pairs(&self) -> Result<Vec<(String, String)>, Reported> {
        let mut failed = None;
        let mut pairs = Vec::new();
        for (key, value) in self.map()?.entries() {
            match value.string() {
                Ok(value) => pairs.push((key, value)),
                Err(reported) => failed = Some(reported),
            }
        }
        failed.map_or(Ok(pairs), Err)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}: {}, {})", self.place(), self.path, self.kind().described())
    }
}
