//! Rule files of PromQL.

use std::path::Path;

use rule_files::{Dialect, LoadedRules, RuleFileErrors};

/// Reads and checks a rule file; its warnings come with it. Blocks.
pub(crate) fn load(path: &Path, allow_unknown_keys: bool) -> Result<LoadedRules, RuleFileErrors> {
    rule_files::load(path, dialect(allow_unknown_keys))
}

/// The same for a text.
pub(crate) fn parse(name: &str, text: &str, allow_unknown_keys: bool) -> Result<LoadedRules, RuleFileErrors> {
    rule_files::parse(name, text, dialect(allow_unknown_keys))
}

fn dialect(allow_unknown_keys: bool) -> Dialect<'static> {
    let check_expression = &|expr: &str| {
        promql::parse(expr, promql::Features::all()).map(drop).map_err(|error| error.to_string())
    };
    Dialect { check_expression, ruler_keys: false, allow_unknown_keys }
}
