//! Long queries over several lines, two spaces deeper at each level.

use super::{needs_parentheses, number, operator_text};
use crate::literal::quote;
use crate::{BinaryExpr, Expr, Grouping, LogExpr, MetricExpr, MetricKind, RangeAggregation};

/// What fits on one line, in characters.
const LINE_CHARS_MAX: usize = 100;

impl Expr {
    /// The query as `format_query` shows it: on one line if that is short, else with a stage or an operand per line.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Log(log) => pretty_log(&mut out, log, 0),
            Self::Metric(metric) => pretty_metric(&mut out, metric, 0),
        }
        out
    }
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

/// Writes `text` whole if it fits.
fn fits(out: &mut String, text: &str, level: usize) -> bool {
    let fits = level * 2 + text.chars().count() <= LINE_CHARS_MAX;
    if fits {
        indent(out, level);
        out.push_str(text);
    }
    fits
}

fn pretty_log(out: &mut String, log: &LogExpr, level: usize) {
    if fits(out, &log.to_string(), level) {
        return;
    }
    let selector = LogExpr { matchers: log.matchers.clone(), stages: Vec::new(), span: log.span };
    indent(out, level);
    out.push_str(&selector.to_string());
    for stage in &log.stages {
        out.push('\n');
        indent(out, level + 1);
        out.push_str(&stage.kind.to_string());
    }
}

fn pretty_metric(out: &mut String, metric: &MetricExpr, level: usize) {
    if fits(out, &metric.to_string(), level) {
        return;
    }
    match &metric.kind {
        MetricKind::RangeAggregation(aggregation) => pretty_range(out, aggregation, level),
        MetricKind::VectorAggregation(aggregation) => {
            indent(out, level);
            out.push_str(aggregation.op.as_str());
            push_grouping(out, aggregation.grouping.as_ref());
            out.push_str(if aggregation.grouping.is_some() { " (" } else { "(" });
            if let Some(parameter) = aggregation.parameter {
                out.push('\n');
                indent(out, level + 1);
                out.push_str(&format!("{parameter},"));
            }
            out.push('\n');
            pretty_metric(out, &aggregation.inner, level + 1);
            close(out, level);
        }
        MetricKind::Binary(binary) => pretty_binary(out, binary, level),
        MetricKind::LabelReplace(replace) => {
            indent(out, level);
            out.push_str("label_replace(\n");
            pretty_metric(out, &replace.inner, level + 1);
            for text in [&replace.target, &replace.replacement, &replace.source, &replace.regex] {
                out.push_str(",\n");
                indent(out, level + 1);
                out.push_str(&quote(text));
            }
            close(out, level);
        }
        MetricKind::Vector(_) | MetricKind::Literal(_) => {
            indent(out, level);
            out.push_str(&metric.to_string());
        }
    }
}

fn pretty_range(out: &mut String, aggregation: &RangeAggregation, level: usize) {
    indent(out, level);
    out.push_str(aggregation.op.as_str());
    out.push('(');
    if let Some(parameter) = aggregation.parameter {
        out.push('\n');
        indent(out, level + 1);
        out.push_str(&number(parameter));
        out.push(',');
    }
    out.push('\n');
    let range = &aggregation.range;
    pretty_log(out, &range.log, level + 1);
    if let Some(unwrap) = &range.unwrap {
        out.push('\n');
        indent(out, level + 2);
        out.push_str(&unwrap.to_string());
    }
    let whole = range.to_string();
    // The range and its offset stand after the last bracket that opens: neither holds another.
    out.push(' ');
    out.push_str(whole.rfind('[').map_or("", |at| &whole[at..]));
    close(out, level);
    push_grouping(out, aggregation.grouping.as_ref());
}

fn pretty_binary(out: &mut String, binary: &BinaryExpr, level: usize) {
    pretty_operand(out, &binary.left, binary, level, true);
    out.push('\n');
    indent(out, level);
    out.push_str(&operator_text(binary));
    out.push('\n');
    pretty_operand(out, &binary.right, binary, level, false);
}

fn pretty_operand(out: &mut String, operand: &MetricExpr, parent: &BinaryExpr, level: usize, is_left: bool) {
    if !needs_parentheses(operand, parent, is_left) {
        return pretty_metric(out, operand, level + 1);
    }
    indent(out, level + 1);
    out.push_str("(\n");
    pretty_metric(out, operand, level + 2);
    close(out, level + 1);
}

fn push_grouping(out: &mut String, grouping: Option<&Grouping>) {
    if let Some(grouping) = grouping {
        let word = if grouping.without { "without" } else { "by" };
        out.push_str(&format!(" {word} ({})", grouping.labels.join(", ")));
    }
}

fn close(out: &mut String, level: usize) {
    out.push('\n');
    indent(out, level);
    out.push(')');
}
