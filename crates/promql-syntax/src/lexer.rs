//! Text into tokens.

use crate::op::BinaryOp;
use crate::token::{Token, TokenKind};
use crate::{ParseError, Span};

/// Reads tokens one at a time. Brackets and braces change what is allowed, so the lexer keeps track of them.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a str,
    at: usize,
    paren_depth: i64,
    in_braces: bool,
    in_brackets: bool,
    /// Right after `[` and `:`, where nothing but a duration expression may follow.
    in_duration: bool,
    got_colon: bool,
}

type LexResult = Result<Token, ParseError>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            at: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            in_duration: false,
            got_colon: false,
        }
    }

    /// The next token; after the last one `Eof`, again and again.
    pub(crate) fn next_token(&mut self) -> LexResult {
        self.skip_blanks();
        let start = self.at;
        let Some(c) = self.peek() else { return self.end_of_input(start) };
        match c {
            _ if self.in_braces => self.inside_braces(start, c),
            _ if self.in_duration => self.inside_duration(start, c),
            _ => self.statement(start, c),
        }
    }

    /// Whether the next character after blanks is `(`.
    fn paren_follows(&self) -> bool {
        self.input[self.at..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(')
    }

    fn end_of_input(&self, start: usize) -> LexResult {
        if self.in_braces {
            return self.fail(start, "unexpected end of input inside braces");
        }
        if self.in_duration {
            return self.fail(start, "unexpected end of input in duration expression");
        }
        if self.paren_depth != 0 {
            return self.fail(start, "unclosed left parenthesis");
        }
        if self.in_brackets {
            return self.fail(start, "unclosed left bracket");
        }
        Ok(Token { kind: TokenKind::Eof, span: Span::new(start, start) })
    }

    fn statement(&mut self, start: usize, c: char) -> LexResult {
        let next = self.input.as_bytes().get(start + 1).copied();
        let (kind, len) = match (c, next) {
            (',', _) => (TokenKind::Comma, 1),
            ('*', _) => (TokenKind::Op(BinaryOp::Mul), 1),
            ('/', _) => (TokenKind::Op(BinaryOp::Div), 1),
            ('%', _) => (TokenKind::Op(BinaryOp::Mod), 1),
            ('+', _) => (TokenKind::Op(BinaryOp::Add), 1),
            ('-', _) => (TokenKind::Op(BinaryOp::Sub), 1),
            ('^', _) => (TokenKind::Op(BinaryOp::Pow), 1),
            ('@', _) => (TokenKind::At, 1),
            ('=', Some(b'=')) => (TokenKind::Op(BinaryOp::Equal), 2),
            ('=', Some(b'~')) => return self.fail(start, "unexpected character after '=': '~'"),
            ('=', _) => (TokenKind::Equal, 1),
            ('!', Some(b'=')) => (TokenKind::Op(BinaryOp::NotEqual), 2),
            ('!', _) => {
                let found = self.input[start + 1..].chars().next();
                return self.fail(start, format!("unexpected character after '!': {}", quoted_char(found)));
            }
            ('<', Some(b'=')) => (TokenKind::Op(BinaryOp::LessEqual), 2),
            ('<', Some(b'/')) => (TokenKind::Op(BinaryOp::TrimUpper), 2),
            ('<', _) => (TokenKind::Op(BinaryOp::Less), 1),
            ('>', Some(b'=')) => (TokenKind::Op(BinaryOp::GreaterEqual), 2),
            ('>', Some(b'/')) => (TokenKind::Op(BinaryOp::TrimLower), 2),
            ('>', _) => (TokenKind::Op(BinaryOp::Greater), 1),
            ('(' | ')' | '{' | '[' | ']', _) => return self.bracket(start, c),
            ('"' | '\'' | '`', _) => return self.string(start, c),
            ('0'..='9', _) | ('.', Some(b'0'..=b'9')) => return self.number_or_duration(start),
            _ if is_alpha(c) || c == ':' => return self.word(start, c),
            _ => return self.fail(start, format!("unexpected character: {}", quoted_char(Some(c)))),
        };
        self.emit(kind, start, len)
    }

    fn bracket(&mut self, start: usize, c: char) -> LexResult {
        let kind = match c {
            '(' => {
                self.paren_depth += 1;
                TokenKind::LeftParen
            }
            ')' => {
                self.paren_depth -= 1;
                if self.paren_depth < 0 {
                    return self.fail(start, "unexpected right parenthesis ')'");
                }
                TokenKind::RightParen
            }
            '{' => {
                self.in_braces = true;
                TokenKind::LeftBrace
            }
            '[' if self.in_brackets => return self.fail(start, "unexpected left bracket '['"),
            '[' => {
                (self.in_brackets, self.in_duration, self.got_colon) = (true, true, false);
                TokenKind::LeftBracket
            }
            _ if !self.in_brackets => return self.fail(start, "unexpected right bracket ']'"),
            _ => {
                (self.in_brackets, self.in_duration) = (false, false);
                TokenKind::RightBracket
            }
        };
        self.emit(kind, start, 1)
    }

    /// A word outside braces. In brackets only `:` and the words of duration expressions are allowed.
    fn word(&mut self, start: usize, c: char) -> LexResult {
        if self.in_brackets {
            if c == ':' {
                if self.got_colon {
                    return self.fail(start, "unexpected colon ':'");
                }
                self.got_colon = true;
                return self.emit(TokenKind::Colon, start, 1);
            }
            if let Some(token) = self.duration_word(start) {
                return Ok(token);
            }
            return self.fail(start, format!("unexpected character: {}, expected ':'", quoted_char(Some(c))));
        }
        let len = self.run(|c| is_alpha_numeric(c) || c == ':');
        let mut kind = TokenKind::of_word(&self.input[start..start + len]);
        self.at = start + len;
        if let TokenKind::Keyword(keyword) = kind {
            use crate::token::Keyword as K;
            // Metrics may have been named so before these words got a meaning.
            if matches!(keyword, K::Fill | K::FillLeft | K::FillRight) && !self.paren_follows() {
                kind = TokenKind::Identifier;
            }
        }
        Ok(Token { kind, span: Span::new(start, self.at) })
    }

    fn duration_word(&mut self, start: usize) -> Option<Token> {
        use crate::token::Keyword as K;
        let len = self.run(is_alpha);
        let kind = TokenKind::of_word(&self.input[start..start + len]);
        if !matches!(kind, TokenKind::Keyword(K::Step | K::Range | K::MaxOf | K::MinOf)) {
            return None;
        }
        self.at = start + len;
        Some(Token { kind, span: Span::new(start, self.at) })
    }

    fn inside_duration(&mut self, start: usize, c: char) -> LexResult {
        let digit_follows = self.input.as_bytes().get(start + 1).is_some_and(u8::is_ascii_digit);
        match c {
            '0'..='9' => {
                self.in_duration = false;
                self.number_or_duration(start)
            }
            '.' if digit_follows => {
                self.in_duration = false;
                self.number_or_duration(start)
            }
            '+' | '-' | '*' | '/' | '%' | '^' | ',' => self.statement(start, c),
            '(' | ')' | ']' => self.bracket(start, c),
            ':' => self.fail(start, "unexpected colon before duration in duration expression"),
            _ => match self.duration_word(start) {
                Some(token) => {
                    self.in_duration = false;
                    Ok(token)
                }
                None => self.fail(
                    start,
                    format!("unexpected character in duration expression: {}", quoted_char(Some(c))),
                ),
            },
        }
    }

    fn inside_braces(&mut self, start: usize, c: char) -> LexResult {
        let next = self.input.as_bytes().get(start + 1).copied();
        let (kind, len) = match (c, next) {
            (',', _) => (TokenKind::Comma, 1),
            ('"' | '\'' | '`', _) => return self.string(start, c),
            ('=', Some(b'~')) => (TokenKind::EqualRegex, 2),
            ('=', _) => (TokenKind::Equal, 1),
            ('!', Some(b'~')) => (TokenKind::NotRegex, 2),
            ('!', Some(b'=')) => (TokenKind::Op(BinaryOp::NotEqual), 2),
            ('!', _) => {
                let found = quoted_char(self.input[start + 1..].chars().next());
                return self.fail(start, format!("unexpected character after '!' inside braces: {found}"));
            }
            ('{', _) => return self.fail(start, "unexpected left brace '{'"),
            ('}', _) => {
                self.in_braces = false;
                (TokenKind::RightBrace, 1)
            }
            _ if is_alpha(c) => (TokenKind::Identifier, self.run(is_alpha_numeric)),
            _ => {
                let found = quoted_char(Some(c));
                return self.fail(start, format!("unexpected character inside braces: {found}"));
            }
        };
        self.emit(kind, start, len)
    }

    fn string(&mut self, start: usize, quote: char) -> LexResult {
        let mut chars = self.input[start + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => return self.emit(TokenKind::String, start, at + 2),
                '\n' if quote != '`' => break,
                '\\' if quote != '`' => check_escape(&mut chars, quote).map_err(|reason| {
                    ParseError::new(self.input, Span::new(start, self.input.len()), reason)
                })?,
                _ => {}
            }
        }
        let kind = if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" };
        self.fail(start, kind)
    }

    fn number_or_duration(&mut self, start: usize) -> LexResult {
        let rest = &self.input.as_bytes()[start..];
        match scan_number(rest) {
            Ok(len) => self.emit(TokenKind::Number, start, len),
            Err(scanned) => match scan_duration(rest, scanned) {
                Ok(len) => self.emit(TokenKind::Duration, start, len),
                Err(len) => {
                    let mut end = (start + len).min(self.input.len());
                    while !self.input.is_char_boundary(end) {
                        end += 1;
                    }
                    let text = &self.input[start..end];
                    self.fail(start, format!("bad number or duration syntax: {text:?}"))
                }
            },
        }
    }

    fn skip_blanks(&mut self) {
        let bytes = self.input.as_bytes();
        loop {
            while bytes.get(self.at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            }
            if bytes.get(self.at) != Some(&b'#') || self.in_duration {
                return;
            }
            let rest = &bytes[self.at..];
            self.at += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        }
    }

    fn peek(&self) -> Option<char> {
        self.input[self.at..].chars().next()
    }

    /// The length of the run of characters from here on that `keep` accepts.
    fn run(&self, keep: impl Fn(char) -> bool) -> usize {
        let rest = &self.input[self.at..];
        rest.find(|c| !keep(c)).unwrap_or(rest.len())
    }

    fn emit(&mut self, kind: TokenKind, start: usize, len: usize) -> LexResult {
        self.at = start + len;
        Ok(Token { kind, span: Span::new(start, self.at) })
    }

    fn fail(&self, start: usize, message: impl Into<String>) -> LexResult {
        Err(ParseError::new(self.input, Span::new(start, self.input.len()), message))
    }
}

