//! Named templates that can call one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::exec::Exec;
use crate::node::Tree;
use crate::{Functions, TemplateError, Value, parser};

/// What a rendering may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes, commands and loop rounds.
    pub steps: usize,
    /// Levels of blocks, parentheses and templates that call templates.
    pub depth: usize,
    /// Bytes of output, and of any one string made on the way.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000_000, depth: 200, output_bytes: 4 << 20 }
    }
}

/// What a map's missing entry gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// `<no value>`
    #[default]
    Default,
    /// The zero value of the map's elements.
    Zero,
    /// An error.
    Error,
}

/// What the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Text: nothing is escaped.
    #[default]
    Text,
    /// HTML: values are escaped as the place that they are put in asks for.
    Html,
}

/// Templates by name. Parsing a name again replaces what it was, unless the new one is empty.
#[derive(Clone, Debug)]
pub struct TemplateSet {
    name: String,
    templates: BTreeMap<String, Arc<Tree>>,
    missing_key: MissingKey,
}

impl TemplateSet {
    /// A set without templates. Its name is for error messages.
    pub fn new(name: &str, missing_key: MissingKey) -> Self {
        Self { name: name.to_owned(), templates: BTreeMap::new(), missing_key }
    }

    /// Parses a text as the template `name` and adds it with all that it defines. On an error nothing is added.
    pub fn parse(&mut self, name: &str, text: &str, functions: &Functions) -> Result<(), TemplateError> {
        for tree in parser::parse(name, text, functions)? {
            let keeps_old = tree.is_empty() && self.templates.contains_key(&tree.name);
            if !keeps_old {
                self.templates.insert(tree.name.clone(), Arc::new(tree));
            }
        }
        Ok(())
    }

    /// The names of all templates, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(String::as_str)
    }

    /// Whether there is a template of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.templates.contains_key(name)
    }

    /// Renders the template `name`.
    pub fn render(
        &self,
        name: &str,
        data: &Value,
        functions: &Functions,
        mode: Mode,
        limits: &Limits,
    ) -> Result<String, TemplateError> {
        Exec::new(self, functions, mode, limits).run(name, data)
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Arc<Tree>, TemplateError> {
        self.templates
            .get(name)
            .ok_or_else(|| TemplateError::Undefined { name: name.to_owned(), set: self.name.clone() })
    }

    pub(crate) fn missing_key(&self) -> MissingKey {
        self.missing_key
    }
}

/// One template, with what it defines itself.
#[derive(Clone, Debug)]
pub struct Template {
    set: TemplateSet,
    name: String,
}

impl Template {
    /// Parses a text. Missing map entries give their zero value, as Prometheus and Loki have it.
    pub fn parse(name: &str, text: &str, functions: &Functions) -> Result<Self, TemplateError> {
        Self::parse_with(name, text, functions, MissingKey::Zero)
    }

    /// Parses a text with a choice of what missing map entries give.
    pub fn parse_with(
        name: &str,
        text: &str,
        functions: &Functions,
        missing_key: MissingKey,
    ) -> Result<Self, TemplateError> {
        let mut set = TemplateSet::new(name, missing_key);
        set.parse(name, text, functions)?;
        Ok(Self { set, name: name.to_owned() })
    }

    /// Renders as text. An empty template renders as nothing.
    pub fn render(
        &self,
        data: &Value,
        functions: &Functions,
        limits: &Limits,
    ) -> Result<String, TemplateError> {
        self.set.render(&self.name, data, functions, Mode::Text, limits)
    }
}
