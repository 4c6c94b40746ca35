//! The tree as text: on one line, or broken over several where it is long.

mod pretty;

use std::fmt;

use model::Matcher;

use crate::literal::{format_bytes, format_duration, quote};
use crate::{
    BinaryExpr, Cardinality, Conversion, Expr, Extraction, Grouping, LabelFilter, LabelFormatValue,
    LabelReplace, LabelSelection, LineFilterExpr, LineFilterKind, LineMatch, LogExpr, Matching, MetricExpr,
    MetricKind, RangeAggregation, RangeExpr, StageKind, Unwrap, VectorAggregation,
};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl fmt::Display for LogExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        separated(f, &self.matchers, ", ", write_matcher)?;
        f.write_str("}")?;
        for stage in &self.stages {
            write!(f, " {}", stage.kind)?;
        }
        Ok(())
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineFilter(filter) => filter.fmt(f),
            Self::Json(fields) => {
                f.write_str("| json")?;
                write_extractions(f, fields)
            }
            Self::Logfmt { strict, keep_empty, fields } => {
                f.write_str("| logfmt")?;
                if *strict {
                    f.write_str(" --strict")?;
                }
                if *keep_empty {
                    f.write_str(" --keep-empty")?;
                }
                write_extractions(f, fields)
            }
            Self::Regexp(pattern) => write!(f, "| regexp {}", quote(pattern)),
            Self::Pattern(pattern) => write!(f, "| pattern {}", quote(pattern)),
            Self::Unpack => f.write_str("| unpack"),
            Self::LabelFilter(filter) => write!(f, "| {filter}"),
            Self::LineFormat(template) => write!(f, "| line_format {}", quote(template)),
            Self::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                separated(f, formats, ", ", |f, format| match &format.value {
                    LabelFormatValue::Rename(source) => write!(f, "{}={source}", format.target),
                    LabelFormatValue::Template(text) => write!(f, "{}={}", format.target, quote(text)),
                })
            }
            Self::Decolorize => f.write_str("| decolorize"),
            Self::Drop(selections) => {
                f.write_str("| drop ")?;
                separated(f, selections, ", ", write_selection)
            }
            Self::Keep(selections) => {
                f.write_str("| keep ")?;
                separated(f, selections, ", ", write_selection)
            }
        }
    }
}

impl fmt::Display for LineFilterExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.kind, self.negated) {
            (LineFilterKind::Contains, false) => "|= ",
            (LineFilterKind::Contains, true) => "!= ",
            (LineFilterKind::Regex, false) => "|~ ",
            (LineFilterKind::Regex, true) => "!~ ",
            (LineFilterKind::Pattern, false) => "|> ",
            (LineFilterKind::Pattern, true) => "!> ",
        })?;
        separated(f, &self.any_of, " or ", |f, any| match any {
            LineMatch::Text(text) => f.write_str(&quote(text)),
            LineMatch::Ip(pattern) => write!(f, "ip({})", quote(pattern)),
        })
    }
}

impl fmt::Display for LabelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(matcher) => write_matcher(f, matcher),
            Self::Number { name, op, value } => write!(f, "{name} {} {}", op.as_str(), number(*value)),
            Self::Duration { name, op, nanos } => {
                write!(f, "{name} {} {}", op.as_str(), format_duration(*nanos))
            }
            Self::Bytes { name, op, bytes } => write!(f, "{name} {} {}", op.as_str(), format_bytes(*bytes)),
            Self::Ip { name, negated, pattern } => {
                write!(f, "{name} {} ip({})", if *negated { "!=" } else { "=" }, quote(pattern))
            }
            Self::And(filters) => separated(f, filters, " and ", |f, filter| match filter {
                Self::And(_) | Self::Or(_) => write!(f, "({filter})"),
                _ => write!(f, "{filter}"),
            }),
            Self::Or(filters) => separated(f, filters, " or ", |f, filter| match filter {
                Self::Or(_) => write!(f, "({filter})"),
                _ => write!(f, "{filter}"),
            }),
        }
    }
}

impl fmt::Display for MetricExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            MetricKind::RangeAggregation(aggregation) => aggregation.fmt(f),
            MetricKind::VectorAggregation(aggregation) => aggregation.fmt(f),
            MetricKind::Binary(binary) => binary.fmt(f),
            MetricKind::LabelReplace(replace) => replace.fmt(f),
            MetricKind::Vector(value) => write!(f, "vector({})", number(*value)),
            MetricKind::Literal(value) => f.write_str(&number(*value)),
        }
    }
}

