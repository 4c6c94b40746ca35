//! The errors of parsing, rendering and of called functions.

/// What is wrong with a template, or what went wrong while it was rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The text is not a template.
    #[error("template: {name}:{line}: {message}")]
    Parse {
        /// The name that the text was parsed under.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Rendering failed at a place in a template.
    #[error("template: {name}:{line}:{column}: executing {executing:?} at <{node}>: {message}")]
    Render {
        /// The name that the text was parsed under.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 0.
        column: usize,
        /// The template that ran.
        executing: String,
        /// The part of the template that failed, as Go prints it.
        node: String,
        /// What went wrong.
        message: String,
    },
    /// A template that the set does not have was asked for.
    #[error("template: no template {name:?} associated with template {set:?}")]
    Undefined {
        /// The name asked for.
        name: String,
        /// The set's own name.
        set: String,
    },
    /// One of the [`crate::Limits`] was met.
    #[error("template: {name}: rendering stopped at its limit of {limit} {what}")]
    Limit {
        /// The template that ran.
        name: String,
        /// What is limited: "steps", "levels of nesting" or "bytes of output".
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// The error of a called function or method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function's own words.
    #[error("{0}")]
    Message(String),
    /// A template that the function rendered failed.
    #[error("{0}")]
    Template(Box<TemplateError>),
}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for CallError {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

impl From<TemplateError> for CallError {
    fn from(error: TemplateError) -> Self {
        Self::Template(Box::new(error))
    }
}
