//! The functions that a template may call.

use std::collections::HashMap;

use crate::{CallError, Function, TemplateError, Value, builtins, printf};

/// A table of functions by name, Go's builtins included. Parsing needs the names, rendering the bodies.
#[derive(Clone, Debug)]
pub struct Functions {
    by_name: HashMap<String, Function>,
}

impl Functions {
    /// Go's builtins: `and or not len index slice call print printf println html js urlquery eq ne lt le gt ge`.
    pub fn builtins() -> Self {
        let mut functions = Self { by_name: HashMap::new() };
        builtins::register(&mut functions);
        functions
    }

    /// Adds a function of `args_min` to `args_max` arguments (`usize::MAX`: any number), replacing one of that name.
    pub fn add(
        &mut self,
        name: &str,
        args_min: usize,
        args_max: usize,
        body: impl Fn(Args<'_>) -> Result<Value, CallError> + Send + Sync + 'static,
    ) -> &mut Self {
        self.insert(name, Function::new(args_min, args_max, move |_, args| body(Args(args))))
    }

    /// Adds a function that may render templates of the set it is called from.
    pub fn insert(&mut self, name: &str, function: Function) -> &mut Self {
        self.by_name.insert(name.to_owned(), function);
        self
    }

    /// Whether a template may name this function.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The function of that name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.by_name.get(name)
    }
}

/// What a called function can ask of the rendering that calls it.
pub trait TemplateCaller {
    /// Renders a template of the same set; its steps, depth and output count against the same limits.
    fn render(&mut self, name: &str, data: &Value) -> Result<String, TemplateError>;

    /// Calls a function value.
    fn call(&mut self, function: &Function, args: &[Value]) -> Result<Value, CallError>;

    /// Whether output is being escaped for HTML.
    fn escapes_html(&self) -> bool;
}

/// The arguments of a call, with Go's type errors.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a>(pub &'a [Value]);

impl<'a> Args<'a> {
    /// The number of arguments.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is no argument.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// All arguments.
    pub fn values(self) -> &'a [Value] {
        self.0
    }

    /// The argument at `idx`; nil beyond the last.
    pub fn value(self, idx: usize) -> &'a Value {
        self.0.get(idx).unwrap_or(&Value::Nil)
    }

    /// The argument as a string; another type is an error, as for a Go parameter of type string.
    pub fn str(self, idx: usize) -> Result<&'a str, CallError> {
        let value = self.value(idx);
        value.as_str().ok_or_else(|| wrong_type("string", value))
    }

    /// The argument as an int.
    pub fn int(self, idx: usize) -> Result<i64, CallError> {
        match self.value(idx).to_basic() {
            Value::Int(value) => Ok(value),
            value => Err(wrong_type("int", &value)),
        }
    }

    /// The argument as a float64; an int constant converts.
    pub fn float(self, idx: usize) -> Result<f64, CallError> {
        match self.value(idx).to_basic() {
            Value::Float(value) => Ok(value),
            Value::Int(value) => Ok(value as f64),
            value => Err(wrong_type("float64", &value)),
        }
    }

    /// The argument as text: what `print` shows of it.
    pub fn text(self, idx: usize) -> String {
        printf::format_value(self.value(idx))
    }

    /// The elements of a list argument.
    pub fn list(self, idx: usize) -> Result<Vec<Value>, CallError> {
        match self.value(idx) {
            Value::List(values) => Ok(values.to_vec()),
            Value::Object(object) => match object.items() {
                Some(items) => Ok(items.into_iter().map(|(_, value)| value).collect()),
                None => Err(wrong_type("list", self.value(idx))),
            },
            Value::Nil => Ok(Vec::new()),
            value => Err(wrong_type("list", value)),
        }
    }
}

fn wrong_type(wanted: &str, got: &Value) -> CallError {
    CallError::Message(format!("wrong type for value; expected {wanted}; got {}", got.type_name()))
}
