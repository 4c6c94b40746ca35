//! Vector selectors: names and matchers.

use model::{METRIC_NAME_LABEL, MatchOp, Matcher};

use crate::Span;
use crate::ast::VectorSelector;
use crate::op::BinaryOp;
use crate::parser::{Parsed, Parser};
use crate::token::{Token, TokenKind};

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    /// A selector that starts at the current token: a name, braces, or both.
    pub(super) fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        if self.token.kind == TokenKind::LeftBrace {
            let start = self.token.span.start;
            let matchers = self.matchers()?;
            let span = Span::new(start, self.last_end);
            return Ok(VectorSelector { matchers, span, ..VectorSelector::default() });
        }
        let name = self.token;
        self.advance()?;
        self.selector_after_name(name)
    }

    /// A selector whose name has been taken.
    pub(super) fn selector_after_name(&mut self, name: Token) -> Parsed<VectorSelector> {
        let mut matchers =
            if self.token.kind == TokenKind::LeftBrace { self.matchers()? } else { Vec::new() };
        let text = self.text(name).to_owned();
        matchers.push(Matcher::new(METRIC_NAME_LABEL, MatchOp::Equal, text.clone()));
        let span = Span::new(name.span.start, self.last_end);
        Ok(VectorSelector { name: text, matchers, span, ..VectorSelector::default() })
    }

    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        self.advance()?;
        let mut matchers = Vec::new();
        while self.token.kind != TokenKind::RightBrace {
            matchers.push(self.matcher()?);
            match self.token.kind {
                TokenKind::Comma => self.advance()?,
                TokenKind::RightBrace => {}
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            }
        }
        self.advance()?;
        Ok(matchers)
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let label = self.token;
        let name = match label.kind {
            TokenKind::Identifier => self.text(label).to_owned(),
            TokenKind::String => self.unquote(label),
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        self.advance()?;
        let op = match self.token.kind {
            TokenKind::Equal => MatchOp::Equal,
            TokenKind::Op(BinaryOp::NotEqual) => MatchOp::NotEqual,
            TokenKind::EqualRegex => MatchOp::Regex,
            TokenKind::NotRegex => MatchOp::NotRegex,
            TokenKind::Comma | TokenKind::RightBrace if label.kind == TokenKind::String => {
                return Ok(Matcher::new(METRIC_NAME_LABEL, MatchOp::Equal, name));
            }
            _ if label.kind == TokenKind::String => {
                return Err(self.unexpected(CONTEXT, "\",\" or \"}\""));
            }
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.advance()?;
        let value = self.token;
        if value.kind != TokenKind::String {
            return Err(self.unexpected(CONTEXT, "string"));
        }
        let text = self.unquote(value);
        self.advance()?;
        let matcher = Matcher::new(name, op, text);
        if let Err(reason) = (self.options.check_matcher)(&matcher) {
            self.fault(label.span.to(value.span), reason);
        }
        Ok(matcher)
    }
}
