//! The text of a template as tokens.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Identifier,
    /// `.name`
    Field,
    /// `$name`
    Variable,
    Dot,
    Nil,
    Bool,
    Number,
    Char,
    String,
    RawString,
    LeftParen,
    RightParen,
    Pipe,
    Comma,
    Declare,
    Assign,
    Keyword,
    Eof,
}

/// A token: its kind, its text and the byte it starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) text: &'t str,
    pub(crate) pos: usize,
}

/// Where and why the text could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) pos: usize,
    pub(crate) message: String,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

pub(crate) const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// Reads the whole text. Comments leave no token; trim markers have been applied to the text around them.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, LexError> {
    let mut lexer = Lexer { text, pos: 0, tokens: Vec::new(), parens: 0 };
    let mut trim_next = false;
    loop {
        let rest = &text[lexer.pos..];
        let found = rest.find(LEFT);
        let end = found.unwrap_or(rest.len());
        let mut literal = &rest[..end];
        let mut start = lexer.pos;
        if trim_next {
            let trimmed = literal.trim_start_matches(SPACES);
            start += literal.len() - trimmed.len();
            literal = trimmed;
        }
        let trims_before = found.is_some() && has_left_trim(&rest[end + LEFT.len()..]);
        if trims_before {
            literal = literal.trim_end_matches(SPACES);
        }
        if !literal.is_empty() {
            lexer.tokens.push(Token { kind: Kind::Text, text: literal, pos: start });
        }
        lexer.pos += end;
        if found.is_none() {
            lexer.push(Kind::Eof, 0);
            return Ok(lexer.tokens);
        }
        let after_delim = lexer.pos + LEFT.len() + if trims_before { 2 } else { 0 };
        if text[after_delim..].starts_with("/*") {
            trim_next = lexer.skip_comment(after_delim)?;
        } else {
            lexer.push(Kind::LeftDelim, LEFT.len());
            lexer.pos = after_delim;
            trim_next = lexer.action()?;
        }
    }
}

fn has_left_trim(after: &str) -> bool {
    after.starts_with('-') && after[1..].starts_with(SPACES)
}

fn has_right_trim(text: &str) -> bool {
    text.starts_with(SPACES) && text[1..].starts_with('-') && text[2..].starts_with(RIGHT)
}

struct Lexer<'t> {
    text: &'t str,
    pos: usize,
    tokens: Vec<Token<'t>>,
    parens: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.pos..]
    }

    fn push(&mut self, kind: Kind, len: usize) {
        self.tokens.push(Token { kind, text: &self.text[self.pos..self.pos + len], pos: self.pos });
        self.pos += len;
    }

    fn fail<T>(&self, pos: usize, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { pos, message: message.into() })
    }

    fn skip_comment(&mut self, start: usize) -> Result<bool, LexError> {
        let Some(len) = self.text[start..].find("*/") else {
            return self.fail(start, "unclosed comment");
        };
        let after = &self.text[start + len + 2..];
        let (skip, trim) = if has_right_trim(after) {
            (2 + RIGHT.len(), true)
        } else if after.starts_with(RIGHT) {
            (RIGHT.len(), false)
        } else {
            return self.fail(start, "comment ends before closing delimiter");
        };
        self.pos = start + len + 2 + skip;
        Ok(trim)
    }

    /// Reads up to and with the right delimiter; whether it trims what follows.
    fn action(&mut self) -> Result<bool, LexError> {
        self.parens = 0;
        loop {
            let rest = self.rest();
            let trims = has_right_trim(rest);
            if trims || rest.starts_with(RIGHT) {
                if self.parens > 0 {
                    return self.fail(self.pos, "unclosed left paren");
                }
                self.pos += if trims { 2 } else { 0 };
                self.push(Kind::RightDelim, RIGHT.len());
                return Ok(trims);
            }
            let Some(first) = rest.chars().next() else {
                return self.fail(self.pos, "unclosed action");
            };
            self.token(first)?;
        }
    }

    fn token(&mut self, first: char) -> Result<(), LexError> {
        let rest = self.rest();
        match first {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.push(Kind::Assign, 1),
            ':' if rest.starts_with(":=") => self.push(Kind::Declare, 2),
            ':' => return self.fail(self.pos, "expected :="),
            '|' => self.push(Kind::Pipe, 1),
            ',' => self.push(Kind::Comma, 1),
            '(' => {
                self.parens += 1;
                self.push(Kind::LeftParen, 1);
            }
            ')' => {
                if self.parens == 0 {
                    return self.fail(self.pos, "unexpected right paren");
                }
                self.parens -= 1;
                self.push(Kind::RightParen, 1);
            }
            '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::Char, "unterminated character constant")?,
            '`' => match rest[1..].find('`') {
                Some(len) => self.push(Kind::RawString, len + 2),
                None => return self.fail(self.pos, "unterminated raw quoted string"),
            },
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.name(1, Kind::Field)?,
            '$' => self.name(1, Kind::Variable)?,
            '+' | '-' | '.' | '0'..='9' => self.number()?,
            c if is_name_char(c) => self.name(0, Kind::Identifier)?,
            c => {
                return self.fail(
                    self.pos,
                    format!("unrecognized character in action: U+{:04X} {c:?}", u32::from(c)),
                );
            }
        }
        Ok(())
    }

    fn space(&mut self) {
        let rest = self.rest();
        let mut len = rest.len() - rest.trim_start_matches(SPACES).len();
        // The last space may belong to a trim marker.
        if has_right_trim(&rest[len - 1..]) {
            len -= 1;
        }
        if len > 0 {
            self.push(Kind::Space, len);
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Result<(), LexError> {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.push(kind, at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail(self.pos, unterminated)
    }

    fn name(&mut self, sigil: usize, kind: Kind) -> Result<(), LexError> {
        let rest = self.rest();
        let end = rest[sigil..].find(|c| !is_name_char(c)).map_or(rest.len(), |len| sigil + len);
        let word = &rest[..end];
        let kind = match (kind, word) {
            (Kind::Field, ".") => Kind::Dot,
            (Kind::Identifier, "true" | "false") => Kind::Bool,
            (Kind::Identifier, "nil") => Kind::Nil,
            (Kind::Identifier, word) if KEYWORDS.contains(&word) => Kind::Keyword,
            (kind, _) => kind,
        };
        let next = rest[end..].chars().next();
        let ends_here = kind == Kind::Dot
            || rest[end..].starts_with(RIGHT)
            || next
                .is_none_or(|c| SPACES.contains(&c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '(' | '='));
        if !ends_here {
            let c = next.unwrap_or_default();
            return self.fail(self.pos + end, format!("bad character U+{:04X} {c:?}", u32::from(c)));
        }
        self.push(kind, end);
        Ok(())
    }

    fn number(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let mut previous = ' ';
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            let sign_fits = at == 0 || matches!(previous, 'e' | 'E' | 'p' | 'P');
            let fits =
                c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || (matches!(c, '+' | '-') && sign_fits);
            if !fits {
                end = at;
                break;
            }
            previous = c;
        }
        let text = &rest[..end];
        if crate::number::parse(text).is_none() {
            return self.fail(self.pos, format!("bad number syntax: {text:?}"));
        }
        self.push(Kind::Number, end);
        Ok(())
    }
}

fn is_name_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
