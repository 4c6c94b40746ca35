//! RE2's syntax (as Go reads it) written as the regex crate's.

use std::fmt::Write as _;

use crate::RegexError;

/// Go's highest repeat count.
const REPEAT_MAX: u32 = 1000;

/// What the regex crate has to be given so that it means what Go means by `pattern`.
pub(crate) fn translate(pattern: &str) -> Result<String, RegexError> {
    Translator { pattern, at: 0, out: String::with_capacity(pattern.len() + 8), repeatable: false }.run()
}

struct Translator<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    /// Whether something stands here that `*` can repeat.
    repeatable: bool,
}

impl<'p> Translator<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn run(mut self) -> Result<String, RegexError> {
        let mut depth = 0usize;
        while let Some(c) = self.rest().chars().next() {
            match c {
                '(' => {
                    depth += 1;
                    self.group(&mut depth)?;
                    self.repeatable = false;
                }
                ')' => {
                    depth = match depth.checked_sub(1) {
                        Some(depth) => depth,
                        None => return Err(fail("unexpected )", self.pattern)),
                    };
                    self.keep(1);
                }
                '|' => {
                    self.keep(1);
                    self.repeatable = false;
                }
                '[' => self.class()?,
                '*' | '+' | '?' => self.repeat(1)?,
                '{' => match repeat_len(self.rest())? {
                    Some(len) => self.repeat(len)?,
                    None => {
                        self.out.push_str("\\{");
                        self.at += 1;
                        self.repeatable = true;
                    }
                },
                '\\' => self.escape()?,
                c => self.keep(c.len_utf8()),
            }
        }
        if depth > 0 {
            return Err(fail("missing closing )", self.pattern));
        }
        Ok(self.out)
    }

    /// Takes over the next `len` bytes as they are.
    fn keep(&mut self, len: usize) {
        self.out.push_str(&self.rest()[..len]);
        self.at += len;
        self.repeatable = true;
    }

    fn group(&mut self, depth: &mut usize) -> Result<(), RegexError> {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix("(?") else {
            self.keep(1);
            return Ok(());
        };
        let name_at = if after.starts_with("P<") {
            Some(4)
        } else if after.starts_with('<') && !after.starts_with("<=") && !after.starts_with("<!") {
            Some(3)
        } else {
            None
        };
        if let Some(start) = name_at {
            let end = rest.find('>').ok_or_else(|| fail("invalid named capture", rest))?;
            let name = &rest[start..end];
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(fail("invalid named capture", &rest[..=end]));
            }
            self.keep(end + 1);
            return Ok(());
        }
        let len = after.find([':', ')']).unwrap_or(after.len());
        let flags = &after[..len];
        let negated = flags.split_once('-');
        let sound = flags.bytes().all(|b| matches!(b, b'i' | b'm' | b's' | b'U' | b'-'))
            && !matches!(negated, Some((_, off)) if off.is_empty() || off.contains('-'));
        if len == after.len() && sound {
            return Err(fail("missing closing )", self.pattern));
        }
        if !sound || (flags.is_empty() && !after.starts_with(':')) {
            let shown_len = after.chars().next().map_or(0, char::len_utf8).max(len.min(1));
            return Err(fail("invalid or unsupported Perl syntax", &rest[..2 + shown_len]));
        }
        if after[len..].starts_with(')') {
            // Flags for what follows: a group that is closed at once.
            *depth -= 1;
        }
        self.keep(2 + len + 1);
        Ok(())
    }

    fn repeat(&mut self, len: usize) -> Result<(), RegexError> {
        let rest = self.rest();
        let operator = &rest[..len];
        if !self.repeatable {
            return Err(fail("missing argument to repetition operator", operator));
        }
        let lazy = usize::from(rest[len..].starts_with('?'));
        let taken = len + lazy;
        let after = &rest[taken..];
        let next_len = match after.chars().next() {
            Some('*' | '+' | '?') => 1,
            Some('{') => repeat_len(after)?.unwrap_or(0),
            _ => 0,
        };
        if next_len > 0 {
            return Err(fail("invalid nested repetition operator", &rest[..taken + next_len]));
        }
        self.keep(taken);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexError> {
        let rest = self.rest();
        let Some(c) = rest[1..].chars().next() else {
            return Err(fail("trailing backslash at end of expression", ""));
        };
        let after = 1 + c.len_utf8();
        let fixed = match c {
            'b' => Some("(?-u:\\b)"),
            'B' => Some("(?-u:\\B)"),
            'A' => Some("\\A"),
            'z' => Some("\\z"),
            'C' => return Err(fail("invalid escape sequence", "\\C")),
            _ => None,
        };
        self.repeatable = true;
        if let Some(fixed) = fixed {
            self.out.push_str(fixed);
            self.at += after;
            return Ok(());
        }
        if let Some(class) = perl_class(c) {
            self.out.push_str(class);
            self.at += after;
            return Ok(());
        }
        if c == 'Q' {
            let literal = &rest[2..];
            let (literal, len) =
                literal.split_once("\\E").map_or((literal, rest.len()), |(text, _)| (text, text.len() + 4));
            literal.chars().for_each(|c| push_literal(&mut self.out, c));
            self.at += len;
            self.repeatable = !literal.is_empty();
            return Ok(());
        }
        if matches!(c, 'p' | 'P') {
            return self.unicode_class();
        }
        let (c, len) = escaped_char(rest)?;
        push_literal(&mut self.out, c);
        self.at += len;
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`
    fn unicode_class(&mut self) -> Result<(), RegexError> {
        let rest = self.rest();
        let bad = |text: &str| fail("invalid character class range", text);
        let negated = rest.starts_with("\\P");
        let (name, len) = match rest[2..].strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').ok_or_else(|| bad(rest))?;
                (&inner[..end], 3 + end + 1)
            }
            None => {
                let c = rest[2..].chars().next().ok_or_else(|| bad(rest))?;
                (&rest[2..2 + c.len_utf8()], 2 + c.len_utf8())
            }
        };
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (!negated, name),
            None => (negated, name),
        };
        if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            return Err(bad(&rest[..len]));
        }
        let name = if name == "Any" { "any" } else { name };
        write!(self.out, "\\{}{{{name}}}", if negated { 'P' } else { 'p' })
            .expect("writing to a string can't fail");
        self.at += len;
        self.repeatable = true;
        Ok(())
    }

    fn class(&mut self) -> Result<(), RegexError> {
        let whole = self.rest();
        self.out.push('[');
        self.at += 1;
        if self.rest().starts_with('^') {
            self.out.push('^');
            self.at += 1;
        }
        let mut first = true;
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return Err(fail("missing closing ]", whole));
            };
            match c {
                ']' if !first => break,
                '[' if rest.starts_with("[:") && rest.contains(":]") => {
                    let end = rest.find(":]").unwrap_or_default() + 2;
                    if !is_posix_class(&rest[..end]) {
                        return Err(fail("invalid character class range", &rest[..end]));
                    }
                    self.out.push_str(&rest[..end]);
                    self.at += end;
                }
                '\\' if rest[1..].starts_with(['p', 'P']) => self.unicode_class()?,
                '\\' => match rest[1..].chars().next().and_then(perl_class) {
                    Some(class) => {
                        self.out.push_str(class);
                        self.at += 2;
                    }
                    None => self.range()?,
                },
                _ => self.range()?,
            }
            first = false;
        }
        self.out.push(']');
        self.at += 1;
        self.repeatable = true;
        Ok(())
    }

    /// A character or a range of characters in a class.
    fn range(&mut self) -> Result<(), RegexError> {
        let start = self.at;
        let low = self.class_char()?;
        let rest = self.rest();
        push_literal(&mut self.out, low);
        if rest.starts_with('-') && !rest[1..].starts_with(']') && rest.len() > 1 {
            self.at += 1;
            let high = self.class_char()?;
            if high < low {
                return Err(fail("invalid character class range", &self.pattern[start..self.at]));
            }
            self.out.push('-');
            push_literal(&mut self.out, high);
        }
        Ok(())
    }

    fn class_char(&mut self) -> Result<char, RegexError> {
        let rest = self.rest();
        let (c, len) = match rest.chars().next() {
            Some('\\') => escaped_char(rest)?,
            Some(c) => (c, c.len_utf8()),
            None => return Err(fail("missing closing ]", self.pattern)),
        };
        self.at += len;
        Ok(c)
    }
}

fn fail(reason: &str, shown: &str) -> RegexError {
    RegexError { pattern: shown.to_owned(), reason: reason.to_owned() }
}

fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x0C\\r ]",
        'S' => "[^\\t\\n\\x0C\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

fn is_posix_class(text: &str) -> bool {
    let name = text.trim_start_matches("[:").trim_start_matches('^').trim_end_matches(":]");
    matches!(
        name,
        "alnum"
            | "alpha"
            | "ascii"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "word"
            | "xdigit"
    )
}

/// The length of `{n}`, `{n,}` or `{n,m}` at the start of `text`; anything else with a brace is literal text.
fn repeat_len(text: &str) -> Result<Option<usize>, RegexError> {
    let Some(end) = text.find('}') else {
        return Ok(None);
    };
    let (low, high) = match text[1..end].split_once(',') {
        Some((low, high)) => (low, Some(high)),
        None => (&text[1..end], None),
    };
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(low) || high.is_some_and(|high| !high.is_empty() && !is_number(high)) {
        return Ok(None);
    }
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|n| *n <= REPEAT_MAX);
    let sound = match (number(low), high) {
        (Some(_), None | Some("")) => true,
        (Some(low), Some(high)) => number(high).is_some_and(|high| low <= high),
        (None, _) => false,
    };
    if !sound {
        return Err(fail("invalid repeat count", &text[..=end]));
    }
    Ok(Some(end + 1))
}

/// The character that an escape at the start of `text` stands for, and the escape's length.
fn escaped_char(text: &str) -> Result<(char, usize), RegexError> {
    let mut chars = text[1..].chars();
    let Some(c) = chars.next() else {
        return Err(fail("trailing backslash at end of expression", ""));
    };
    let simple = match c {
        'a' => Some('\u{7}'),
        'f' => Some('\u{c}'),
        't' => Some('\t'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        'v' => Some('\u{b}'),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    if let Some(c) = simple {
        return Ok((c, 2));
    }
    let unknown = || fail("invalid escape sequence", &text[..1 + c.len_utf8()]);
    match c {
        '0'..='7' => {
            let digits = text[1..].bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            // One digit alone, unless 0, would be a reference to a group.
            if digits == 1 && c != '0' {
                return Err(unknown());
            }
            let code = u32::from_str_radix(&text[1..=digits], 8).map_err(|_| unknown())?;
            Ok((char::from_u32(code).ok_or_else(unknown)?, 1 + digits))
        }
        'x' => {
            let (digits, len) = match text[2..].strip_prefix('{') {
                Some(inner) => {
                    let end = inner.find('}').ok_or_else(unknown)?;
                    (&inner[..end], 3 + end + 1)
                }
                None => (text.get(2..4).ok_or_else(unknown)?, 4),
            };
            let sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| sound);
            Ok((code.and_then(char::from_u32).ok_or_else(unknown)?, len))
        }
        _ => Err(unknown()),
    }
}

/// A character as a literal, in and out of classes.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && c != '_' {
        // Escaped `<` and `>` would be assertions.
        if matches!(c, '<' | '>') {
            write!(out, "\\x{:02X}", u32::from(c)).expect("writing to a string can't fail");
            return;
        }
        out.push('\\');
    } else if c.is_control() {
        write!(out, "\\x{{{:X}}}", u32::from(c)).expect("writing to a string can't fail");
        return;
    }
    out.push(c);
}
