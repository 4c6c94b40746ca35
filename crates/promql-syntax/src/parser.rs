//! Tokens into a tree, by precedence climbing.

mod duration;
mod modifiers;
mod selector;

use std::mem;

use crate::ast::{
    Aggregate, Binary, Call, Cardinality, NumberLiteral, Paren, StringLiteral, Unary, VectorMatching,
};
use crate::function::{Function, function};
use crate::lexer::Lexer;
use crate::op::{AggregateOp, BinaryOp};
use crate::quote::unquote;
use crate::token::{Keyword, Token, TokenKind};
use crate::{Expr, ParseError, ParseOptions, Span, check};

/// How deep expressions may nest; long chains of operators count too. Bounds the stack of everything that walks the tree.
pub const NESTING_MAX: usize = 256;

/// How deep parentheses, calls and signs may nest: the parser itself needs the most stack for these.
const DEPTH_MAX: usize = 100;

/// Precedence of a sign: as `*`, so that `-a ^ b` is `-(a ^ b)`.
const UNARY_PRECEDENCE: u8 = 5;

/// Parses an expression and checks its types.
pub fn parse_expr(input: &str, options: &ParseOptions<'_>) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(input, options)?;
    if parser.token.kind == TokenKind::Eof {
        return Err(ParseError::new(input, Span::default(), "no expression found in input"));
    }
    let parsed = parser.expression(0, 0);
    let expr =
        parser.first_error(parsed.and_then(|expr| {
            if parser_at_end(&parser) { Ok(expr) } else { Err(parser.unexpected("", "")) }
        }))?;
    let mut expr = expr;
    match check::check(input, &mut expr, options) {
        Some(error) => Err(error),
        None => Ok(expr),
    }
}

fn parser_at_end(parser: &Parser<'_>) -> bool {
    parser.token.kind == TokenKind::Eof
}

/// Parses the matchers of a selector such as `{job="x"}` or `up{job="x"}` (`match[]` of the HTTP API).
pub fn parse_metric_selector(
    input: &str,
    options: &ParseOptions<'_>,
) -> Result<Vec<model::Matcher>, ParseError> {
    let mut parser = Parser::new(input, options)?;
    let starts = parser.token.kind == TokenKind::LeftBrace || parser.token.kind.is_metric_identifier();
    let parsed = if starts { parser.vector_selector() } else { Err(parser.unexpected("", "")) };
    let parsed =
        parsed.and_then(
            |selector| {
                if parser_at_end(&parser) { Ok(selector) } else { Err(parser.unexpected("", "")) }
            },
        );
    let selector = parser.first_error(parsed)?;
    match check::check_selector(input, &selector, options) {
        Some(error) => Err(error),
        None => Ok(selector.matchers),
    }
}

pub(crate) struct Parser<'a> {
    input: &'a str,
    options: &'a ParseOptions<'a>,
    lexer: Lexer<'a>,
    /// The token being looked at.
    token: Token,
    /// Where the last taken token ended.
    last_end: usize,
    /// The first fault that did not stop the parser.
    fault: Option<ParseError>,
    /// What the innermost construct says of an unexpected token: where it is, and what was expected.
    context: (&'static str, &'static str),
    /// The height of the tree that was built last.
    height: usize,
}

