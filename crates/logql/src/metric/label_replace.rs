//! `label_replace`.

use go_regex::Regex;
use logql_syntax::LabelReplace;
use model::{LabelsBuilder, is_legacy_label_name};

use super::Value;
use crate::LogqlError;

pub(super) fn check(replace: &LabelReplace) -> Result<Regex, LogqlError> {
    if !is_legacy_label_name(&replace.target) {
        return Err(LogqlError::Invalid(format!(
            "invalid destination label name in label_replace: {}",
            replace.target
        )));
    }
    Regex::anchored(&replace.regex).map_err(|error| LogqlError::Invalid(error.to_string()))
}

pub(super) fn apply(replace: &LabelReplace, inner: Value) -> Result<Value, LogqlError> {
    let regex = check(replace)?;
    let Value::Vector { mut series, ranked } = inner else { return Ok(inner) };
    for series in &mut series {
        let Some(captures) = regex.inner().captures(series.labels.value(&replace.source)) else { continue };
        let mut value = String::new();
        captures.expand(&replace.replacement, &mut value);
        series.labels = LabelsBuilder::from_labels(&series.labels).set(&replace.target, &value).build();
    }
    super::binary::merge_equal(series, ranked)
}
