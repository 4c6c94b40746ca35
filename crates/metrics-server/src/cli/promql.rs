//! `promql`: expressions formatted and edited.

use clap::{Args, Subcommand, ValueEnum};
use model::{METRIC_NAME_LABEL, MatchOp, Matcher};
use promql_syntax::{Expr, Features, VectorSelector, pretty};
use service::Failure;

use super::console::print;

/// `promql`
#[derive(Args, Debug)]
pub struct PromqlCommand {
    /// Accepted for compatibility: nothing here is experimental
    #[arg(long, hide = true, global = true)]
    experimental: bool,
    #[command(subcommand)]
    kind: PromqlKind,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum PromqlKind {
    /// Write an expression in its usual form
    Format {
        /// The expression
        query: String,
    },
    /// Edit the matchers of an expression's selectors
    #[command(name = "label-matchers", subcommand)]
    LabelMatchers(MatcherCommand),
}

/// `promql label-matchers`
#[derive(Debug, Subcommand)]
pub(crate) enum MatcherCommand {
    /// Set a matcher in all selectors, in the place of those of the same label
    Set {
        /// The matcher's operator
        #[arg(long = "type", short = 't', default_value = "=")]
        op: Operator,
        /// The expression
        query: String,
        /// The label
        name: String,
        /// The value
        value: String,
    },
    /// Remove the matchers of a label from all selectors
    Delete {
        /// The expression
        query: String,
        /// The label
        name: String,
    },
}

/// A matcher's operator.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Operator {
    /// Equal
    #[value(name = "=")]
    Equal,
    /// Not equal
    #[value(name = "!=")]
    NotEqual,
    /// Matches a regular expression
    #[value(name = "=~")]
    Regex,
    /// Does not match a regular expression
    #[value(name = "!~")]
    NotRegex,
}

impl PromqlCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = match self.kind {
            PromqlKind::Format { query } => pretty(&parse(&query)?),
            PromqlKind::LabelMatchers(MatcherCommand::Set { op, query, name, value }) => {
                let op = match op {
                    Operator::Equal => MatchOp::Equal,
                    Operator::NotEqual => MatchOp::NotEqual,
                    Operator::Regex => MatchOp::Regex,
                    Operator::NotRegex => MatchOp::NotRegex,
                };
                edited(&query, &name, Some(&Matcher::new(&name, op, &value)))?
            }
            PromqlKind::LabelMatchers(MatcherCommand::Delete { query, name }) => edited(&query, &name, None)?,
        };
        print(&format!("{text}\n"))
    }
}

fn parse(query: &str) -> Result<Expr, Failure> {
    promql::parse(query, Features::all()).map_err(Failure::runtime)
}

/// The expression with `matcher` in the place of all matchers of the label in all selectors, in its usual form.
fn edited(query: &str, label: &str, matcher: Option<&Matcher>) -> Result<String, Failure> {
    let mut expr = parse(query)?;
    each_selector(&mut expr, &mut |selector| edit(selector, label, matcher));
    let text = expr.to_string();
    // What is left of a selector must still be one: `{}` matches everything.
    parse(&text).map_err(|failure| Failure::runtime(format!("{text}: {failure}")))?;
    Ok(pretty(&expr))
}

fn edit(selector: &mut VectorSelector, label: &str, matcher: Option<&Matcher>) {
    if label == METRIC_NAME_LABEL {
        selector.name.clear();
    }
    let place = selector.matchers.iter().position(|known| known.name == label);
    selector.matchers.retain(|known| known.name != label);
    if let Some(matcher) = matcher {
        // The name before the braces is the last of the matchers.
        let end = selector.matchers.len() - usize::from(!selector.name.is_empty());
        selector.matchers.insert(place.unwrap_or(end).min(end), matcher.clone());
    }
}

fn each_selector(expr: &mut Expr, change: &mut dyn FnMut(&mut VectorSelector)) {
    match expr {
        Expr::Aggregate(node) => {
            if let Some(param) = &mut node.param {
                each_selector(param, change);
            }
            each_selector(&mut node.expr, change);
        }
        Expr::Binary(node) => {
            each_selector(&mut node.left, change);
            each_selector(&mut node.right, change);
        }
        Expr::Call(node) => node.args.iter_mut().for_each(|arg| each_selector(arg, change)),
        Expr::Subquery(node) => each_selector(&mut node.expr, change),
        Expr::Paren(node) => each_selector(&mut node.expr, change),
        Expr::Unary(node) => each_selector(&mut node.expr, change),
        Expr::Matrix(node) => change(&mut node.selector),
        Expr::Vector(selector) => change(selector),
        Expr::Number(_) | Expr::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_set_and_deleted() {
        let set = Matcher::new("a", MatchOp::Regex, "x.+");
        for (query, matcher, expected) in [
            (
                "rate(m{a=\"b\",c=\"d\"}[5m]) + n",
                Some(&set),
                "rate(m{a=~\"x.+\",c=\"d\"}[5m]) + n{a=~\"x.+\"}",
            ),
            ("sum(m{a!=\"b\",c=\"d\"})", None, "sum(m{c=\"d\"})"),
            ("time()", Some(&set), "time()"),
        ] {
            assert_eq!(edited(query, "a", matcher).expect("valid"), expected);
        }
        assert!(edited("{a=\"b\"}", "a", None).is_err(), "nothing would be left to match");
    }
}
