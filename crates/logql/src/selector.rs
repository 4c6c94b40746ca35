//! Stream selectors, compiled.

use go_regex::CompiledMatcher;
use model::Matcher;

use crate::LogqlError;

/// Compiles matchers as they stand.
pub fn compile_matchers(matchers: &[Matcher]) -> Result<Vec<CompiledMatcher>, LogqlError> {
    matchers
        .iter()
        .map(|matcher| {
            CompiledMatcher::new(matcher.clone()).map_err(|error| LogqlError::Invalid(error.to_string()))
        })
        .collect()
}

/// Compiles the selector of a query, which has to ask for something.
pub(crate) fn compile_selector(matchers: &[Matcher]) -> Result<Vec<CompiledMatcher>, LogqlError> {
    let compiled = compile_matchers(matchers)?;
    if compiled.iter().all(CompiledMatcher::matches_empty) {
        return Err(LogqlError::Invalid(
            "queries require at least one regexp or equality matcher that does not have an empty-compatible value. \
             For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will"
                .to_owned(),
        ));
    }
    Ok(compiled)
}
