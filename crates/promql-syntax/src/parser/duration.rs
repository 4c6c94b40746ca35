//! Numbers, durations and arithmetic on them.

use model::parse_duration_ms;

use crate::ast::DurationArg;
use crate::duration_expr::DurationOp;
use crate::op::BinaryOp;
use crate::parser::{DEPTH_MAX, NESTING_MAX, Parsed, Parser};
use crate::token::{Keyword, TokenKind};
use crate::{DurationExpr, Span};

/// The most seconds that a duration in 64 bits of nanoseconds holds.
const SECONDS_MAX: f64 = 9_223_372_036.854_776;

/// Reads a number literal: Go's integers (decimal, `0x`, leading zero for octal, `_` between digits) or a float.
pub(crate) fn number(text: &str) -> Result<f64, &'static str> {
    const SYNTAX: &str = "invalid syntax";
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let has_underscore = plain.len() != text.len();
    let integer = match plain.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(&plain[2..], 16).ok(),
        Some(prefix) if prefix.starts_with('0') => i64::from_str_radix(&plain[1..], 8).ok(),
        _ => plain.parse().ok(),
    };
    if let Some(value) = integer {
        return Ok(value as f64);
    }
    if has_underscore {
        return Err(SYNTAX);
    }
    match model::parse_float(&plain).filter(|_| !plain.starts_with("0x") && !plain.starts_with("0X")) {
        Some(value) if value.is_infinite() && !plain.eq_ignore_ascii_case("inf") => Err("value out of range"),
        Some(value) => Ok(value),
        None => Err(SYNTAX),
    }
}

/// Reads a duration literal as seconds.
pub(crate) fn duration_seconds(text: &str) -> Result<f64, String> {
    let ms = parse_duration_ms(text).map_err(|_| duration_fault(text))?;
    if ms > i64::MAX / 1_000_000 { Err("duration out of range".to_owned()) } else { Ok(ms as f64 / 1000.0) }
}

fn duration_fault(text: &str) -> String {
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..end];
        if !["ms", "s", "m", "h", "d", "w", "y"].contains(&unit) {
            return format!("unknown unit {unit:?} in duration {text:?}");
        }
        rest = &rest[end..];
    }
    format!("not a valid duration string: {text:?}")
}

/// Seconds to ms by way of whole nanoseconds.
fn fixed(seconds: f64) -> DurationArg {
    DurationArg::Fixed((seconds * 1e9).round() as i64 / 1_000_000)
}