pub(crate) type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    pub(crate) fn new(input: &'a str, options: &'a ParseOptions<'a>) -> Parsed<Self> {
        let mut lexer = Lexer::new(input);
        let token = lexer.next_token()?;
        Ok(Self { input, options, lexer, token, last_end: 0, fault: None, context: ("", ""), height: 0 })
    }

    /// Faults that did not stop the parser come first: they stand further left.
    fn first_error<T>(&mut self, parsed: Parsed<T>) -> Parsed<T> {
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => parsed,
        }
    }

    /// An expression whose operators bind at least as tightly as `precedence`.
    fn expression(&mut self, precedence: u8, depth: usize) -> Parsed<Expr> {
        if depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        let mut left = self.unary(depth)?;
        let mut height = self.height;
        while let TokenKind::Op(op) = self.token.kind {
            if op.precedence() < precedence.max(1) {
                break;
            }
            self.advance()?;
            let (return_bool, matching) = self.binary_modifiers()?;
            // `^` binds to the right, all others to the left.
            let right_precedence = op.precedence() + u8::from(op != BinaryOp::Pow);
            let right = self.expression(right_precedence, depth + 1)?;
            height = height.max(self.height) + 1;
            if height > NESTING_MAX {
                return Err(self.too_deep());
            }
            let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
            let binary = Binary { op, left, right, return_bool, matching: Some(matching) };
            left = Expr::Binary(Box::new(binary));
            if filled && !self.options.features.binop_fill_modifiers {
                self.fault(left.span(), "binop fill modifiers are experimental and not enabled");
            }
        }
        self.height = height;
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Parsed<Expr> {
        let negative = match self.token.kind {
            TokenKind::Op(BinaryOp::Sub) => true,
            TokenKind::Op(BinaryOp::Add) => false,
            _ => return self.postfix(depth),
        };
        let start = self.token.span.start;
        self.advance()?;
        let inner = self.expression(UNARY_PRECEDENCE + 1, depth + 1)?;
        self.height += 1;
        Ok(match inner {
            Expr::Number(mut number) => {
                number.span.start = start;
                if negative {
                    number.value = -number.value;
                }
                Expr::Number(number)
            }
            expr => Expr::Unary(Box::new(Unary { negative, expr, start })),
        })
    }

    /// A primary expression and the modifiers after it.
    fn postfix(&mut self, depth: usize) -> Parsed<Expr> {
        let mut expr = self.primary(depth)?;
        loop {
            expr = match self.token.kind {
                TokenKind::LeftBracket => self.range_or_subquery(expr)?,
                TokenKind::At => self.at_modifier(expr)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset_modifier(expr)?,
                TokenKind::Keyword(Keyword::Anchored | Keyword::Smoothed) => self.range_extension(expr)?,
                _ => return Ok(expr),
            };
            if self.height > NESTING_MAX {
                return Err(self.too_deep());
            }
        }
    }

    fn primary(&mut self, depth: usize) -> Parsed<Expr> {
        let token = self.token;
        self.height = 1;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => Ok(Expr::Number(self.number()?)),
            TokenKind::String => {
                self.advance()?;
                let value = self.unquote(token);
                Ok(Expr::String(StringLiteral { value, span: token.span }))
            }
            TokenKind::LeftParen => self.paren(depth),
            TokenKind::LeftBrace => Ok(Expr::Vector(self.vector_selector()?)),
            TokenKind::Aggregate(op) => self.aggregate_or_metric(op, depth),
            kind if kind.is_metric_identifier() => self.call_or_metric(depth),
            _ => Err(self.unexpected_here()),
        }
    }

    fn paren(&mut self, depth: usize) -> Parsed<Expr> {
        let start = self.token.span.start;
        self.advance()?;
        let expr = self.expression(0, depth + 1)?;
        self.expect_here(TokenKind::RightParen)?;
        self.height += 1;
        Ok(Expr::Paren(Box::new(Paren { expr, span: Span::new(start, self.last_end) })))
    }

    fn aggregate_or_metric(&mut self, op: AggregateOp, depth: usize) -> Parsed<Expr> {
        let name = self.token;
        self.advance()?;
        match self.token.kind {
            TokenKind::LeftParen => {
                let args = self.aggregate_args(depth)?;
                let modifier = match self.token.kind {
                    TokenKind::Keyword(Keyword::By | Keyword::Without) => self.aggregate_modifier()?,
                    _ => (Vec::new(), false),
                };
                self.finish_aggregate(op, name, args, modifier)
            }
            TokenKind::Keyword(Keyword::By | Keyword::Without) => {
                let modifier = self.aggregate_modifier()?;
                if self.token.kind != TokenKind::LeftParen {
                    return Err(self.unexpected("aggregation", ""));
                }
                let args = self.aggregate_args(depth)?;
                self.finish_aggregate(op, name, args, modifier)
            }
            _ => Ok(Expr::Vector(self.selector_after_name(name)?)),
        }
    }

    fn aggregate_args(&mut self, depth: usize) -> Parsed<Vec<Expr>> {
        let outer = mem::replace(&mut self.context, ("aggregation", ""));
        let args = self.call_args(depth);
        self.context = outer;
        args
    }

    fn aggregate_modifier(&mut self) -> Parsed<(Vec<String>, bool)> {
        let without = self.token.kind == TokenKind::Keyword(Keyword::Without);
        self.advance()?;
        Ok((self.grouping_labels()?, without))
    }

    fn finish_aggregate(
        &mut self,
        op: AggregateOp,
        name: Token,
        mut args: Vec<Expr>,
        (grouping, without): (Vec<String>, bool),
    ) -> Parsed<Expr> {
        let span = Span::new(name.span.start, self.last_end);
        self.height += 1;
        if args.is_empty() {
            return Err(self.stop(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.features.experimental_functions {
            let name = op.as_str();
            let message = format!(
                "{name}() is experimental and must be enabled with --enable-feature=promql-experimental-functions"
            );
            return Err(self.stop(span, message));
        }
        let wanted = 1 + usize::from(op.has_param());
        if args.len() != wanted {
            let given = args.len();
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}"
            );
            return Err(self.stop(span, message));
        }
        let Some(expr) = args.pop() else {
            return Err(self.stop(span, "no arguments for aggregate expression provided"));
        };
        let param = args.pop();
        Ok(Expr::Aggregate(Box::new(Aggregate { op, param, expr, grouping, without, span })))
    }

    fn call_or_metric(&mut self, depth: usize) -> Parsed<Expr> {
        let name = self.token;
        self.advance()?;
        let may_be_called = match name.kind {
            TokenKind::Identifier => true,
            TokenKind::Keyword(keyword) => matches!(
                keyword,
                Keyword::Start
                    | Keyword::End
                    | Keyword::Step
                    | Keyword::Range
                    | Keyword::MaxOf
                    | Keyword::MinOf
            ),
            _ => false,
        };
        if !may_be_called || self.token.kind != TokenKind::LeftParen {
            return Ok(Expr::Vector(self.selector_after_name(name)?));
        }
        let args = self.call_args(depth)?;
        self.height += 1;
        let function = self.known_function(name)?;
        Ok(Expr::Call(Call { function, args, span: Span::new(name.span.start, self.last_end) }))
    }

    fn known_function(&mut self, name: Token) -> Parsed<&'static Function> {
        let text = self.text(name);
        let Some(function) = function(text) else {
            return Err(self.stop(name.span, format!("unknown function with name {text:?}")));
        };
        if function.experimental && !self.options.features.experimental_functions {
            self.fault(name.span, format!("function {text:?} is not enabled"));
        }
        Ok(function)
    }

    /// Arguments in parentheses; the height of the tree becomes that of the highest of them.
    fn call_args(&mut self, depth: usize) -> Parsed<Vec<Expr>> {
        self.advance()?;
        let mut args = Vec::new();
        let mut height = 1;
        if self.token.kind != TokenKind::RightParen {
            loop {
                args.push(self.expression(0, depth + 1)?);
                height = height.max(self.height);
                if self.token.kind != TokenKind::Comma {
                    break;
                }
                let comma = self.token.span;
                self.advance()?;
                if self.token.kind == TokenKind::RightParen {
                    self.fault(comma, "trailing commas not allowed in function call args");
                    break;
                }
            }
        }
        self.expect_here(TokenKind::RightParen)?;
        self.height = height;
        Ok(args)
    }

    /// `bool`, `on`, `group_left`, `fill` and so on between an operator and its right side.
    fn binary_modifiers(&mut self) -> Parsed<(bool, VectorMatching)> {
        let mut matching = VectorMatching::default();
        let return_bool = self.accept_keyword(Keyword::Bool)?;
        let on = self.token.kind == TokenKind::Keyword(Keyword::On);
        if on || self.token.kind == TokenKind::Keyword(Keyword::Ignoring) {
            self.advance()?;
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            matching.cardinality = match self.token.kind {
                TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
                TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.advance()?;
                if self.token.kind == TokenKind::LeftParen {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        if self.accept_keyword(Keyword::Fill)? {
            let value = self.fill_value()?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
        } else if self.accept_keyword(Keyword::FillLeft)? {
            matching.fill_left = Some(self.fill_value()?);
            if self.accept_keyword(Keyword::FillRight)? {
                matching.fill_right = Some(self.fill_value()?);
            }
        } else if self.accept_keyword(Keyword::FillRight)? {
            matching.fill_right = Some(self.fill_value()?);
            if self.accept_keyword(Keyword::FillLeft)? {
                matching.fill_left = Some(self.fill_value()?);
            }
        }
        Ok((return_bool, matching))
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect_here(TokenKind::LeftParen)?;
        let negative = self.token.kind == TokenKind::Op(BinaryOp::Sub);
        if negative || self.token.kind == TokenKind::Op(BinaryOp::Add) {
            self.advance()?;
        }
        if !matches!(self.token.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected_here());
        }
        let value = self.number()?.value;
        self.expect_here(TokenKind::RightParen)?;
        Ok(if negative { -value } else { value })
    }

    fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        if self.token.kind != TokenKind::LeftParen {
            return Err(self.unexpected(CONTEXT, "\"(\""));
        }
        self.advance()?;
        let mut labels = Vec::new();
        loop {
            if self.token.kind == TokenKind::RightParen && (labels.is_empty() || self.after_comma()) {
                break;
            }
            labels.push(self.grouping_label()?);
            match self.token.kind {
                TokenKind::Comma => self.advance()?,
                TokenKind::RightParen => break,
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \")\"")),
            }
        }
        self.advance()?;
        Ok(labels)
    }

    fn after_comma(&self) -> bool {
        self.input.as_bytes().get(self.last_end.wrapping_sub(1)) == Some(&b',')
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let token = self.token;
        let label = match token.kind {
            TokenKind::String => self.unquote(token),
            kind if kind.is_grouping_label() => self.text(token).to_owned(),
            _ => return Err(self.unexpected("grouping opts", "label")),
        };
        if label.is_empty() {
            self.fault(token.span, format!("invalid label name for grouping: {label:?}"));
        }
        self.advance()?;
        Ok(label)
    }

    /// The number or duration being looked at.
    fn number(&mut self) -> Parsed<NumberLiteral> {
        let token = self.token;
        let text = self.text(token);
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            match duration::duration_seconds(text) {
                Ok(seconds) => seconds,
                Err(message) => {
                    self.fault(token.span, message);
                    0.0
                }
            }
        } else {
            match duration::number(text) {
                Ok(value) => value,
                Err(reason) => {
                    let message =
                        format!("error parsing number: strconv.ParseFloat: parsing {text:?}: {reason}");
                    self.fault(token.span, message);
                    0.0
                }
            }
        };
        self.advance()?;
        Ok(NumberLiteral { value, is_duration, span: token.span })
    }

    fn unquote(&mut self, token: Token) -> String {
        let text = self.text(token);
        unquote(text).unwrap_or_else(|| {
            self.fault(token.span, format!("error unquoting string {text:?}: invalid syntax"));
            String::new()
        })
    }

    fn advance(&mut self) -> Parsed<()> {
        self.last_end = self.token.span.end;
        self.token = self.lexer.next_token()?;
        Ok(())
    }

    fn accept_keyword(&mut self, keyword: Keyword) -> Parsed<bool> {
        let found = self.token.kind == TokenKind::Keyword(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_here(&mut self, kind: TokenKind) -> Parsed<()> {
        if self.token.kind == kind { self.advance() } else { Err(self.unexpected_here()) }
    }

    fn text(&self, token: Token) -> &'a str {
        &self.input[token.span.start..token.span.end]
    }

    /// Records a fault that does not stop the parser.
    fn fault(&mut self, span: Span, message: impl Into<String>) {
        if self.fault.is_none() {
            self.fault = Some(ParseError::new(self.input, span, message));
        }
    }

    /// An error that stops the parser.
    fn stop(&mut self, span: Span, message: impl Into<String>) -> ParseError {
        let error = ParseError::new(self.input, span, message);
        self.fault.get_or_insert(error).clone()
    }

    fn too_deep(&mut self) -> ParseError {
        let message = format!(
            "expression is nested too deeply: at most {DEPTH_MAX} parentheses or {NESTING_MAX} operators in a row"
        );
        self.stop(self.token.span, message)
    }

    fn unexpected_here(&self) -> ParseError {
        self.unexpected(self.context.0, self.context.1)
    }

    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let mut message = format!("unexpected {}", self.token.kind.describe(self.text(self.token)));
        for (link, part) in [(" in ", context), (", expected ", expected)] {
            if !part.is_empty() {
                message.push_str(link);
                message.push_str(part);
            }
        }
        ParseError::new(self.input, self.token.span, message)
    }
}
