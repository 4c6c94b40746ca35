//! Filters on labels, and how they combine.

use model::{MatchOp, Matcher};

use super::Parser;
use crate::token::TokenKind;
use crate::{FilterOp, LabelFilter, ParseError};

/// An operator of a label filter.
#[derive(Clone, Copy)]
struct Operator {
    text: Option<MatchOp>,
    number: Option<FilterOp>,
}

impl Parser<'_> {
    /// `a or b and c, d e`: `and`, `,` and nothing at all bind alike, and tighter than `or`.
    pub(super) fn label_filter(&mut self) -> Result<LabelFilter, ParseError> {
        let mut any = vec![self.all_of()?];
        while self.take_word("or") {
            any.push(self.all_of()?);
        }
        Ok(one_or(any, LabelFilter::Or))
    }

    fn all_of(&mut self) -> Result<LabelFilter, ParseError> {
        let mut all = vec![self.one_label_filter()?];
        while self.take_word("and")
            || self.take_sign(",")
            || self.is_plain_name()
            || (self.is_sign("(") && !all.is_empty())
        {
            all.push(self.one_label_filter()?);
        }
        Ok(one_or(all, LabelFilter::And))
    }

    fn one_label_filter(&mut self) -> Result<LabelFilter, ParseError> {
        if self.is_sign("(") {
            return self.nested(|parser| {
                parser.advance();
                let filter = parser.label_filter()?;
                parser.expect_sign(")")?;
                Ok(filter)
            });
        }
        let name = self.expect_name()?;
        let Some(operator) = self.filter_operator() else {
            return self.unexpected("=, !=, =~, !~, ==, >, >=, < or <=");
        };
        self.advance();
        self.comparison(name, operator)
    }

    fn filter_operator(&self) -> Option<Operator> {
        let TokenKind::Sign(sign) = self.peek() else { return None };
        let (text, number) = match *sign {
            "=" => (Some(MatchOp::Equal), Some(FilterOp::Equal)),
            "==" => (None, Some(FilterOp::Equal)),
            "!=" => (Some(MatchOp::NotEqual), Some(FilterOp::NotEqual)),
            "=~" => (Some(MatchOp::Regex), None),
            "!~" => (Some(MatchOp::NotRegex), None),
            ">" => (None, Some(FilterOp::Greater)),
            ">=" => (None, Some(FilterOp::GreaterOrEqual)),
            "<" => (None, Some(FilterOp::Less)),
            "<=" => (None, Some(FilterOp::LessOrEqual)),
            _ => return None,
        };
        Some(Operator { text, number })
    }

    fn comparison(&mut self, name: String, operator: Operator) -> Result<LabelFilter, ParseError> {
        if let Some(op) = operator.text {
            if let Some(value) = self.take_text() {
                return Ok(LabelFilter::Text(Matcher { name, op, value }));
            }
            if matches!(op, MatchOp::Equal | MatchOp::NotEqual) && self.is_word("ip") {
                let pattern = self.ip_call()?;
                return Ok(LabelFilter::Ip { name, negated: op == MatchOp::NotEqual, pattern });
            }
        }
        let Some(op) = operator.number else { return self.unexpected("STRING") };
        let sign = match self.peek() {
            TokenKind::Sign("-") => -1i8,
            TokenKind::Sign("+") => 1,
            _ => 0,
        };
        if sign != 0 {
            self.advance();
        }
        let filter = match self.peek() {
            TokenKind::Number(value) => {
                LabelFilter::Number { name, op, value: if sign < 0 { -value } else { *value } }
            }
            TokenKind::Duration(nanos) => {
                LabelFilter::Duration { name, op, nanos: if sign < 0 { -nanos } else { *nanos } }
            }
            TokenKind::Bytes(bytes) if sign == 0 => LabelFilter::Bytes { name, op, bytes: *bytes },
            _ if operator.text.is_some() => return self.unexpected("STRING, NUMBER, DURATION or BYTES"),
            _ => return self.unexpected("NUMBER, DURATION or BYTES"),
        };
        self.advance();
        Ok(filter)
    }
}

/// The only filter, or all of them joined.
fn one_or(mut filters: Vec<LabelFilter>, join: fn(Vec<LabelFilter>) -> LabelFilter) -> LabelFilter {
    if filters.len() == 1 { filters.remove(0) } else { join(filters) }
}