/// A character as Go's %q shows it; the end of the input is no character.
fn quoted_char(c: Option<char>) -> String {
    match c {
        None => "end of input".to_owned(),
        Some(c @ ('\'' | '\\')) => format!("'\\{c}'"),
        Some('\n') => "'\\n'".to_owned(),
        Some('\r') => "'\\r'".to_owned(),
        Some('\t') => "'\\t'".to_owned(),
        Some(c) if c.is_control() => format!("'\\x{:02x}'", c as u32),
        Some(c) => format!("'{c}'"),
    }
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alpha_numeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

/// Checks what follows a backslash, and takes it.
fn check_escape(chars: &mut std::str::CharIndices<'_>, quote: char) -> Result<(), String> {
    let Some((_, c)) = chars.next() else { return Err("escape sequence not terminated".to_owned()) };
    let (mut digits, radix, max) = match c {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
        _ if c == quote => return Ok(()),
        '0'..='7' => (3, 8, 255),
        'x' => (2, 16, 255),
        'u' => (4, 16, 0x0010_ffff),
        'U' => (8, 16, 0x0010_ffff),
        _ => return Err(format!("unknown escape sequence U+{:04X} '{c}'", c as u32)),
    };
    let mut value = 0u64;
    if radix == 8 {
        value = u64::from(c.to_digit(8).unwrap_or(0));
        digits -= 1;
    }
    for _ in 0..digits {
        let Some((_, c)) = chars.next() else { return Err("escape sequence not terminated".to_owned()) };
        let Some(digit) = c.to_digit(radix) else {
            return Err(format!("illegal character U+{:04X} '{c}' in escape sequence", c as u32));
        };
        value = value * u64::from(radix) + u64::from(digit);
    }
    if value > max || (0xd800..0xe000).contains(&value) {
        return Err("escape sequence is an invalid Unicode code point".to_owned());
    }
    Ok(())
}

/// The length of the number at the start of `bytes`, or how far it went until it was none.
fn scan_number(bytes: &[u8]) -> Result<usize, usize> {
    let at_is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|b| set.contains(b));
    let mut at = 0;
    let is_hex = at_is(0, b"0") && at_is(1, b"xX");
    if is_hex {
        at = 2;
        if at_is(at, b"_") {
            at += 1;
        }
    } else if at_is(0, b"0") {
        at = 1;
    }
    let is_digit = |b: u8| if is_hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
    let (mut dot_seen, mut exponent_seen) = (false, false);
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'.' if dot_seen => return Err(at + 1),
            b'.' => {
                dot_seen = true;
                at += 1;
                if at_is(at, b"_.") {
                    return Err(at + 1);
                }
                if is_hex {
                    return Err(at);
                }
            }
            _ if is_digit(byte) => at += 1,
            b'e' | b'E' if exponent_seen => return Err(at + 1),
            b'e' | b'E' => {
                exponent_seen = true;
                at += 1;
                if at_is(at, b"+-") {
                    at += 1;
                }
                if at_is(at, b"._eE") {
                    return Err(at + 1);
                }
                if at >= bytes.len() {
                    return Err(at);
                }
            }
            b'_' => {
                at += 1;
                if at_is(at, b"._eE") {
                    return Err(at + 1);
                }
                if at >= bytes.len() {
                    return Err(at);
                }
            }
            _ => break,
        }
    }
    let followed = bytes.get(at).is_some_and(|b| *b == b'_' || b.is_ascii_alphanumeric());
    if at == 0 || followed { Err(at) } else { Ok(at) }
}

/// The length of the duration whose first number ends at `number_end`, or how far it went until it was none.
fn scan_duration(bytes: &[u8], number_end: usize) -> Result<usize, usize> {
    let at_is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|b| set.contains(b));
    let mut at = number_end;
    if !at_is(at, b"smhdwy") {
        return Err(at);
    }
    at += 1;
    if at_is(at, b"s") {
        at += 1;
    }
    while at_is(at, b"0123456789") {
        while at_is(at, b"0123456789") {
            at += 1;
        }
        if !at_is(at, b"smhdw") {
            return Err(at);
        }
        at += 1;
        if at_is(at, b"s") {
            at += 1;
        }
    }
    if bytes.get(at).is_some_and(|b| *b == b'_' || b.is_ascii_alphanumeric()) { Err(at + 1) } else { Ok(at) }
}
