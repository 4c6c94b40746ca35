//! Metric expressions: aggregations, operators and their precedence.

use super::Parser;
use crate::token::TokenKind;
use crate::{
    BinaryExpr, BinaryOp, Cardinality, Grouping, LabelReplace, Matching, MetricExpr, MetricKind, ParseError,
    RangeAggregation, RangeExpr, RangeOp, Span, VectorAggregation, VectorOp,
};

impl Parser<'_> {
    pub(super) fn metric_expr(&mut self) -> Result<MetricExpr, ParseError> {
        self.operators_from(1)
    }

    /// Operators that bind at least as tightly as `lowest`.
    fn operators_from(&mut self, lowest: u8) -> Result<MetricExpr, ParseError> {
        let start = self.span().start;
        let mut left = self.primary()?;
        while let Some(op) = self.peek_operator() {
            if op.precedence() < lowest {
                break;
            }
            self.operators += 1;
            if self.operators > super::OPERATORS_MAX {
                let message = format!("more than {} binary operators", super::OPERATORS_MAX);
                return self.fail_at(self.span(), message);
            }
            let operator_span = self.span();
            self.advance();
            let returns_bool = self.take_word("bool");
            let matching = self.matching()?;
            // `^` takes what follows first, all others what came before.
            let next = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
            let right = self.nested(|parser| parser.operators_from(next))?;
            self.check_operands(op, &left, &right, operator_span)?;
            let binary = BinaryExpr { op, left, right, returns_bool, matching };
            left = MetricExpr { kind: MetricKind::Binary(Box::new(binary)), span: self.span_from(start) };
        }
        Ok(left)
    }

    fn check_operands(
        &self,
        op: BinaryOp,
        left: &MetricExpr,
        right: &MetricExpr,
        span: Span,
    ) -> Result<(), ParseError> {
        if !op.is_set() {
            return Ok(());
        }
        for (operand, side) in [(left, "left"), (right, "right")] {
            if operand.is_scalar() {
                let message = format!(
                    "unexpected literal for {side} leg of logical/set binary operation ({})",
                    op.as_str()
                );
                return self.fail_at(span, message);
            }
        }
        Ok(())
    }

    fn peek_operator(&self) -> Option<BinaryOp> {
        Some(match self.peek() {
            TokenKind::Sign("==") => BinaryOp::Equal,
            TokenKind::Sign("!=") => BinaryOp::NotEqual,
            TokenKind::Sign(">") => BinaryOp::Greater,
            TokenKind::Sign(">=") => BinaryOp::GreaterOrEqual,
            TokenKind::Sign("<") => BinaryOp::Less,
            TokenKind::Sign("<=") => BinaryOp::LessOrEqual,
            TokenKind::Sign("+") => BinaryOp::Add,
            TokenKind::Sign("-") => BinaryOp::Sub,
            TokenKind::Sign("*") => BinaryOp::Mul,
            TokenKind::Sign("/") => BinaryOp::Div,
            TokenKind::Sign("%") => BinaryOp::Mod,
            TokenKind::Sign("^") => BinaryOp::Pow,
            TokenKind::Ident(name) if name.eq_ignore_ascii_case("or") => BinaryOp::Or,
            TokenKind::Ident(name) if name.eq_ignore_ascii_case("and") => BinaryOp::And,
            TokenKind::Ident(name) if name.eq_ignore_ascii_case("unless") => BinaryOp::Unless,
            _ => return None,
        })
    }

    fn matching(&mut self) -> Result<Option<Matching>, ParseError> {
        let on = self.is_word("on");
        if !on && !self.is_word("ignoring") {
            return Ok(None);
        }
        self.advance();
        let labels = self.label_list()?;
        let mut matching = Matching { on, labels, cardinality: Cardinality::OneToOne, include: Vec::new() };
        if self.take_word("group_left") {
            matching.cardinality = Cardinality::ManyToOne;
        } else if self.take_word("group_right") {
            matching.cardinality = Cardinality::OneToMany;
        } else {
            return Ok(Some(matching));
        }
        // A parenthesis after `group_left` is its list if names and commas alone stand in it.
        if self.is_sign("(") && self.is_label_list() {
            matching.include = self.label_list()?;
        }
        Ok(Some(matching))
    }

    fn is_label_list(&self) -> bool {
        let mut tokens = self.tokens[self.at + 1..].iter().map(|token| &token.kind);
        let end = tokens.find(|kind| !matches!(kind, TokenKind::Ident(_) | TokenKind::Sign(",")));
        end == Some(&TokenKind::Sign(")"))
    }

    fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect_sign("(")?;
        let mut labels = Vec::new();
        while !self.take_sign(")") {
            if !labels.is_empty() && !self.take_sign(",") {
                return self.unexpected(", or )");
            }
            labels.push(self.expect_name()?);
        }
        Ok(labels)
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    fn primary(&mut self) -> Result<MetricExpr, ParseError> {
        let start = self.span().start;
        let kind = match self.peek() {
            TokenKind::Number(value) => {
                let value = *value;
                self.advance();
                MetricKind::Literal(value)
            }
            TokenKind::Sign(sign @ ("+" | "-")) => {
                let negative = *sign == "-";
                self.advance();
                let TokenKind::Number(value) = *self.peek() else { return self.unexpected("NUMBER") };
                self.advance();
                MetricKind::Literal(if negative { -value } else { value })
            }
            TokenKind::Sign("(") => {
                return self.nested(|parser| {
                    parser.advance();
                    let inner = parser.metric_expr()?;
                    parser.expect_sign(")")?;
                    Ok(inner)
                });
            }
            TokenKind::Ident(name) => {
                let name = *name;
                self.nested(|parser| parser.call(name))?
            }
            _ => return self.unexpected(""),
        };
        Ok(MetricExpr { kind, span: self.span_from(start) })
    }

    fn call(&mut self, name: &str) -> Result<MetricKind, ParseError> {
        let opens = *self.peek_second() == TokenKind::Sign("(");
        let groups = matches!(self.peek_second(), TokenKind::Ident(word)
            if word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"));
        if opens && let Some(op) = RangeOp::parse(name) {
            return self.range_aggregation(op);
        }
        if (opens || groups)
            && let Some(op) = VectorOp::parse(name)
        {
            return self.vector_aggregation(op);
        }
        if opens && name.eq_ignore_ascii_case("label_replace") {
            return self.label_replace();
        }
        if opens && name.eq_ignore_ascii_case("vector") {
            self.advance();
            self.advance();
            let negative = self.take_sign("-");
            let TokenKind::Number(value) = *self.peek() else { return self.unexpected("NUMBER") };
            self.advance();
            self.expect_sign(")")?;
            return Ok(MetricKind::Vector(if negative { -value } else { value }));
        }
        self.unexpected("")
    }

    fn number_parameter(&mut self) -> Result<Option<f64>, ParseError> {
        let is_signed = self.is_sign("-") || self.is_sign("+");
        let number = if is_signed { self.peek_second() } else { self.peek() };
        let TokenKind::Number(value) = *number else { return Ok(None) };
        // A number that no comma follows is an operand.
        let comma_at = self.at + 1 + usize::from(is_signed);
        if self.tokens.get(comma_at).map(|token| &token.kind) != Some(&TokenKind::Sign(",")) {
            return Ok(None);
        }
        let value = if self.is_sign("-") { -value } else { value };
        self.at = comma_at + 1;
        Ok(Some(value))
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Result<MetricKind, ParseError> {
        let start = self.span();
        self.advance();
        self.advance();
        let parameter = self.number_parameter()?;
        let range = self.range_expr()?;
        self.expect_sign(")")?;
        let grouping = self.grouping()?;
        self.check_range_aggregation(op, parameter, &range, grouping.as_ref(), start)?;
        Ok(MetricKind::RangeAggregation(Box::new(RangeAggregation { op, parameter, range, grouping })))
    }

    fn check_range_aggregation(
        &self,
        op: RangeOp,
        parameter: Option<f64>,
        range: &RangeExpr,
        grouping: Option<&Grouping>,
        span: Span,
    ) -> Result<(), ParseError> {
        let name = op.as_str();
        if op == RangeOp::QuantileOverTime {
            if parameter.is_none() {
                return self.fail_at(span, format!("parameter required for operation {name}"));
            }
        } else if let Some(value) = parameter {
            return self.fail_at(span, format!("parameter {value} not supported for operation {name}"));
        }
        if grouping.is_some() && !op.allows_grouping() {
            return self.fail_at(span, format!("grouping not allowed for {name} aggregation"));
        }
        if range.unwrap.is_some() && !op.allows_unwrap() {
            return self.fail_at(span, format!("invalid aggregation {name} with unwrap"));
        }
        if range.unwrap.is_none() && !op.allows_lines() {
            return self.fail_at(span, format!("invalid aggregation {name} without unwrap"));
        }
        Ok(())
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Result<MetricKind, ParseError> {
        let start = self.span();
        let name = op.as_str();
        self.advance();
        let before = self.grouping()?;
        self.expect_sign("(")?;
        let parameter = self.number_parameter()?;
        if let (Some(value), false) = (parameter, op.takes_parameter()) {
            return self.fail_at(start, format!("unsupported parameter for operation {name}({value},"));
        }
        let inner = self.metric_expr()?;
        self.expect_sign(")")?;
        let grouping = match (before, self.is_word("by") || self.is_word("without")) {
            (Some(_), true) => return self.unexpected(""),
            (Some(grouping), false) => Some(grouping),
            (None, _) => self.grouping()?,
        };
        if inner.is_scalar() {
            return self.fail_at(inner.span, format!("{name} needs a vector, not a number"));
        }
        if grouping.is_some() && !op.allows_grouping() {
            return self.fail_at(start, format!("grouping not allowed for {name} aggregation"));
        }
        let parameter = match parameter {
            None if op.takes_parameter() => {
                return self.fail_at(start, format!("parameter required for operation {name}"));
            }
            None => None,
            Some(value) if value.fract() != 0.0 || value.abs() > 1e15 => {
                return self.fail_at(start, format!("invalid parameter {name}({value},"));
            }
            Some(value) if value < 1.0 => {
                let message = format!("invalid parameter (must be greater than 0) {name}({value}");
                return self.fail_at(start, message);
            }
            Some(value) => Some(value as u64),
        };
        let aggregation = VectorAggregation { op, parameter, grouping, inner };
        Ok(MetricKind::VectorAggregation(Box::new(aggregation)))
    }

    fn label_replace(&mut self) -> Result<MetricKind, ParseError> {
        self.advance();
        self.advance();
        let inner = self.metric_expr()?;
        let mut texts = [const { String::new() }; 4];
        for text in &mut texts {
            self.expect_sign(",")?;
            *text = self.expect_text()?;
        }
        self.expect_sign(")")?;
        if inner.is_scalar() {
            return self.fail_at(inner.span, "label_replace needs a vector, not a number");
        }
        let [target, replacement, source, regex] = texts;
        Ok(MetricKind::LabelReplace(Box::new(LabelReplace { inner, target, replacement, source, regex })))
    }
}
