//! Label filters.

use go_regex::CompiledMatcher;
use log_storage_api::FieldVerdict;
use logql_syntax::{FilterOp, LabelFilter};

use super::ip::IpRange;
use crate::line_labels::{LineLabels, error_kind};
use crate::selector::compile_matchers;
use crate::{LogqlError, convert};

/// A label filter, compiled.
#[derive(Debug)]
pub(crate) enum CompiledLabelFilter {
    Text(CompiledMatcher),
    Number { name: String, op: FilterOp, value: f64 },
    Duration { name: String, op: FilterOp, nanos: i64 },
    Bytes { name: String, op: FilterOp, bytes: u64 },
    Ip { name: String, negated: bool, range: IpRange },
    And(Vec<CompiledLabelFilter>),
    Or(Vec<CompiledLabelFilter>),
}

impl CompiledLabelFilter {
    pub(crate) fn new(filter: &LabelFilter) -> Result<Self, LogqlError> {
        let all = |filters: &[LabelFilter]| filters.iter().map(Self::new).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            LabelFilter::Text(matcher) => {
                let compiled = compile_matchers(std::slice::from_ref(matcher))?.pop();
                Self::Text(compiled.expect("one matcher compiles to one"))
            }
            LabelFilter::Number { name, op, value } => {
                Self::Number { name: name.clone(), op: *op, value: *value }
            }
            LabelFilter::Duration { name, op, nanos } => {
                Self::Duration { name: name.clone(), op: *op, nanos: *nanos }
            }
            LabelFilter::Bytes { name, op, bytes } => {
                Self::Bytes { name: name.clone(), op: *op, bytes: *bytes }
            }
            LabelFilter::Ip { name, negated, pattern } => {
                Self::Ip { name: name.clone(), negated: *negated, range: IpRange::parse(pattern)? }
            }
            LabelFilter::And(filters) => Self::And(all(filters)?),
            LabelFilter::Or(filters) => Self::Or(all(filters)?),
        })
    }

    /// The one label that the filter looks at; `None` where there are several.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Text(matcher) => Some(matcher.name()),
            Self::Number { name, .. }
            | Self::Duration { name, .. }
            | Self::Bytes { name, .. }
            | Self::Ip { name, .. } => Some(name),
            Self::And(filters) | Self::Or(filters) => {
                let first = filters.first()?.name()?;
                filters.iter().all(|filter| filter.name() == Some(first)).then_some(first)
            }
        }
    }

    /// What the filter says of a line without errors whose label has this value.
    pub(crate) fn verdict(&self, value: Option<&str>) -> FieldVerdict {
        match self {
            Self::Text(matcher) => passes(matcher.matches(value.unwrap_or(""))),
            Self::Number { op, value: wanted, .. } => {
                judge(value, convert::number, |found| op.holds(&found, wanted))
            }
            Self::Duration { op, nanos, .. } => {
                judge(value, convert::duration_ns, |found| op.holds(&found, nanos))
            }
            Self::Bytes { op, bytes, .. } => judge(value, convert::bytes, |found| op.holds(&found, bytes)),
            Self::Ip { negated, range, .. } => {
                judge(value, |text| Ok(range.is_in_text(text)), |found| found != *negated)
            }
            Self::And(filters) => first_other(filters, value, FieldVerdict::Passes),
            Self::Or(filters) => first_other(filters, value, FieldVerdict::Fails),
        }
    }

    /// Whether the line stays. A value that cannot be converted keeps it, with an error.
    pub(crate) fn matches(&self, labels: &mut LineLabels) -> bool {
        match self {
            Self::Text(matcher) => matcher.matches(labels.value_or_error(matcher.name())),
            Self::Number { name, op, value } => {
                compare(labels, name, convert::number, |found| op.holds(&found, value))
            }
            Self::Duration { name, op, nanos } => {
                compare(labels, name, convert::duration_ns, |found| op.holds(&found, nanos))
            }
            Self::Bytes { name, op, bytes } => {
                compare(labels, name, convert::bytes, |found| op.holds(&found, bytes))
            }
            Self::Ip { name, negated, range } => {
                compare(labels, name, |text| Ok(range.is_in_text(text)), |found| found != *negated)
            }
            Self::And(filters) => filters.iter().all(|filter| filter.matches(labels)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(labels)),
        }
    }
}

fn passes(holds: bool) -> FieldVerdict {
    if holds { FieldVerdict::Passes } else { FieldVerdict::Fails }
}

/// As [`compare`], of a line without errors.
fn judge<T>(
    value: Option<&str>,
    convert: impl Fn(&str) -> Result<T, String>,
    holds: impl Fn(T) -> bool,
) -> FieldVerdict {
    let Some(text) = value else { return FieldVerdict::Fails };
    convert(text).map_or(FieldVerdict::Unsure, |value| passes(holds(value)))
}

/// The first verdict that is not `usual`; it decides.
fn first_other(filters: &[CompiledLabelFilter], value: Option<&str>, usual: FieldVerdict) -> FieldVerdict {
    filters.iter().map(|filter| filter.verdict(value)).find(|verdict| *verdict != usual).unwrap_or(usual)
}

/// A line with an error stays: only text filters can drop it. One without the label goes.
fn compare<T>(
    labels: &mut LineLabels,
    name: &str,
    convert: impl Fn(&str) -> Result<T, String>,
    holds: impl Fn(T) -> bool,
) -> bool {
    if !labels.error().is_empty() {
        return true;
    }
    let Some(text) = labels.get(name) else { return false };
    match convert(text) {
        Ok(value) => holds(value),
        Err(reason) => {
            labels.set_error(error_kind::LABEL_FILTER, &reason);
            true
        }
    }
}