impl Parser<'_> {
    /// The duration of a range or a step, which has to be positive.
    pub(super) fn positive_duration(&mut self) -> Parsed<DurationArg> {
        Ok(match self.duration_expr(0, 0)? {
            DurationExpr::Number(number) if number.value <= 0.0 => {
                self.fault(number.span, "duration must be greater than 0");
                DurationArg::Fixed(0)
            }
            DurationExpr::Number(number) => fixed(number.value),
            expr => DurationArg::Expr(Box::new(expr)),
        })
    }

    /// The duration of an offset. Without parentheses it ends after its first number or call,
    /// so that `m offset 2 ^ 2` is `(m offset 2) ^ 2`.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationArg> {
        let start = self.token.span;
        let sign = match self.token.kind {
            TokenKind::Op(BinaryOp::Sub) => Some(true),
            TokenKind::Op(BinaryOp::Add) => Some(false),
            _ => None,
        };
        if sign.is_some() {
            self.advance()?;
        }
        let is_paren = self.token.kind == TokenKind::LeftParen;
        let expr = match sign {
            None if is_paren => self.duration_expr(0, 0)?,
            _ => self.duration_primary(0)?,
        };
        let expr = match (expr, sign) {
            (DurationExpr::Number(mut number), Some(negative)) => {
                number.span.start = start.start;
                number.value = if negative { -number.value } else { number.value };
                DurationExpr::Number(number)
            }
            (expr, Some(true)) => {
                let span = start.to(expr.span());
                DurationExpr::Negative(Box::new(expr), span)
            }
            (expr, _) => expr,
        };
        Ok(match expr {
            DurationExpr::Number(number) => fixed(number.value),
            expr => DurationArg::Expr(Box::new(expr)),
        })
    }

    fn duration_expr(&mut self, precedence: u8, depth: usize) -> Parsed<DurationExpr> {
        if depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        let mut left = self.duration_unary(depth)?;
        let mut terms = 0;
        while let TokenKind::Op(binary_op) = self.token.kind {
            let op = match binary_op {
                BinaryOp::Add => DurationOp::Add,
                BinaryOp::Sub => DurationOp::Sub,
                BinaryOp::Mul => DurationOp::Mul,
                BinaryOp::Div => DurationOp::Div,
                BinaryOp::Mod => DurationOp::Mod,
                BinaryOp::Pow => DurationOp::Pow,
                _ => break,
            };
            if binary_op.precedence() < precedence {
                break;
            }
            let op_span = self.token.span;
            self.advance()?;
            self.require_duration_expressions(left.span());
            let right =
                self.duration_expr(binary_op.precedence() + u8::from(op != DurationOp::Pow), depth + 1)?;
            terms += 1;
            if terms > NESTING_MAX {
                return Err(self.too_deep());
            }
            let zero = matches!(&right, DurationExpr::Number(number) if number.value == 0.0);
            match op {
                DurationOp::Div if zero => self.fault(op_span, "division by zero"),
                DurationOp::Mod if zero => self.fault(op_span, "modulo by zero"),
                _ => {}
            }
            left = DurationExpr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn duration_unary(&mut self, depth: usize) -> Parsed<DurationExpr> {
        let negative = match self.token.kind {
            TokenKind::Op(BinaryOp::Sub) => true,
            TokenKind::Op(BinaryOp::Add) => false,
            _ => return self.duration_primary(depth),
        };
        let start = self.token.span;
        self.advance()?;
        let inner = self.duration_expr(super::UNARY_PRECEDENCE + 1, depth + 1)?;
        Ok(match inner {
            DurationExpr::Number(mut number) => {
                number.span.start = start.start;
                number.value = if negative { -number.value } else { number.value };
                DurationExpr::Number(number)
            }
            expr if negative => {
                let span = start.to(expr.span());
                DurationExpr::Negative(Box::new(expr), span)
            }
            expr => expr,
        })
    }

    fn duration_primary(&mut self, depth: usize) -> Parsed<DurationExpr> {
        let start = self.token.span.start;
        match self.token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number()?;
                if number.value.abs() > SECONDS_MAX {
                    self.fault(number.span, "duration out of range");
                }
                Ok(DurationExpr::Number(number))
            }
            TokenKind::LeftParen => {
                self.advance()?;
                let inner = self.duration_expr(0, depth + 1)?;
                self.require_duration_expressions(inner.span());
                self.expect_here(TokenKind::RightParen)?;
                Ok(DurationExpr::Paren(Box::new(inner), Span::new(start, self.last_end)))
            }
            TokenKind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.advance()?;
                self.expect_here(TokenKind::LeftParen)?;
                self.expect_here(TokenKind::RightParen)?;
                let span = Span::new(start, self.last_end);
                self.require_duration_expressions(span);
                Ok(if keyword == Keyword::Step {
                    DurationExpr::Step(span)
                } else {
                    DurationExpr::Range(span)
                })
            }
            TokenKind::Keyword(keyword @ (Keyword::MinOf | Keyword::MaxOf)) => {
                self.advance()?;
                self.expect_here(TokenKind::LeftParen)?;
                let left = Box::new(self.duration_expr(0, depth + 1)?);
                self.expect_here(TokenKind::Comma)?;
                let right = Box::new(self.duration_expr(0, depth + 1)?);
                self.expect_here(TokenKind::RightParen)?;
                let span = Span::new(start, self.last_end);
                self.require_duration_expressions(span);
                Ok(if keyword == Keyword::MinOf {
                    DurationExpr::MinOf(left, right, span)
                } else {
                    DurationExpr::MaxOf(left, right, span)
                })
            }
            _ => Err(self.unexpected_here()),
        }
    }

    fn require_duration_expressions(&mut self, span: Span) {
        if !self.options.features.duration_expressions {
            self.fault(span, "experimental duration expression is not enabled");
        }
    }
}
