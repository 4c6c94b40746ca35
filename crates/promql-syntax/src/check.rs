//! Checks types and what the grammar cannot say.

use model::METRIC_NAME_LABEL;

use crate::Quoted;
use crate::ast::{Aggregate, Binary, Call, Cardinality, ValueType, VectorSelector};
use crate::function::ExtraArgs;
use crate::{Expr, ParseError, ParseOptions, Span};

/// Checks the tree and completes its vector matching; the first error in reading order of the checks.
pub(crate) fn check(input: &str, expr: &mut Expr, options: &ParseOptions<'_>) -> Option<ParseError> {
    let mut checker = Checker { input, options, error: None };
    checker.expr(expr);
    checker.error
}

/// Checks a selector that stands alone.
pub(crate) fn check_selector(
    input: &str,
    selector: &VectorSelector,
    options: &ParseOptions<'_>,
) -> Option<ParseError> {
    let mut checker = Checker { input, options, error: None };
    checker.selector(selector, false);
    checker.error
}

struct Checker<'a> {
    input: &'a str,
    options: &'a ParseOptions<'a>,
    error: Option<ParseError>,
}

impl Checker<'_> {
    fn fail(&mut self, span: Span, message: impl Into<String>) {
        if self.error.is_none() {
            self.error = Some(ParseError::new(self.input, span, message));
        }
    }

    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        let span = expr.span();
        match expr {
            Expr::Aggregate(node) => self.aggregate(node),
            Expr::Binary(node) => self.binary(node, span),
            Expr::Call(node) => self.call(node),
            Expr::Paren(node) => {
                self.expr(&mut node.expr);
            }
            Expr::Unary(node) => {
                let found = self.expr(&mut node.expr);
                if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                    let found = found.documented();
                    self.fail(
                        span,
                        format!(
                            "unary expression only allowed on expressions of type scalar or instant vector, got {found:?}"
                        ),
                    );
                }
            }
            Expr::Subquery(node) => {
                let found = self.expr(&mut node.expr);
                if found != ValueType::Vector {
                    self.fail(
                        span,
                        format!("subquery is only allowed on instant vector, got {found} instead"),
                    );
                }
            }
            Expr::Matrix(node) => self.selector(&node.selector, false),
            Expr::Vector(node) => self.selector(node, false),
            Expr::Number(_) | Expr::String(_) => {}
        }
        expr.value_type()
    }

    fn expect_type(&mut self, expr: &mut Expr, wanted: ValueType, context: &str) {
        let found = self.expr(expr);
        if found != wanted {
            let (wanted, found) = (wanted.documented(), found.documented());
            self.fail(expr.span(), format!("expected type {wanted} in {context}, got {found}"));
        }
    }

    fn aggregate(&mut self, node: &mut Aggregate) {
        self.expect_type(&mut node.expr, ValueType::Vector, "aggregation expression");
        if let Some(param) = &mut node.param {
            let wanted = if node.op.param_is_string() { ValueType::String } else { ValueType::Scalar };
            self.expect_type(param, wanted, "aggregation parameter");
        }
    }

    fn binary(&mut self, node: &mut Binary, span: Span) {
        let left = self.expr(&mut node.left);
        let right = self.expr(&mut node.right);
        let op = node.op;
        let op_span = self.operator_span(node);
        if node.return_bool && !op.is_comparison() {
            self.fail(op_span, "bool modifier can only be used on comparison operators");
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if op.is_comparison() && !node.return_bool && scalars {
            self.fail(op_span, "comparisons between scalars must use BOOL modifier");
        }
        let mut matching = node.matching.take().unwrap_or_default();
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        if matching.on
            && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", Quoted(label));
            self.fail(op_span, message);
        }
        for (side, expr) in [(left, &node.left), (right, &node.right)] {
            if !matches!(side, ValueType::Scalar | ValueType::Vector) {
                self.fail(expr.span(), "binary expression must contain only scalar and instant vector types");
            }
        }
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        if left != ValueType::Vector || right != ValueType::Vector {
            if !matching.labels.is_empty() {
                self.fail(span, "vector matching only allowed between instant vectors");
            }
            if filled {
                self.fail(span, "filling in missing series only allowed between instant vectors");
            }
        } else {
            if op.is_set() {
                if matching.cardinality != Cardinality::ManyToMany {
                    self.fail(span, format!("no grouping allowed for {:?} operation", op.as_str()));
                }
                if filled {
                    self.fail(span, "filling in missing series not allowed for set operators");
                }
            }
            node.matching = Some(matching);
        }
        if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
            let name = op.as_str();
            self.fail(span, format!("set operator {name:?} not allowed in binary scalar expression"));
        }
    }

    /// The operator and its modifiers, without the blanks around them.
    fn operator_span(&self, node: &Binary) -> Span {
        let (start, end) = (node.left.span().end, node.right.span().start);
        let Some(between) = self.input.get(start..end) else { return node.left.span() };
        let trimmed = between.trim_start();
        let start = end - trimmed.len();
        Span::new(start, start + trimmed.trim_end().len().saturating_sub(1))
    }

    fn call(&mut self, node: &mut Call) {
        let function = node.function;
        let (given, wanted) = (node.args.len(), function.args.len());
        let name = function.name;
        match function.extra {
            ExtraArgs::None if given != wanted => {
                self.fail(
                    node.span,
                    format!("expected {wanted} argument(s) in call to {name:?}, got {given}"),
                );
            }
            ExtraArgs::UpTo(_) | ExtraArgs::Any if given < wanted - 1 => {
                let least = wanted - 1;
                self.fail(
                    node.span,
                    format!("expected at least {least} argument(s) in call to {name:?}, got {given}"),
                );
            }
            ExtraArgs::UpTo(extra) if given > wanted - 1 + extra => {
                let most = wanted - 1 + extra;
                self.fail(
                    node.span,
                    format!("expected at most {most} argument(s) in call to {name:?}, got {given}"),
                );
            }
            _ => {}
        }
        let is_info = name == "info";
        for (idx, arg) in node.args.iter_mut().enumerate() {
            if is_info && idx == 1 {
                self.info_selector(arg, node.span);
                continue;
            }
            let Some(wanted) = function.args.get(idx).or_else(|| function.args.last()) else { break };
            if idx >= function.args.len() && function.extra == ExtraArgs::None {
                break;
            }
            let found = self.expr(arg);
            if found != *wanted {
                let (wanted, found) = (wanted.documented(), found.documented());
                self.fail(
                    arg.span(),
                    format!("expected type {wanted} in call to function {name:?}, got {found}"),
                );
            }
        }
    }

    /// The second argument of `info`: matchers without a name, which may all match the empty value.
    fn info_selector(&mut self, arg: &mut Expr, call: Span) {
        let found = arg.value_type();
        if found != ValueType::Vector {
            let found = found.documented();
            self.fail(
                call,
                format!("expected type instant vector in call to function \"info\", got {found}"),
            );
        }
        match arg {
            Expr::Vector(selector) if selector.name.is_empty() => {
                self.selector(selector, true);
            }
            Expr::Vector(selector) => {
                self.fail(selector.span, "expected label selectors only, got vector selector instead");
            }
            _ => self.fail(arg.span(), "expected label selectors only"),
        }
    }

    fn selector(&mut self, selector: &VectorSelector, may_be_empty: bool) {
        if !selector.name.is_empty() {
            let others = &selector.matchers[..selector.matchers.len().saturating_sub(1)];
            if let Some(twice) = others.iter().find(|matcher| matcher.name == METRIC_NAME_LABEL) {
                let (name, value) = (Quoted(&selector.name), Quoted(&twice.value));
                self.fail(selector.span, format!("metric name must not be set twice: {name} or {value}"));
            }
            return;
        }
        let is_restricted =
            selector.matchers.iter().any(|matcher| (self.options.check_matcher)(matcher) == Ok(false));
        if !may_be_empty && !is_restricted {
            self.fail(selector.span, "vector selector must contain at least one non-empty matcher");
        }
    }
}
