//! Selectors and the stages of a pipeline.

use super::Parser;
use crate::token::TokenKind;
use crate::{
    Extraction, LabelFormat, LabelFormatValue, LabelSelection, LineFilterExpr, LineFilterKind, LineMatch,
    LogExpr, ParseError, Stage, StageKind,
};

impl Parser<'_> {
    /// A selector with its pipeline, maybe in parentheses.
    pub(super) fn log_expr(&mut self) -> Result<LogExpr, ParseError> {
        if self.is_sign("(") {
            return self.nested(|parser| {
                parser.advance();
                let log = parser.log_expr()?;
                parser.expect_sign(")")?;
                Ok(log)
            });
        }
        let start = self.span().start;
        let mut log = self.selector()?;
        self.pipeline(&mut log.stages)?;
        log.span = self.span_from(start);
        Ok(log)
    }

    /// `{…}`
    pub(super) fn selector(&mut self) -> Result<LogExpr, ParseError> {
        let start = self.span().start;
        self.expect_sign("{")?;
        let mut matchers = Vec::new();
        while !self.take_sign("}") {
            if !matchers.is_empty() && !self.take_sign(",") {
                return self.unexpected("} or ,");
            }
            if matchers.is_empty() || !self.is_sign("}") {
                matchers.push(self.matcher()?);
            }
        }
        Ok(LogExpr { matchers, stages: Vec::new(), span: self.span_from(start) })
    }

    /// Stages up to what is none; `| unwrap` is left to the caller.
    pub(super) fn pipeline(&mut self, stages: &mut Vec<Stage>) -> Result<(), ParseError> {
        loop {
            let start = self.span().start;
            let kind = if let Some((kind, negated)) = self.take_line_filter_op() {
                self.line_filter(kind, negated)?
            } else if self.is_sign("|") && !self.second_is_unwrap() {
                self.advance();
                self.piped_stage()?
            } else {
                return Ok(());
            };
            stages.push(Stage { kind, span: self.span_from(start) });
        }
    }

    fn second_is_unwrap(&self) -> bool {
        matches!(self.peek_second(), TokenKind::Ident(name) if name.eq_ignore_ascii_case("unwrap"))
    }

    fn take_line_filter_op(&mut self) -> Option<(LineFilterKind, bool)> {
        let TokenKind::Sign(sign) = self.peek() else { return None };
        let found = match *sign {
            "|=" => (LineFilterKind::Contains, false),
            "!=" => (LineFilterKind::Contains, true),
            "|~" => (LineFilterKind::Regex, false),
            "!~" => (LineFilterKind::Regex, true),
            "|>" => (LineFilterKind::Pattern, false),
            "!>" => (LineFilterKind::Pattern, true),
            _ => return None,
        };
        self.advance();
        Some(found)
    }

    fn line_filter(&mut self, kind: LineFilterKind, negated: bool) -> Result<StageKind, ParseError> {
        let mut any_of = vec![self.line_match(kind)?];
        while self.take_word("or") {
            any_of.push(self.line_match(kind)?);
        }
        Ok(StageKind::LineFilter(LineFilterExpr { kind, negated, any_of }))
    }

    fn line_match(&mut self, kind: LineFilterKind) -> Result<LineMatch, ParseError> {
        let span = self.span();
        if self.is_word("ip") && *self.peek_second() == TokenKind::Sign("(") {
            if kind != LineFilterKind::Contains {
                return self.fail_at(span, "ip: only |= and != can be used with it");
            }
            return Ok(LineMatch::Ip(self.ip_call()?));
        }
        Ok(LineMatch::Text(self.expect_text()?))
    }

    /// `ip("…")`
    pub(super) fn ip_call(&mut self) -> Result<String, ParseError> {
        self.advance();
        self.expect_sign("(")?;
        let pattern = self.expect_text()?;
        self.expect_sign(")")?;
        Ok(pattern)
    }

    fn piped_stage(&mut self) -> Result<StageKind, ParseError> {
        let TokenKind::Ident(name) = self.peek() else {
            return match self.peek() {
                TokenKind::Sign("(") => Ok(StageKind::LabelFilter(self.label_filter()?)),
                _ => self.unexpected(""),
            };
        };
        // A name that a comparison follows is a label, whatever its name.
        if matches!(
            self.peek_second(),
            TokenKind::Sign("=" | "!=" | "=~" | "!~" | "==" | ">" | ">=" | "<" | "<=")
        ) && !matches!(name.to_ascii_lowercase().as_str(), "drop" | "keep" | "label_format")
        {
            return Ok(StageKind::LabelFilter(self.label_filter()?));
        }
        let word = name.to_ascii_lowercase();
        if !crate::token::is_keyword(&word) {
            return Ok(StageKind::LabelFilter(self.label_filter()?));
        }
        self.keyword_stage(&word)
    }

    fn keyword_stage(&mut self, word: &str) -> Result<StageKind, ParseError> {
        let keyword_at = self.at;
        self.advance();
        Ok(match word {
            "json" => StageKind::Json(self.extractions()?),
            "logfmt" => {
                let (mut strict, mut keep_empty) = (false, false);
                while let TokenKind::Flag(flag) = self.peek() {
                    strict |= *flag == "--strict";
                    keep_empty |= *flag == "--keep-empty";
                    self.advance();
                }
                StageKind::Logfmt { strict, keep_empty, fields: self.extractions()? }
            }
            "regexp" => StageKind::Regexp(self.expect_text()?),
            "pattern" => StageKind::Pattern(self.expect_text()?),
            "unpack" => StageKind::Unpack,
            "line_format" => StageKind::LineFormat(self.expect_text()?),
            "label_format" => StageKind::LabelFormat(self.label_formats()?),
            "decolorize" => StageKind::Decolorize,
            "drop" => StageKind::Drop(self.label_selections()?),
            "keep" => StageKind::Keep(self.label_selections()?),
            _ => {
                self.at = keyword_at;
                return self.unexpected("");
            }
        })
    }

    fn extractions(&mut self) -> Result<Vec<Extraction>, ParseError> {
        let mut extractions = Vec::new();
        if !self.is_plain_name() {
            return Ok(extractions);
        }
        loop {
            let label = self.expect_name()?;
            let source = if self.take_sign("=") { self.expect_text()? } else { label.clone() };
            extractions.push(Extraction { label, source });
            if !self.take_sign(",") {
                return Ok(extractions);
            }
        }
    }

    fn label_formats(&mut self) -> Result<Vec<LabelFormat>, ParseError> {
        let mut formats: Vec<LabelFormat> = Vec::new();
        loop {
            let span = self.span();
            let target = self.expect_name()?;
            self.expect_sign("=")?;
            let value = match self.take_text() {
                Some(template) => LabelFormatValue::Template(template),
                None if matches!(self.peek(), TokenKind::Ident(_)) => {
                    LabelFormatValue::Rename(self.expect_name()?)
                }
                None => return self.unexpected("IDENTIFIER or STRING"),
            };
            if target == "__error__" {
                return self.fail_at(span, "__error__ cannot be formatted");
            }
            if formats.iter().any(|format| format.target == target) {
                let message =
                    format!("multiple label name '{target}' not allowed in a single format operation");
                return self.fail_at(span, message);
            }
            formats.push(LabelFormat { target, value });
            if !self.take_sign(",") {
                return Ok(formats);
            }
        }
    }

    fn label_selections(&mut self) -> Result<Vec<LabelSelection>, ParseError> {
        let mut selections = Vec::new();
        loop {
            let has_op = matches!(self.peek_second(), TokenKind::Sign("=" | "!=" | "=~" | "!~"));
            selections.push(if has_op && self.selection_has_text() {
                LabelSelection::Matching(self.matcher()?)
            } else {
                LabelSelection::Name(self.expect_name()?)
            });
            if !self.take_sign(",") {
                return Ok(selections);
            }
        }
    }

    /// Tells `drop a!="x"` from `drop a != "x"`, which read alike: the operator belongs to the label.
    fn selection_has_text(&self) -> bool {
        matches!(self.tokens.get(self.at + 2).map(|token| &token.kind), Some(TokenKind::Text(_)))
    }
}
