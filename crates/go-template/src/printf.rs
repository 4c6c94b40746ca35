//! Go's fmt: `%v` of any value and the printf verbs.

use std::fmt::Write as _;

use crate::Value;

mod float;
mod verbs;

/// The widest field and the most digits that a format may ask for; Go gives up at a million.
const WIDTH_MAX: usize = 10_000;

/// The text of a value as `print` and `%v` show it.
pub fn format_value(value: &Value) -> String {
    match value {
        Value::NoValue | Value::Nil => "<no value>".to_owned(),
        value => verbs::plain(value),
    }
}

/// Items of a map or list as `%v` shows them.
pub(crate) fn format_items(items: &[(Value, Value)], is_map: bool) -> String {
    let mut out = String::from(if is_map { "map[" } else { "[" });
    for (idx, (key, value)) in items.iter().enumerate() {
        if idx > 0 {
            out.push(' ');
        }
        if is_map {
            write!(out, "{}:", verbs::plain(key)).expect("writing to a string can't fail");
        }
        out.push_str(&verbs::plain(value));
    }
    out.push(']');
    out
}

/// Go's `fmt.Sprint`: spaces between operands when neither is a string.
pub(crate) fn sprint(values: &[Value]) -> String {
    let mut out = String::new();
    let mut previous_is_string = true;
    for (idx, value) in values.iter().enumerate() {
        let is_string = value.as_str().is_some();
        if idx > 0 && !is_string && !previous_is_string {
            out.push(' ');
        }
        previous_is_string = is_string;
        out.push_str(&verbs::plain(value));
    }
    out
}

/// Go's `fmt.Sprintln`.
pub(crate) fn sprintln(values: &[Value]) -> String {
    let mut out = values.iter().map(verbs::plain).collect::<Vec<_>>().join(" ");
    out.push('\n');
    out
}

/// The flags, width and precision of a verb.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    fn pad(&self, text: &str) -> String {
        let fill = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        match (self.minus, self.zero) {
            (true, _) => format!("{text}{}", " ".repeat(fill)),
            (false, true) => format!("{}{text}", "0".repeat(fill)),
            (false, false) => format!("{}{text}", " ".repeat(fill)),
        }
    }

    /// Pads a number: zeros go between the sign and the digits.
    fn pad_number(&self, text: &str) -> String {
        let fill = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.zero && !self.minus && fill > 0 {
            let sign_len = usize::from(text.starts_with(['+', '-', ' ']));
            return format!("{}{}{}", &text[..sign_len], "0".repeat(fill), &text[sign_len..]);
        }
        Self { zero: false, ..*self }.pad(text)
    }
}

/// Go's `fmt.Sprintf`, with its texts for what does not fit (`%!d(string=x)`, `%!v(MISSING)`).
pub fn sprintf(format: &str, args: &[Value]) -> String {
    Formatter { rest: format, args, next: 0, reordered: false, out: String::with_capacity(format.len()) }
        .run()
}

struct Formatter<'f> {
    rest: &'f str,
    args: &'f [Value],
    next: usize,
    reordered: bool,
    out: String,
}

impl Formatter<'_> {
    fn run(mut self) -> String {
        while let Some(at) = self.rest.find('%') {
            self.out.push_str(&self.rest[..at]);
            self.rest = &self.rest[at + 1..];
            self.verb();
        }
        self.out.push_str(self.rest);
        if !self.reordered && self.next < self.args.len() {
            self.extra();
        }
        self.out
    }

    fn extra(&mut self) {
        self.out.push_str("%!(EXTRA ");
        for (idx, value) in self.args[self.next..].iter().enumerate() {
            if idx > 0 {
                self.out.push_str(", ");
            }
            match value {
                Value::Nil | Value::NoValue => self.out.push_str("<nil>"),
                value => {
                    let text = verbs::plain(value);
                    write!(self.out, "{}={text}", value.type_name()).expect("writing to a string can't fail");
                }
            }
        }
        self.out.push(')');
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn verb(&mut self) {
        let mut spec = Spec::default();
        while let Some(flag) = self.rest.chars().next() {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        let index_good = self.argument_index();
        match self.number() {
            Number::None => {}
            Number::Is(width) if width < 0 => {
                spec.minus = true;
                spec.width = Some(width.unsigned_abs() as usize);
            }
            Number::Is(width) => spec.width = Some(width as usize),
            Number::Bad => self.out.push_str("%!(BADWIDTH)"),
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            match self.number() {
                Number::None => spec.precision = Some(0),
                Number::Is(precision) if precision < 0 => {}
                Number::Is(precision) => spec.precision = Some(precision as usize),
                Number::Bad => self.out.push_str("%!(BADPREC)"),
            }
        }
        let index_good = index_good && self.argument_index();
        let Some(verb) = self.take() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        if verb == '%' {
            self.out.push('%');
            return;
        }
        if !index_good {
            write!(self.out, "%!{verb}(BADINDEX)").expect("writing to a string can't fail");
            return;
        }
        let Some(value) = self.args.get(self.next) else {
            write!(self.out, "%!{verb}(MISSING)").expect("writing to a string can't fail");
            return;
        };
        self.next += 1;
        let text = verbs::format(verb, &spec, value);
        self.out.push_str(&text);
    }

    /// `[n]`: which argument comes next. False where there is no such argument.
    fn argument_index(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix('[') else {
            return true;
        };
        self.reordered = true;
        let Some(end) = rest.find(']') else {
            return false;
        };
        self.rest = &rest[end + 1..];
        match rest[..end].parse::<usize>() {
            Ok(number) if (1..=self.args.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self) -> Number {
        if let Some(rest) = self.rest.strip_prefix('*') {
            self.rest = rest;
            let value = self.args.get(self.next).map(Value::to_basic);
            self.next += 1;
            return match value {
                Some(Value::Int(n)) if n.unsigned_abs() <= WIDTH_MAX as u64 => Number::Is(n),
                _ => Number::Bad,
            };
        }
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        match digits.parse::<i64>() {
            Ok(n) if n <= WIDTH_MAX as i64 => Number::Is(n),
            _ if digits.is_empty() => Number::None,
            _ => Number::Bad,
        }
    }
}

enum Number {
    None,
    Is(i64),
    Bad,
}
