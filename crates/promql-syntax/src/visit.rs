//! Walks over trees.

use crate::Expr;
use crate::ast::{DurationArg, VectorSelector};

/// A selector of an expression, with what surrounds it.
#[derive(Clone, Copy, Debug)]
pub struct SelectorUse<'a> {
    /// The selector: name, matchers, offset, `@`.
    pub selector: &'a VectorSelector,
    /// The range of `m[5m]`, if it has one.
    pub range: Option<&'a DurationArg>,
    /// Ranges of the subqueries around it, outermost first; at most what the nesting allows.
    pub subquery_depth: usize,
}

/// Calls `visit` for the expression and everything in it, parents first.
pub fn walk<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    visit(expr);
    for child in children(expr) {
        walk(child, visit);
    }
}

/// The expressions directly inside.
pub fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(node) => node.param.iter().chain([&node.expr]).collect(),
        Expr::Binary(node) => vec![&node.left, &node.right],
        Expr::Call(node) => node.args.iter().collect(),
        Expr::Subquery(node) => vec![&node.expr],
        Expr::Paren(node) => vec![&node.expr],
        Expr::Unary(node) => vec![&node.expr],
        Expr::Matrix(_) | Expr::Vector(_) | Expr::Number(_) | Expr::String(_) => Vec::new(),
    }
}

/// All selectors of an expression in reading order.
pub fn selectors(expr: &Expr) -> Vec<SelectorUse<'_>> {
    let mut found = Vec::new();
    collect(expr, 0, &mut found);
    found
}

fn collect<'a>(expr: &'a Expr, subquery_depth: usize, found: &mut Vec<SelectorUse<'a>>) {
    match expr {
        Expr::Vector(selector) => found.push(SelectorUse { selector, range: None, subquery_depth }),
        Expr::Matrix(node) => {
            found.push(SelectorUse { selector: &node.selector, range: Some(&node.range), subquery_depth });
        }
        _ => {
            let depth = subquery_depth + usize::from(matches!(expr, Expr::Subquery(_)));
            for child in children(expr) {
                collect(child, depth, found);
            }
        }
    }
}
