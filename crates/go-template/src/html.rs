//! HTML mode: follows the literal text through HTML's states and escapes values as their place asks for.

use std::borrow::Cow;

use crate::escape::push_percent;
use crate::{Value, printf};

/// What Go puts in the place of a value that is not safe where it stands.
const UNSAFE: &str = "ZgotmplZ";

/// Where in the document the output has come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct HtmlContext {
    state: State,
    /// The element whose tag is being read, or whose content is raw (script, style, textarea, title).
    element: String,
    attribute: String,
    /// The URL attribute's value so far, as far as it decides how to escape.
    url_part: UrlPart,
    /// The quote of the JavaScript string that the place is in.
    js_quote: Option<char>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Comment,
    TagName,
    /// In a tag, between attributes.
    Tag,
    AttributeName,
    AfterName,
    BeforeValue,
    /// In a value; its quote, or a space where it has none.
    Value(char),
    /// In an element whose content is not markup.
    Raw,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum UrlPart {
    #[default]
    Start,
    Path,
    Query,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttributeKind {
    Plain,
    Url,
    Js,
    Css,
    /// Values that would change what the element is.
    Unsafe,
}

impl HtmlContext {
    /// Follows literal text; gives what of it is to be written (comments are left out).
    pub(crate) fn literal(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = self.step(rest, c, &mut out);
            rest = &rest[taken..];
        }
        out
    }

    /// Takes at least one character; the number of bytes taken.
    fn step(&mut self, rest: &str, c: char, out: &mut String) -> usize {
        if self.state == State::Comment {
            let (taken, done) = rest.find("-->").map_or((rest.len(), false), |at| (at + 3, true));
            self.state = if done { State::Text } else { State::Comment };
            return taken;
        }
        if self.state == State::Text && rest.starts_with("<!--") {
            self.state = State::Comment;
            return 4;
        }
        out.push(c);
        match self.state {
            State::Comment => {}
            State::Text => {
                if c == '<' && rest[1..].starts_with(|n: char| n.is_ascii_alphabetic() || n == '/') {
                    self.state = State::TagName;
                    self.element.clear();
                }
            }
            State::Raw => self.raw(rest, c),
            State::TagName => match c {
                '>' => self.tag_done(),
                c if c.is_whitespace() => self.state = State::Tag,
                c => self.element.push(c.to_ascii_lowercase()),
            },
            State::Tag | State::AfterName => match c {
                '>' => self.tag_done(),
                '=' if self.state == State::AfterName => self.state = State::BeforeValue,
                '/' => self.state = State::Tag,
                c if c.is_whitespace() => {}
                c => {
                    self.attribute = c.to_ascii_lowercase().to_string();
                    self.state = State::AttributeName;
                }
            },
            State::AttributeName => match c {
                '=' => self.state = State::BeforeValue,
                '>' => self.tag_done(),
                c if c.is_whitespace() => self.state = State::AfterName,
                c => self.attribute.push(c.to_ascii_lowercase()),
            },
            State::BeforeValue => match c {
                '>' => self.tag_done(),
                '"' | '\'' => self.value_starts(c),
                c if c.is_whitespace() => {}
                c => {
                    self.value_starts(' ');
                    self.in_value(c);
                }
            },
            State::Value(' ') if c == '>' => self.tag_done(),
            State::Value(' ') if c.is_whitespace() => self.state = State::Tag,
            State::Value(quote) if c == quote => self.state = State::Tag,
            State::Value(_) => self.in_value(c),
        }
        c.len_utf8()
    }

    fn tag_done(&mut self) {
        let is_raw = matches!(self.element.as_str(), "script" | "style" | "textarea" | "title");
        self.state = if is_raw { State::Raw } else { State::Text };
        self.js_quote = None;
    }

    fn raw(&mut self, rest: &str, c: char) {
        let end = rest.strip_prefix("</").and_then(|name| name.get(..self.element.len()));
        if end.is_some_and(|name| name.eq_ignore_ascii_case(&self.element)) {
            self.element.clear();
            self.state = State::TagName;
            return;
        }
        if self.element == "script" {
            self.follow_js(c);
        }
    }

    fn follow_js(&mut self, c: char) {
        match self.js_quote {
            Some(quote) if c == quote => self.js_quote = None,
            None if matches!(c, '"' | '\'' | '`') => self.js_quote = Some(c),
            _ => {}
        }
    }

    fn value_starts(&mut self, quote: char) {
        self.state = State::Value(quote);
        self.url_part = UrlPart::Start;
        self.js_quote = None;
    }

    fn in_value(&mut self, c: char) {
        match self.attribute_kind() {
            AttributeKind::Url => {
                self.url_part = match c {
                    '?' | '#' => UrlPart::Query,
                    _ if self.url_part == UrlPart::Query => UrlPart::Query,
                    _ => UrlPart::Path,
                };
            }
            AttributeKind::Js => self.follow_js(c),
            AttributeKind::Plain | AttributeKind::Css | AttributeKind::Unsafe => {}
        }
    }

    fn attribute_kind(&self) -> AttributeKind {
        let name = self.attribute.strip_prefix("data-").unwrap_or(&self.attribute);
        let name = name.rsplit(':').next().unwrap_or(name);
        match name {
            "href" | "src" | "action" | "formaction" | "cite" | "poster" | "background" | "data"
            | "longdesc" | "manifest" | "icon" | "codebase" | "usemap" | "profile" | "classid"
            | "archive" | "srcset" => AttributeKind::Url,
            "style" => AttributeKind::Css,
            "srcdoc" | "type" | "http-equiv" | "charset" | "sandbox" => AttributeKind::Unsafe,
            name if name.starts_with("on") => AttributeKind::Js,
            name if name.contains("src") || name.contains("uri") || name.contains("url") => {
                AttributeKind::Url
            }
            _ => AttributeKind::Plain,
        }
    }

    /// A value as it is to be written here.
    pub(crate) fn value(&mut self, value: &Value) -> String {
        let text = match value {
            // Go's HTML escaper shows a missing value as nothing.
            Value::Nil | Value::NoValue => Cow::Borrowed(""),
            value => match value.as_str() {
                Some(text) => Cow::Borrowed(text),
                None => Cow::Owned(printf::format_value(value)),
            },
        };
        match self.state {
            State::Comment => String::new(),
            State::Text => match value {
                Value::SafeHtml(text) => text.to_string(),
                _ => escape(&text, false),
            },
            State::Raw => match self.element.as_str() {
                "script" => self.js_value(value, &text),
                "style" => css_value(&text),
                _ => escape(&text, false),
            },
            State::TagName | State::Tag | State::AttributeName | State::AfterName => name_value(&text),
            State::BeforeValue => {
                self.value_starts(' ');
                self.attribute_value(value, &text, ' ')
            }
            State::Value(quote) => self.attribute_value(value, &text, quote),
        }
    }

    fn attribute_value(&mut self, value: &Value, text: &str, quote: char) -> String {
        let unquoted = quote == ' ';
        match self.attribute_kind() {
            AttributeKind::Plain => match value {
                Value::SafeHtml(_) => escape(&strip_tags(text), unquoted),
                _ => escape(text, unquoted),
            },
            AttributeKind::Unsafe => UNSAFE.to_owned(),
            AttributeKind::Js => escape(&self.js_value(value, text), unquoted),
            AttributeKind::Css => escape(&css_value(text), unquoted),
            AttributeKind::Url => {
                let safe = matches!(value, Value::SafeUrl(_));
                let escaped = match self.url_part {
                    UrlPart::Start if !safe && !has_safe_scheme(text) => format!("#{UNSAFE}"),
                    UrlPart::Start | UrlPart::Path => url_normalised(text),
                    UrlPart::Query if safe => url_normalised(text),
                    UrlPart::Query => url_escaped(text),
                };
                text.chars().for_each(|c| self.in_value(c));
                escape(&escaped, unquoted)
            }
        }
    }

    fn js_value(&self, value: &Value, text: &str) -> String {
        if self.js_quote.is_some() {
            return js_inner(text);
        }
        match value {
            Value::Nil | Value::NoValue => " null ".to_owned(),
            Value::Bool(_) | Value::Int(_) => format!(" {text} "),
            Value::Float(number) if number.is_finite() => format!(" {text} "),
            Value::List(values) => {
                let inner: Vec<String> =
                    values.iter().map(|v| self.js_value(v, &printf::format_value(v))).collect();
                format!("[{}]", inner.join(","))
            }
            _ => js_string(text),
        }
    }
}

