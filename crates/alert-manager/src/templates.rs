//! The templates of notifications: the shipped ones, the user's, and the functions they may call.

use std::path::Path;
use std::sync::LazyLock;

use go_template::{Functions, Limits, MissingKey, Mode, TemplateError, TemplateSet, Value};

mod functions;

/// The shipped templates.
const SHIPPED: &str = include_str!("../templates/default.tmpl");
/// The shipped mail.
const SHIPPED_MAIL: &str = include_str!("../templates/email.tmpl");

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(functions::all);

/// The set of a configuration.
#[derive(Clone, Debug)]
pub struct Templates(TemplateSet);

/// A template file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateFileError {
    /// It cannot be read.
    #[error("template file {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a template.
    #[error(transparent)]
    Parse(#[from] TemplateError),
}

impl Templates {
    /// The shipped templates alone.
    pub fn shipped() -> Self {
        let mut set = TemplateSet::new("", MissingKey::Zero);
        for (name, text) in [("default.tmpl", SHIPPED), ("email.tmpl", SHIPPED_MAIL)] {
            set.parse(name, text, &FUNCTIONS).expect("the shipped templates are parsed by a test");
        }
        Self(set)
    }

    /// The shipped templates and, over them, those of files. Blocks.
    pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Self, TemplateFileError> {
        let mut templates = Self::shipped();
        for file in files {
            let path = file.as_ref();
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|source| TemplateFileError::Read { file: shown.clone(), source })?;
            let name = path.file_name().map_or(shown, |name| name.to_string_lossy().into_owned());
            templates.0.parse(&name, &text, &FUNCTIONS)?;
        }
        Ok(templates)
    }

    /// Renders a text that may hold actions.
    pub fn text(&self, text: &str, data: &Value) -> Result<String, TemplateError> {
        self.render(text, data, Mode::Text)
    }

    /// Renders HTML that may hold actions; values are escaped.
    pub fn html(&self, text: &str, data: &Value) -> Result<String, TemplateError> {
        self.render(text, data, Mode::Html)
    }

    fn render(&self, text: &str, data: &Value, mode: Mode) -> Result<String, TemplateError> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let mut set = self.0.clone();
        set.parse("", text, &FUNCTIONS)?;
        set.render("", data, &FUNCTIONS, mode, &Limits::default())
    }
}

/// Checks that a text is a template.
pub fn check(text: &str) -> Result<(), TemplateError> {
    if !text.contains("{{") {
        return Ok(());
    }
    TemplateSet::new("", MissingKey::Zero).parse("", text, &FUNCTIONS)
}

#[cfg(test)]
mod tests;
