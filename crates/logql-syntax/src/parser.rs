//! Tokens into a tree, by recursive descent.

mod label_filter;
mod log;
mod metric;
mod range;
#[cfg(test)]
mod tests;

use model::{MatchOp, Matcher};

use crate::lexer::tokenize;
use crate::token::{Token, TokenKind, is_keyword};
use crate::{Expr, LogExpr, MetricExpr, ParseError, Span};

/// The longest query that is read, in bytes.
pub const QUERY_BYTES_MAX: usize = 131_072;
/// How deeply parentheses may be nested.
const NESTING_MAX: usize = 150;
/// How many binary operators a query may have: each may be a level of the tree.
const OPERATORS_MAX: usize = 500;

/// Reads a query of either kind.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    let expr = if parser.starts_selector() {
        Expr::Log(parser.log_expr()?)
    } else {
        Expr::Metric(parser.metric_expr()?)
    };
    parser.expect_end()?;
    Ok(expr)
}

/// Reads a query that answers with lines.
pub fn parse_log(text: &str) -> Result<LogExpr, ParseError> {
    match parse(text)? {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => Err(ParseError::of_query("only log selector is supported")),
    }
}

/// Reads a query that answers with numbers.
pub fn parse_metric(text: &str) -> Result<MetricExpr, ParseError> {
    match parse(text)? {
        Expr::Metric(metric) => Ok(metric),
        Expr::Log(_) => Err(ParseError::of_query("expected a metric query, got a log query")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    nesting: usize,
    operators: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > QUERY_BYTES_MAX {
            let message = format!("input size too long ({} > {QUERY_BYTES_MAX})", text.len());
            return Err(ParseError::of_query(message));
        }
        Ok(Self { text, tokens: tokenize(text)?, at: 0, nesting: 0, operators: 0 })
    }

    /// Whether a selector comes after any parentheses.
    fn starts_selector(&self) -> bool {
        let first = self.tokens[self.at..]
            .iter()
            .map(|token| &token.kind)
            .find(|kind| **kind != TokenKind::Sign("("));
        first == Some(&TokenKind::Sign("{"))
    }

    fn peek(&self) -> &TokenKind<'a> {
        &self.tokens[self.at].kind
    }

    fn peek_second(&self) -> &TokenKind<'a> {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    /// From `start` to the end of the token before.
    fn span_from(&self, start: usize) -> Span {
        let end = self.at.checked_sub(1).map_or(start, |before| self.tokens[before].span.end);
        Span { start, end: end.max(start) }
    }

    fn advance(&mut self) {
        // The end token is never passed.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), TokenKind::Sign(found) if *found == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Ident(name) if name.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.take_sign(sign) { Ok(()) } else { self.unexpected(sign) }
    }

    fn expect_end(&self) -> Result<(), ParseError> {
        if *self.peek() == TokenKind::End { Ok(()) } else { self.unexpected("") }
    }

    /// A name; keywords are no names where a keyword could stand, but may name labels elsewhere.
    fn expect_name(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            TokenKind::Ident(name) => {
                let name = (*name).to_owned();
                self.advance();
                Ok(name)
            }
            _ => self.unexpected("IDENTIFIER"),
        }
    }

    fn expect_text(&mut self) -> Result<String, ParseError> {
        match self.take_text() {
            Some(text) => Ok(text),
            None => self.unexpected("STRING"),
        }
    }

    fn take_text(&mut self) -> Option<String> {
        let TokenKind::Text(text) = &mut self.tokens[self.at].kind else { return None };
        // A string is read once: nothing looks back.
        let text = std::mem::take(text);
        self.advance();
        Some(text)
    }

    fn is_plain_name(&self) -> bool {
        matches!(self.peek(), TokenKind::Ident(name) if !is_keyword(name))
    }

    /// The error of a token that may not stand here. `expected` is empty where many could.
    fn unexpected<T>(&self, expected: &str) -> Result<T, ParseError> {
        let found = self.peek().describe();
        let message = if expected.is_empty() {
            format!("syntax error: unexpected {found}")
        } else {
            format!("syntax error: unexpected {found}, expecting {expected}")
        };
        Err(ParseError::at(self.text, self.span(), message))
    }

    fn fail_at<T>(&self, span: Span, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, span, message))
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.nesting >= NESTING_MAX {
            return self.fail_at(self.span(), format!("expression is nested more than {NESTING_MAX} deep"));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn take_match_op(&mut self) -> Option<MatchOp> {
        let TokenKind::Sign(sign) = self.peek() else { return None };
        let op = match *sign {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            _ => return None,
        };
        self.advance();
        Some(op)
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let name = self.expect_name()?;
        let Some(op) = self.take_match_op() else { return self.unexpected("=, !=, =~ or !~") };
        let value = self.expect_text()?;
        Ok(Matcher { name, op, value })
    }
}
