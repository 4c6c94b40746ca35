//! Errors that end a process, with their exit code.

use std::fmt;

/// Any error that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a service could not start or go on, and with which code the process ends.
#[derive(Debug)]
pub struct Failure {
    /// The exit code: 2 for flags and configuration, 1 for what happened at run time.
    pub exit_code: u8,
    /// The error; its whole chain is printed once, by `main`.
    pub error: BoxError,
}

impl Failure {
    /// The user has to change flags, configuration or the machine's set-up.
    pub fn usage(error: impl Into<BoxError>) -> Self {
        Self { exit_code: 2, error: error.into() }
    }

    /// A command has said itself what is wrong: only the exit code is left.
    pub fn told(exit_code: u8) -> Self {
        Self { exit_code, error: Box::new(Told) }
    }

    /// Whether [`Self::told`] made it, so that nothing more is to be printed.
    pub fn is_told(&self) -> bool {
        self.error.is::<Told>()
    }

    /// Something failed that may work another time.
    pub fn runtime(error: impl Into<BoxError>) -> Self {
        Self { exit_code: 1, error: error.into() }
    }
}

/// Stands for what the user has read already.
#[derive(Debug)]
struct Told;

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("see above")
    }
}

impl std::error::Error for Told {}

/// The error with all its causes, separated by `: `.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&error_chain(self.error.as_ref()))
    }
}

impl From<config::ConfigErrors> for Failure {
    fn from(errors: config::ConfigErrors) -> Self {
        Self::usage(errors)
    }
}

impl From<BoxError> for Failure {
    fn from(error: BoxError) -> Self {
        Self::runtime(error)
    }
}

/// An error with all its causes, separated by `: `. Causes that the message before them repeats are left out.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
