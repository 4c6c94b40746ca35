//! Values with Go's kinds.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::functions::TemplateCaller;
use crate::{CallError, printf};

/// A value that a template works on. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value: a map's missing entry.
    NoValue,
    /// Go's nil.
    #[default]
    Nil,
    /// A bool.
    Bool(bool),
    /// An int.
    Int(i64),
    /// A float64.
    Float(f64),
    /// A string.
    String(Arc<str>),
    /// Text that is HTML already: not escaped again in HTML mode. A string otherwise.
    SafeHtml(Arc<str>),
    /// A URL of whatever scheme that HTML mode leaves as it is. A string otherwise.
    SafeUrl(Arc<str>),
    /// A slice.
    List(Arc<[Value]>),
    /// A map with string keys.
    Map(Arc<Map>),
    /// A struct, or a value of a type with methods.
    Object(Arc<dyn Object>),
    /// A function, as `call` takes it.
    Function(Function),
}

/// A map with string keys, iterated in order of key.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// The entries.
    pub entries: BTreeMap<String, Value>,
    /// The zero value of the element's type: "" for a `map[string]string`, nil for `map[string]interface{}`.
    pub zero: Value,
}

impl Map {
    /// A `map[string]string`.
    pub fn of_strings<N: Into<String>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let entries =
            pairs.into_iter().map(|(name, value)| (name.into(), Value::from(value.as_ref()))).collect();
        Self { entries, zero: Value::from("") }
    }

    /// A `map[string]interface{}`.
    pub fn of_values<N: Into<String>>(pairs: impl IntoIterator<Item = (N, Value)>) -> Self {
        let entries = pairs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self { entries, zero: Value::Nil }
    }
}

/// A struct, or a value of a named type with methods. Every method has a default that says "not this kind".
#[expect(clippy::len_without_is_empty, reason = "most types have no length at all")]
pub trait Object: Debug + Send + Sync {
    /// Go's name of the type, for error messages and `%T`.
    fn type_name(&self) -> &str;

    /// The exported field or map entry `name`.
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    /// Calls the method `name`; `None` where the type has no such method. Methods go before fields.
    fn call(&self, _name: &str, _args: &[Value]) -> Option<Result<Value, CallError>> {
        None
    }

    /// What `range` goes through as (key or index, element), where it can be ranged over.
    fn items(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// The length, where `len` works.
    fn len(&self) -> Option<usize> {
        None
    }

    /// The zero value that a missing entry stands for, where the type is a map.
    fn map_zero(&self) -> Option<Value> {
        None
    }

    /// The value of a basic kind that this named type is made of, such as an int for a duration.
    fn basic(&self) -> Option<Value> {
        None
    }

    /// The instant and zone of a `time.Time`.
    fn time(&self) -> Option<jiff::Zoned> {
        None
    }

    /// What `if` sees. Structs are always true; maps and slices when they are not empty.
    fn is_true(&self) -> bool {
        match (self.len(), self.basic()) {
            (Some(len), _) => len > 0,
            (None, Some(value)) => value.is_true(),
            (None, None) => true,
        }
    }

    /// The text that `print` and `%v` show.
    fn display(&self) -> String {
        if let Some(items) = self.items() {
            return printf::format_items(&items, self.map_zero().is_some());
        }
        match self.basic() {
            Some(value) => printf::format_value(&value),
            None => "{}".to_owned(),
        }
    }
}

type FunctionBody = dyn Fn(&mut dyn TemplateCaller, &[Value]) -> Result<Value, CallError> + Send + Sync;

/// A function that a template can call.
#[derive(Clone)]
pub struct Function {
    pub(crate) args_min: usize,
    pub(crate) args_max: usize,
    pub(crate) body: Arc<FunctionBody>,
}

impl Function {
    /// A function of `args_min` to `args_max` arguments (`usize::MAX`: any number).
    pub fn new(
        args_min: usize,
        args_max: usize,
        body: impl Fn(&mut dyn TemplateCaller, &[Value]) -> Result<Value, CallError> + Send + Sync + 'static,
    ) -> Self {
        Self { args_min, args_max, body: Arc::new(body) }
    }
}

impl Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("args_min", &self.args_min)
            .field("args_max", &self.args_max)
            .finish()
    }
}

impl Value {
    /// A list.
    pub fn list(values: impl IntoIterator<Item = Value>) -> Self {
        Self::List(values.into_iter().collect())
    }

    /// A list of strings.
    pub fn strings<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        Self::List(values.into_iter().map(|text| Self::from(text.as_ref())).collect())
    }

    /// An object.
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }

    /// Go's name of the value's type.
    pub fn type_name(&self) -> &str {
        match self {
            Self::NoValue | Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::SafeHtml(_) => "template.HTML",
            Self::SafeUrl(_) => "template.URL",
            Self::List(_) => "[]interface {}",
            Self::Map(map) if matches!(map.zero, Self::String(_)) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(object) => object.type_name(),
            Self::Function(_) => "func",
        }
    }

    /// What `if` sees: false, 0, nil and empty things are not true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::NoValue | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::String(text) | Self::SafeHtml(text) | Self::SafeUrl(text) => !text.is_empty(),
            Self::List(values) => !values.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Object(object) => object.is_true(),
            Self::Function(_) => true,
        }
    }

    /// The text of a value of string kind.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::SafeHtml(text) | Self::SafeUrl(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a basic kind behind a named type; itself for all others.
    pub(crate) fn to_basic(&self) -> Self {
        match self {
            Self::Object(object) => object.basic().unwrap_or_else(|| self.clone()),
            _ => self.clone(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }
}