fn js_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            c => push_js(&mut out, c),
        }
    }
    out.push('"');
    // A quote of the other kind could end an attribute.
    out.replace('\'', "\\u0027")
}

/// Text for the inside of a string that the template has opened.
fn js_inner(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '/' => out.push_str("\\/"),
            '"' | '\'' | '`' | '+' => push_unicode_lower(&mut out, c),
            c => push_js(&mut out, c),
        }
    }
    out
}

fn push_js(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => push_unicode_lower(out, c),
        c if c.is_control() => push_unicode_lower(out, c),
        c => out.push(c),
    }
}

fn push_unicode_lower(out: &mut String, c: char) {
    out.push_str(&format!("\\u{:04x}", u32::from(c)));
}

fn escape(text: &str, unquoted: bool) -> String {
    if unquoted && text.is_empty() {
        return UNSAFE.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            '+' => out.push_str("&#43;"),
            '\0' => out.push('\u{fffd}'),
            c @ ('\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`') if unquoted => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn name_value(text: &str) -> String {
    let safe = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.to_ascii_lowercase().starts_with("on")
        && !matches!(text.to_ascii_lowercase().as_str(), "href" | "src" | "style" | "srcdoc" | "action");
    if safe { text.to_owned() } else { UNSAFE.to_owned() }
}

fn css_value(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let unsafe_char = |c: char| {
        matches!(
            c,
            '\0' | '"' | '\'' | '(' | ')' | '/' | ';' | '@' | '[' | '\\' | ']' | '`' | '{' | '}' | '<' | '>'
        )
    };
    if text.contains(unsafe_char) || lower.contains("expression") || lower.contains("mozbinding") {
        return UNSAFE.to_owned();
    }
    text.to_owned()
}

fn has_safe_scheme(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        _ => true,
    }
}

fn url_normalised(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@'
            | b'[' | b']' | b'-' | b'.' | b'_' | b'~' | b'%' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => percent_lower(&mut out, byte),
        }
    }
    out
}

fn url_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => percent_lower(&mut out, byte),
        }
    }
    out
}

fn percent_lower(out: &mut String, byte: u8) {
    let start = out.len();
    push_percent(out, byte);
    let lower = out[start..].to_ascii_lowercase();
    out.truncate(start);
    out.push_str(&lower);
}

fn strip_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            c if !in_tag => out.push(c),
            _ => {}
        }
    }
    out
}
