//! Lines of a range of time: `{…} | … | unwrap … [5m] offset 1h`, with the range in either place.

use super::Parser;
use crate::token::TokenKind;
use crate::{Conversion, LogExpr, ParseError, RangeExpr, Unwrap};

/// A range expression whose range may still be missing.
struct Partial {
    log: LogExpr,
    unwrap: Option<Unwrap>,
    range: Option<(i64, i64)>,
}

impl Parser<'_> {
    pub(super) fn range_expr(&mut self) -> Result<RangeExpr, ParseError> {
        let partial = self.partial_range()?;
        match partial.range {
            Some((range, offset)) => {
                Ok(RangeExpr { log: partial.log, unwrap: partial.unwrap, range, offset })
            }
            None => self.unexpected("RANGE"),
        }
    }

    fn partial_range(&mut self) -> Result<Partial, ParseError> {
        let start = self.span().start;
        let mut partial = if self.is_sign("(") {
            self.nested(|parser| {
                parser.advance();
                let partial = parser.partial_range()?;
                parser.expect_sign(")")?;
                Ok(partial)
            })?
        } else {
            Partial { log: self.selector()?, unwrap: None, range: None }
        };
        self.take_range(&mut partial)?;
        if partial.unwrap.is_none() {
            self.pipeline(&mut partial.log.stages)?;
            partial.log.span = self.span_from(start);
            partial.unwrap = self.take_unwrap()?;
        }
        self.take_range(&mut partial)?;
        Ok(partial)
    }

    fn take_range(&mut self, partial: &mut Partial) -> Result<(), ParseError> {
        let TokenKind::Range(range) = *self.peek() else { return Ok(()) };
        if partial.range.is_some() {
            return self.unexpected("");
        }
        self.advance();
        let offset = if self.take_word("offset") { self.offset()? } else { 0 };
        partial.range = Some((range, offset));
        Ok(())
    }

    fn offset(&mut self) -> Result<i64, ParseError> {
        let negative = self.take_sign("-");
        let TokenKind::Duration(nanos) = *self.peek() else { return self.unexpected("DURATION") };
        self.advance();
        Ok(if negative { -nanos } else { nanos })
    }

    fn take_unwrap(&mut self) -> Result<Option<Unwrap>, ParseError> {
        // `pipeline` stops at a `|` only where `unwrap` follows it.
        if !self.take_sign("|") {
            return Ok(None);
        }
        self.advance();
        let mut conversion = Conversion::Number;
        if let TokenKind::Ident(name) = self.peek()
            && *self.peek_second() == TokenKind::Sign("(")
        {
            let all = [Conversion::Bytes, Conversion::Duration, Conversion::DurationSeconds];
            match all.into_iter().find(|conversion| conversion.as_str().eq_ignore_ascii_case(name)) {
                Some(found) => conversion = found,
                None => return self.unexpected("bytes, duration or duration_seconds"),
            }
            self.advance();
            self.advance();
        }
        let label = self.expect_name()?;
        if conversion != Conversion::Number {
            self.expect_sign(")")?;
        }
        let mut filters = Vec::new();
        while self.take_sign("|") {
            filters.push(self.label_filter()?);
        }
        Ok(Some(Unwrap { label, conversion, filters }))
    }
}