impl fmt::Display for RangeAggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{}, ", number(parameter))?;
        }
        write!(f, "{})", self.range)?;
        write_grouping(f, self.grouping.as_ref())
    }
}

impl fmt::Display for RangeExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        // Filters swallow what follows them, so that a space keeps the range apart.
        let space = if self.log.stages.is_empty() && self.unwrap.is_none() { "" } else { " " };
        write!(f, "{space}[{}]", model::format_duration_ms(self.range / 1_000_000))?;
        if self.offset != 0 {
            write!(f, " offset {}", format_duration(self.offset))?;
        }
        Ok(())
    }
}

impl fmt::Display for Unwrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.conversion {
            Conversion::Number => write!(f, "| unwrap {}", self.label)?,
            conversion => write!(f, "| unwrap {}({})", conversion.as_str(), self.label)?,
        }
        self.filters.iter().try_for_each(|filter| write!(f, " | {filter}"))
    }
}

impl fmt::Display for VectorAggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        write_grouping(f, self.grouping.as_ref())?;
        f.write_str(if self.grouping.is_some() { " (" } else { "(" })?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{})", self.inner)
    }
}

impl fmt::Display for BinaryExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_operand(f, &self.left, self, true)?;
        write!(f, " {} ", operator_text(self))?;
        write_operand(f, &self.right, self, false)
    }
}

impl fmt::Display for LabelReplace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label_replace({}", self.inner)?;
        for text in [&self.target, &self.replacement, &self.source, &self.regex] {
            write!(f, ", {}", quote(text))?;
        }
        f.write_str(")")
    }
}

/// The operator with all that modifies it.
fn operator_text(binary: &BinaryExpr) -> String {
    let mut out = binary.op.as_str().to_owned();
    if binary.returns_bool {
        out.push_str(" bool");
    }
    if let Some(matching) = &binary.matching {
        out.push_str(&matching_text(matching));
    }
    out
}

fn matching_text(matching: &Matching) -> String {
    let word = if matching.on { "on" } else { "ignoring" };
    let mut out = format!(" {word} ({})", matching.labels.join(", "));
    let side = match matching.cardinality {
        Cardinality::OneToOne => return out,
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
    };
    out.push_str(&format!(" {side} ({})", matching.include.join(", ")));
    out
}

/// Whether an operand has to stand in parentheses to be read back as it is.
fn needs_parentheses(operand: &MetricExpr, parent: &BinaryExpr, is_left: bool) -> bool {
    let MetricKind::Binary(child) = &operand.kind else { return false };
    let (inner, outer) = (child.op.precedence(), parent.op.precedence());
    let is_right_associative = parent.op == crate::BinaryOp::Pow;
    inner < outer || (inner == outer && is_left == is_right_associative)
}

fn write_operand(
    f: &mut fmt::Formatter<'_>,
    operand: &MetricExpr,
    parent: &BinaryExpr,
    is_left: bool,
) -> fmt::Result {
    if needs_parentheses(operand, parent, is_left) {
        write!(f, "({operand})")
    } else {
        write!(f, "{operand}")
    }
}

fn write_grouping(f: &mut fmt::Formatter<'_>, grouping: Option<&Grouping>) -> fmt::Result {
    let Some(grouping) = grouping else { return Ok(()) };
    let word = if grouping.without { "without" } else { "by" };
    write!(f, " {word} ({})", grouping.labels.join(", "))
}

fn write_matcher(f: &mut fmt::Formatter<'_>, matcher: &Matcher) -> fmt::Result {
    write!(f, "{}{}{}", matcher.name, matcher.op.as_str(), quote(&matcher.value))
}

fn write_selection(f: &mut fmt::Formatter<'_>, selection: &LabelSelection) -> fmt::Result {
    match selection {
        LabelSelection::Name(name) => f.write_str(name),
        LabelSelection::Matching(matcher) => write_matcher(f, matcher),
    }
}

fn write_extractions(f: &mut fmt::Formatter<'_>, fields: &[Extraction]) -> fmt::Result {
    if !fields.is_empty() {
        f.write_str(" ")?;
    }
    separated(f, fields, ", ", |f, field| write!(f, "{}={}", field.label, quote(&field.source)))
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    separator: &str,
    mut write_item: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (idx, item) in items.iter().enumerate() {
        if idx > 0 {
            f.write_str(separator)?;
        }
        write_item(f, item)?;
    }
    Ok(())
}

fn number(value: f64) -> String {
    model::format_float(value)
}
