//! The canonical text of a tree, on one line.

use std::fmt;

use model::{METRIC_NAME_LABEL, MatchOp, Matcher, Quoted, format_duration_ms, is_legacy_label_name};

use crate::Expr;
use crate::ast::{
    Aggregate, AtModifier, Binary, Call, Cardinality, DurationArg, MatrixSelector, NumberLiteral,
    RangeExtension, Subquery, VectorSelector,
};

/// Writes the expression in its canonical form; parsing that gives the same tree but for places.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregate(node) => {
                f.write_str(&aggregate_head(node))?;
                f.write_str("(")?;
                if let Some(param) = &node.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", node.expr)
            }
            Self::Binary(node) => write!(f, "{} {} {}", node.left, binary_head(node), node.right),
            Self::Call(node) => write!(f, "{node}"),
            Self::Subquery(node) => write!(f, "{}{}", node.expr, subquery_tail(node)),
            Self::Matrix(node) => write!(f, "{node}"),
            Self::Vector(node) => write!(f, "{node}"),
            Self::Number(node) => write!(f, "{node}"),
            Self::String(node) => write!(f, "{}", Quoted(&node.value)),
            Self::Paren(node) => write!(f, "({})", node.expr),
            Self::Unary(node) => write!(f, "{}{}", if node.negative { "-" } else { "+" }, node.expr),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (idx, arg) in self.args.iter().enumerate() {
            if idx > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{arg}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for NumberLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            return f.write_str(&format_duration_ms((self.value * 1000.0).round() as i64));
        }
        match self.value {
            value if value.is_infinite() => f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" }),
            value => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for DurationArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(ms) => f.write_str(&format_duration_ms(*ms)),
            Self::Expr(expr) => write!(f, "{expr}"),
        }
    }
}

impl fmt::Display for VectorSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(self, f)?;
        f.write_str(&at_text(self.at))?;
        f.write_str(extension_text(self.extension))?;
        f.write_str(&offset_text(&self.offset))
    }
}

impl fmt::Display for MatrixSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(&self.selector, f)?;
        write!(f, "[{}]{}", self.range, extension_text(self.selector.extension))?;
        f.write_str(&at_text(self.selector.at))?;
        f.write_str(&offset_text(&self.selector.offset))
    }
}

fn write_series(selector: &VectorSelector, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&selector.name)?;
    let is_name = |matcher: &&Matcher| {
        !selector.name.is_empty()
            && matcher.name == METRIC_NAME_LABEL
            && matcher.op == MatchOp::Equal
            && matcher.value == selector.name
    };
    let mut texts: Vec<String> =
        selector.matchers.iter().filter(|matcher| !is_name(matcher)).map(matcher_text).collect();
    if texts.is_empty() {
        return if selector.name.is_empty() { f.write_str("{}") } else { Ok(()) };
    }
    texts.sort();
    write!(f, "{{{}}}", texts.join(","))
}

fn matcher_text(matcher: &Matcher) -> String {
    let (op, value) = (matcher.op.as_str(), Quoted(&matcher.value));
    if is_legacy_label_name(&matcher.name) {
        format!("{}{op}{value}", matcher.name)
    } else {
        format!("{}{op}{value}", Quoted(&matcher.name))
    }
}

fn label_list(labels: &[String]) -> String {
    let texts: Vec<String> = labels
        .iter()
        .map(|label| if is_legacy_label_name(label) { label.clone() } else { Quoted(label).to_string() })
        .collect();
    texts.join(", ")
}

/// `sum by (a, b) `, without the arguments.
pub(crate) fn aggregate_head(node: &Aggregate) -> String {
    let name = node.op.as_str();
    match (node.without, node.grouping.is_empty()) {
        (true, _) => format!("{name} without ({}) ", label_list(&node.grouping)),
        (false, false) => format!("{name} by ({}) ", label_list(&node.grouping)),
        (false, true) => name.to_owned(),
    }
}

/// The operator with its modifiers.
pub(crate) fn binary_head(node: &Binary) -> String {
    let mut text = node.op.as_str().to_owned();
    if node.return_bool {
        text.push_str(" bool");
    }
    let Some(matching) = &node.matching else { return text };
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        let word = if matching.on { "on" } else { "ignoring" };
        text.push_str(&format!(" {word} ({})", label_list(&matching.labels)));
    }
    if let Some(side) = group {
        text.push_str(&format!(" group_{side} ({})", label_list(&matching.include)));
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            text.push_str(&format!(" fill ({})", plain(left)));
        }
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    text.push_str(&format!(" fill_{side} ({})", plain(value)));
                }
            }
        }
    }
    text
}

fn plain(value: f64) -> String {
    if value.is_infinite() { model::format_float(value) } else { value.to_string() }
}

/// `[5m:1m] @ 1.000 offset 1m`
pub(crate) fn subquery_tail(node: &Subquery) -> String {
    let step = node.step.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("[{}:{step}]{}{}", node.range, at_text(node.at), offset_text(&node.offset))
}

fn at_text(at: Option<AtModifier>) -> String {
    match at {
        None => String::new(),
        Some(AtModifier::Timestamp(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
        Some(AtModifier::Start) => " @ start()".to_owned(),
        Some(AtModifier::End) => " @ end()".to_owned(),
    }
}

fn offset_text(offset: &DurationArg) -> String {
    if *offset == DurationArg::default() { String::new() } else { format!(" offset {offset}") }
}

fn extension_text(extension: Option<RangeExtension>) -> &'static str {
    match extension {
        None => "",
        Some(RangeExtension::Anchored) => " anchored",
        Some(RangeExtension::Smoothed) => " smoothed",
    }
}
