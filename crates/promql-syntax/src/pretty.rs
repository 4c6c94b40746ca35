//! The text of a tree over several lines, for people.

use crate::Expr;
use crate::print::{aggregate_head, binary_head, subquery_tail};

/// Expressions longer than this are split over lines.
const LINE_BYTES_MAX: usize = 100;

/// Formats an expression as `/api/v1/format_query` does: parts that do not fit on a line of 100 are split and indented.
pub fn pretty(expr: &Expr) -> String {
    at_level(expr, 0)
}

fn at_level(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let flat = expr.to_string();
    let fits = flat.len() <= LINE_BYTES_MAX;
    match expr {
        Expr::Subquery(node) if fits => format!("{}{}", node.expr, subquery_tail(node)),
        Expr::Subquery(node) => format!("{}{}", at_level(&node.expr, level), subquery_tail(node)),
        Expr::Unary(node) => {
            let sign = if node.negative { "-" } else { "+" };
            format!("{indent}{sign}{}", at_level(&node.expr, level).trim())
        }
        _ if fits => format!("{indent}{flat}"),
        Expr::Aggregate(node) => {
            let param = match &node.param {
                Some(param) => format!("{},\n", at_level(param, level + 1)),
                None => String::new(),
            };
            let inner = at_level(&node.expr, level + 1);
            format!("{indent}{}(\n{param}{inner}\n{indent})", aggregate_head(node))
        }
        Expr::Binary(node) => {
            let (left, right) = (at_level(&node.left, level + 1), at_level(&node.right, level + 1));
            format!("{left}\n{indent}{}\n{right}", binary_head(node))
        }
        Expr::Call(node) => {
            let args: Vec<String> = node.args.iter().map(|arg| at_level(arg, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", node.function.name, args.join(",\n"))
        }
        Expr::Paren(node) => format!("{indent}(\n{}\n{indent})", at_level(&node.expr, level + 1)),
        Expr::Matrix(_) | Expr::Vector(_) | Expr::Number(_) | Expr::String(_) => format!("{indent}{flat}"),
    }
}
