//! Text into tokens.

use model::parse_duration_ms;

use crate::literal::{parse_bytes, parse_duration, parse_number, unquote};
use crate::token::{Token, TokenKind};
use crate::{ParseError, Span};

/// Signs, longer ones first.
const SIGNS: [&str; 29] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "==", "=~", ">=", "<=", "{", "}", "(", ")", ",", "|", "=", ">", "<",
    "+", "-", "*", "/", "%", "^", ".", "!", "]", ":",
];

/// Cuts a query into tokens; the last is always [`TokenKind::End`].
pub(crate) fn tokenize(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while lexer.next()? {}
    let end = Span { start: text.len(), end: text.len() };
    lexer.tokens.push(Token { kind: TokenKind::End, span: end });
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<bool, ParseError> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return Ok(false) };
        let second_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        match first {
            '"' => self.double_quoted()?,
            '`' => self.raw()?,
            '[' => self.range()?,
            '_' => self.ident(),
            c if c.is_alphabetic() => self.ident(),
            c if c.is_ascii_digit() || (c == '.' && second_is_digit) => self.number()?,
            '-' if self.after_logfmt() && rest.starts_with("--") => self.flag()?,
            _ => self.sign(first)?,
        }
        Ok(true)
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn push(&mut self, len: usize, kind: TokenKind<'a>) {
        let span = Span { start: self.at, end: self.at + len };
        self.tokens.push(Token { kind, span });
        self.at += len;
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, Span { start: self.at, end: self.at }, message))
    }

    fn double_quoted(&mut self) -> Result<(), ParseError> {
        let rest = &self.text.as_bytes()[self.at..];
        let mut at = 1;
        loop {
            match rest.get(at) {
                None | Some(b'\n') => return self.fail("literal not terminated"),
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
        // The loop may have stepped over the end of a multi-byte character after a backslash, never into `at` itself.
        let inner = self.text.get(self.at + 1..self.at + at);
        match inner.and_then(unquote) {
            Some(value) => self.push(at + 1, TokenKind::Text(value)),
            None => return self.fail("invalid char escape"),
        }
        Ok(())
    }

    fn raw(&mut self) -> Result<(), ParseError> {
        let rest = &self.text[self.at + 1..];
        let Some(len) = rest.find('`') else { return self.fail("literal not terminated") };
        self.push(len + 2, TokenKind::Text(rest[..len].replace('\r', "")));
        Ok(())
    }

    fn range(&mut self) -> Result<(), ParseError> {
        let rest = &self.text[self.at + 1..];
        let Some(len) = rest.find(']') else { return self.fail("missing closing ']' in duration") };
        let inner = rest[..len].trim();
        match parse_duration_ms(inner).ok().and_then(|ms| ms.checked_mul(1_000_000)) {
            Some(0) => return self.fail("duration must be greater than 0"),
            Some(nanos) => self.push(len + 2, TokenKind::Range(nanos)),
            None => return self.fail(format!("not a valid duration string: {inner:?}")),
        }
        Ok(())
    }

    fn ident(&mut self) {
        let rest = &self.text[self.at..];
        let len = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        self.push(len, TokenKind::Ident(&rest[..len]));
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let rest = &self.text[self.at..];
        let is_hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut before = ' ';
        let mut len = 0;
        for c in rest.chars() {
            let is_sign_of_exponent = matches!(c, '+' | '-')
                && matches!(before, 'e' | 'E')
                && !is_hex
                && rest[..len - 1].bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && rest.as_bytes().get(len + 1).is_some_and(u8::is_ascii_digit);
            if !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | 'µ' | 'μ') || is_sign_of_exponent) {
                break;
            }
            before = c;
            len += c.len_utf8();
        }
        let word = &rest[..len];
        let kind = parse_number(word)
            .map(TokenKind::Number)
            .or_else(|| parse_duration(word).map(TokenKind::Duration))
            .or_else(|| parse_bytes(word).map(TokenKind::Bytes));
        match kind {
            Some(kind) => self.push(len, kind),
            None => return self.fail(format!("syntax error: unexpected {word:?}, expecting a number")),
        }
        Ok(())
    }

    fn after_logfmt(&self) -> bool {
        match self.tokens.last().map(|token| &token.kind) {
            Some(TokenKind::Ident(name)) => name.eq_ignore_ascii_case("logfmt"),
            Some(TokenKind::Flag(_)) => true,
            _ => false,
        }
    }

    fn flag(&mut self) -> Result<(), ParseError> {
        let rest = &self.text[self.at..];
        for flag in ["--strict", "--keep-empty"] {
            if rest.starts_with(flag) {
                self.push(flag.len(), TokenKind::Flag(&rest[..flag.len()]));
                return Ok(());
            }
        }
        self.fail("syntax error: unexpected flag, expecting --strict or --keep-empty")
    }

    fn sign(&mut self, first: char) -> Result<(), ParseError> {
        let rest = &self.text[self.at..];
        match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            Some(sign) => self.push(sign.len(), TokenKind::Sign(sign)),
            None => return self.fail(format!("syntax error: unexpected character {first:?}")),
        }
        Ok(())
    }
}
