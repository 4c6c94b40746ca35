//! What may follow an expression: ranges, subqueries, `offset`, `@`, `anchored`, `smoothed`.

use std::mem;

use model::TimestampMs;

use crate::Expr;
use crate::ast::{AtModifier, DurationArg, MatrixSelector, RangeExtension, Subquery, VectorSelector};
use crate::op::BinaryOp;
use crate::parser::{Parsed, Parser};
use crate::token::{Keyword, TokenKind};

const EXPECTED_DURATION: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    /// `[5m]` or `[5m:1m]` after `expr`.
    pub(super) fn range_or_subquery(&mut self, expr: Expr) -> Parsed<Expr> {
        let bracket = self.token.span;
        let outer = mem::replace(&mut self.context, ("subquery or range selector", EXPECTED_DURATION));
        self.advance()?;
        let range = self.positive_duration()?;
        self.context = outer;
        match self.token.kind {
            TokenKind::RightBracket => {
                let end = self.token.span.end;
                self.advance()?;
                self.matrix(expr, range, bracket.start, end)
            }
            TokenKind::Colon => {
                self.advance()?;
                let step = if self.token.kind == TokenKind::RightBracket {
                    None
                } else {
                    self.context = ("subquery selector", "number, duration, step(), range(), or \"]\"");
                    let step = self.positive_duration()?;
                    self.context = outer;
                    Some(step)
                };
                if self.token.kind != TokenKind::RightBracket {
                    return Err(self.unexpected("subquery selector", "\"]\""));
                }
                self.advance()?;
                self.height += 1;
                let (offset, at, end) = (DurationArg::default(), None, self.last_end);
                Ok(Expr::Subquery(Box::new(Subquery { expr, range, step, offset, at, end })))
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(&mut self, expr: Expr, range: DurationArg, start: usize, end: usize) -> Parsed<Expr> {
        let span = crate::Span::new(start, end);
        let Expr::Vector(selector) = expr else {
            return Err(self.stop(span, "ranges only allowed for vector selectors"));
        };
        if selector.offset != DurationArg::default() {
            self.fault(span, "no offset modifiers allowed before range");
        } else if selector.at.is_some() {
            self.fault(span, "no @ modifiers allowed before range");
        }
        Ok(Expr::Matrix(MatrixSelector { selector, range, end }))
    }

    /// `offset 5m` after `expr`.
    pub(super) fn offset_modifier(&mut self, mut expr: Expr) -> Parsed<Expr> {
        let outer = mem::replace(&mut self.context, ("offset", EXPECTED_DURATION));
        self.advance()?;
        let offset = self.offset_duration()?;
        self.context = outer;
        let span = expr.span();
        let end = self.last_end;
        let Some((slot, _, node_end)) = time_slots(&mut expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or range vector \
                           selector or a subquery";
            return Err(self.stop(span, message));
        };
        let is_repeated = *slot != DurationArg::default();
        *slot = offset;
        *node_end = end;
        if is_repeated {
            self.fault(span, "offset may not be set multiple times");
        }
        Ok(expr)
    }

    /// `@ 123`, `@ start()` after `expr`.
    pub(super) fn at_modifier(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.advance()?;
        let at = match self.token.kind {
            TokenKind::Keyword(keyword @ (Keyword::Start | Keyword::End)) => {
                let outer = mem::replace(&mut self.context, ("@", "timestamp"));
                self.advance()?;
                self.expect_here(TokenKind::LeftParen)?;
                self.expect_here(TokenKind::RightParen)?;
                self.context = outer;
                if keyword == Keyword::Start { AtModifier::Start } else { AtModifier::End }
            }
            _ => AtModifier::Timestamp(self.at_timestamp(&expr)?),
        };
        let span = expr.span();
        let end = self.last_end;
        let Some((_, slot, node_end)) = time_slots(&mut expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range vector \
                           selector or a subquery";
            return Err(self.stop(span, message));
        };
        let is_repeated = slot.is_some();
        *slot = Some(at);
        *node_end = end;
        if is_repeated {
            self.fault(span, "@ <timestamp> may not be set multiple times");
        }
        Ok(expr)
    }

    fn at_timestamp(&mut self, expr: &Expr) -> Parsed<TimestampMs> {
        let negative = self.token.kind == TokenKind::Op(BinaryOp::Sub);
        if negative || self.token.kind == TokenKind::Op(BinaryOp::Add) {
            self.advance()?;
        }
        if !matches!(self.token.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected("@", "timestamp"));
        }
        let value = self.number()?.value;
        let seconds = if negative { -value } else { value };
        if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
            let shown =
                if seconds.is_finite() { format!("{seconds:.6}") } else { model::format_float(seconds) };
            self.fault(expr.span(), format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok((seconds * 1000.0).round() as i64)
    }

    /// `anchored` or `smoothed` after `expr`.
    pub(super) fn range_extension(&mut self, mut expr: Expr) -> Parsed<Expr> {
        let (extension, name) = match self.token.kind {
            TokenKind::Keyword(Keyword::Anchored) => (RangeExtension::Anchored, "anchored"),
            _ => (RangeExtension::Smoothed, "smoothed"),
        };
        self.advance()?;
        let span = expr.span();
        if !self.options.features.extended_range_selectors {
            return Err(self.stop(span, format!("{name} modifier is experimental and not enabled")));
        }
        let selector: &mut VectorSelector = match &mut expr {
            Expr::Vector(selector) => selector,
            Expr::Matrix(matrix) => &mut matrix.selector,
            Expr::Subquery(_) => {
                return Err(self.stop(span, format!("{name} modifier is not supported for subqueries")));
            }
            _ => return Err(self.stop(span, format!("{name} modifier not implemented"))),
        };
        let clashes = selector.extension.is_some_and(|earlier| earlier != extension);
        selector.extension = Some(extension);
        if clashes {
            self.fault(span, "anchored and smoothed modifiers cannot be used together");
        }
        Ok(expr)
    }
}

/// Where an expression that may have `offset` and `@` keeps them, and where it keeps its end.
fn time_slots(expr: &mut Expr) -> Option<(&mut DurationArg, &mut Option<AtModifier>, &mut usize)> {
    match expr {
        Expr::Vector(node) => Some((&mut node.offset, &mut node.at, &mut node.span.end)),
        Expr::Matrix(node) => Some((&mut node.selector.offset, &mut node.selector.at, &mut node.end)),
        Expr::Subquery(node) => Some((&mut node.offset, &mut node.at, &mut node.end)),
        _ => None,
    }
}
