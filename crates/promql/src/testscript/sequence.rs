//! Series descriptions: a metric and the values of its samples, as scripts and rule unit tests write them.

use std::sync::Arc;

use model::{
    BucketSpan, CounterResetHint, FloatHistogram, Labels, LabelsBuilder, METRIC_NAME_LABEL, STALE_NAN,
    is_legacy_label_name, parse_float,
};

/// One value of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// `_`: no sample.
    Omitted,
    /// A float; `stale` is the staleness marker.
    Float(f64),
    /// `{{...}}`: a native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<FloatHistogram>,
        /// Whether its counter reset hint was given: else it does not count in comparisons.
        hint_given: bool,
    },
}

/// Why a series description could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid series description at column {column}: {reason}")]
pub struct SequenceError {
    /// Where, in bytes from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

/// The most values that a description may stand for.
const VALUES_MAX: usize = 1_000_000;

/// Reads `metric{label="value"} 1 2+3x4 _ stale {{schema:0 count:5 sum:2 buckets:[5]}}x3`. `axn` stands for n+1 values,
/// `_xn` for n omitted ones.
pub fn parse_series_description(text: &str) -> Result<(Labels, Vec<SequenceValue>), SequenceError> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_spaces();
    let labels = reader.metric()?;
    let mut values = Vec::new();
    loop {
        reader.skip_spaces();
        if reader.rest().is_empty() {
            return Ok((labels, values));
        }
        reader.item(&mut values)?;
        if values.len() > VALUES_MAX {
            return reader.fail(format!("more than {VALUES_MAX} values"));
        }
        if !reader.rest().is_empty() && !reader.rest().starts_with([' ', '\t']) {
            return reader.fail("expected a space between values");
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, SequenceError>;

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Read<T> {
        Err(SequenceError { column: self.at + 1, reason: reason.into() })
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Read<()> {
        if self.accept(token) { Ok(()) } else { self.fail(format!("expected {token:?}")) }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn metric(&mut self) -> Read<Labels> {
        let mut labels = LabelsBuilder::new();
        let name = self.take_while(|c| c == '_' || c == ':' || c.is_ascii_alphanumeric());
        labels.set(METRIC_NAME_LABEL, name);
        if !self.accept("{") {
            return if name.is_empty() { self.fail("expected a metric") } else { Ok(labels.build()) };
        }
        loop {
            self.skip_spaces();
            if self.accept("}") {
                return Ok(labels.build());
            }
            let quoted = self.rest().starts_with(['"', '\'', '`']);
            let label = if quoted {
                self.string()?
            } else {
                self.take_while(|c| c == '_' || c.is_ascii_alphanumeric()).to_owned()
            };
            if label.is_empty() || (!quoted && !is_legacy_label_name(&label)) {
                return self.fail("expected a label name or \"}\"");
            }
            self.skip_spaces();
            if self.accept("=") {
                self.skip_spaces();
                let value = self.string()?;
                labels.set(&label, &value);
            } else if quoted {
                labels.set(METRIC_NAME_LABEL, &label);
            } else {
                return self.fail("expected \"=\"");
            }
            self.skip_spaces();
            if !self.accept(",") && !self.rest().starts_with('}') {
                return self.fail("expected \",\" or \"}\"");
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        let rest = self.rest();
        let Some(quote @ ('"' | '\'' | '`')) = rest.chars().next() else {
            return self.fail("expected a string");
        };
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                let literal = &rest[..=at];
                let Ok(promql_syntax::Expr::String(parsed)) =
                    crate::parse(literal, crate::Features::default())
                else {
                    return self.fail("invalid string");
                };
                self.at += at + 1;
                return Ok(parsed.value);
            }
            escaped = c == '\\' && !escaped && quote != '`';
        }
        self.fail("unterminated string")
    }

    /// How often an item is repeated, after its `x`.
    fn times(&mut self) -> Read<usize> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        match digits.parse::<usize>() {
            Ok(times) if times <= VALUES_MAX => Ok(times),
            _ => self.fail("invalid repetition"),
        }
    }

    fn item(&mut self, values: &mut Vec<SequenceValue>) -> Read<()> {
        if self.accept("_") {
            let times = if self.accept("x") { self.times()? } else { 1 };
            values.extend(std::iter::repeat_n(SequenceValue::Omitted, times));
            return Ok(());
        }
        if self.rest().starts_with("{{") {
            return self.histograms(values);
        }
        if self.accept("stale") {
            let times = if self.accept("x") { self.times()? } else { 0 };
            let stale = SequenceValue::Float(f64::from_bits(STALE_NAN));
            values.extend(std::iter::repeat_n(stale, times + 1));
            return Ok(());
        }
        let first = self.number()?;
        let step = match self.rest().as_bytes().first() {
            Some(b'+') => self.number()?,
            Some(b'-') => self.number()?,
            _ => 0.0,
        };
        let times = if self.accept("x") { self.times()? } else { 0 };
        let mut value = first;
        for _ in 0..=times {
            values.push(SequenceValue::Float(value));
            value += step;
        }
        Ok(())
    }

    /// A number with its sign.
    fn number(&mut self) -> Read<f64> {
        let bytes = self.rest().as_bytes();
        let mut end = usize::from(bytes.first().is_some_and(|b| matches!(b, b'+' | b'-')));
        let word = |at: usize, word: &str| {
            bytes.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
        };
        if word(end, "inf") || word(end, "nan") {
            end += 3;
        } else {
            while let Some(byte) = bytes.get(end) {
                let is_exponent_sign = matches!(byte, b'+' | b'-')
                    && matches!(bytes[end.saturating_sub(1)], b'e' | b'E')
                    && end > 1;
                if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || is_exponent_sign) {
                    break;
                }
                end += 1;
            }
        }
        match parse_float(&self.rest()[..end]) {
            Some(value) => {
                self.at += end;
                Ok(value)
            }
            None => self.fail("expected a value"),
        }
    }

    fn histograms(&mut self, values: &mut Vec<SequenceValue>) -> Read<()> {
        let (first, mut hint_given) = self.histogram()?;
        let step = if self.rest().starts_with("+{{") || self.rest().starts_with("-{{") {
            let negative = self.rest().starts_with('-');
            self.at += 1;
            let (step, given) = self.histogram()?;
            hint_given = given;
            Some((step, negative))
        } else {
            None
        };
        let times = if self.accept("x") { self.times()? } else { 0 };
        let mut current = first;
        for at in 0..=times {
            if let (Some((step, negative)), true) = (&step, at > 0) {
                let outcome = if *negative { current.subtract(step) } else { current.add(step) };
                if let Err(error) = outcome {
                    return self.fail(error.to_string());
                }
            }
            values.push(SequenceValue::Histogram { histogram: Arc::new(current.clone()), hint_given });
        }
        Ok(())
    }

    /// `{{schema:0 sum:5 buckets:[1 2]}}`, and whether it gives a counter reset hint.
    fn histogram(&mut self) -> Read<(FloatHistogram, bool)> {
        self.expect("{{")?;
        let mut histogram = FloatHistogram::default();
        let (mut offset, mut negative_offset, mut hint_given) = (0, 0, false);
        loop {
            self.skip_spaces();
            if self.accept("}}") {
                break;
            }
            let key = self.take_while(|c| c == '_' || c.is_ascii_alphabetic());
            self.expect(":")?;
            match key {
                "schema" => histogram.schema = self.integer()?,
                "sum" => histogram.sum = self.number()?,
                "count" => histogram.count = self.number()?,
                "z_bucket" => histogram.zero_count = self.number()?,
                "z_bucket_w" => histogram.zero_threshold = self.number()?,
                "buckets" => histogram.positive_buckets = self.numbers()?,
                "n_buckets" => histogram.negative_buckets = self.numbers()?,
                "custom_values" => histogram.custom_values = self.numbers()?,
                "offset" => offset = self.integer()?,
                "n_offset" => negative_offset = self.integer()?,
                "counter_reset_hint" => {
                    histogram.counter_reset_hint = self.hint()?;
                    hint_given = true;
                }
                _ => return self.fail(format!("unknown part {key:?} of a histogram")),
            }
        }
        let span = |offset, counts: &[f64]| match counts.len() {
            0 => Vec::new(),
            length => vec![BucketSpan { offset, length: length as u32 }],
        };
        histogram.positive_spans = span(offset, &histogram.positive_buckets);
        histogram.negative_spans = span(negative_offset, &histogram.negative_buckets);
        Ok((histogram, hint_given))
    }

    fn hint(&mut self) -> Read<CounterResetHint> {
        Ok(match self.take_while(|c| c == '_' || c.is_ascii_alphabetic()) {
            "unknown" => CounterResetHint::Unknown,
            "reset" => CounterResetHint::CounterReset,
            "not_reset" => CounterResetHint::NotCounterReset,
            "gauge" => CounterResetHint::Gauge,
            _ => return self.fail("expected unknown, reset, not_reset or gauge"),
        })
    }

    fn integer(&mut self) -> Read<i32> {
        let value = self.number()?;
        if value.fract() != 0.0 || value.abs() > 1e9 {
            self.fail("expected a whole number")
        } else {
            Ok(value as i32)
        }
    }

    fn numbers(&mut self) -> Read<Vec<f64>> {
        self.expect("[")?;
        let mut numbers = Vec::new();
        loop {
            self.skip_spaces();
            if self.accept("]") {
                return Ok(numbers);
            }
            numbers.push(self.number()?);
        }
    }
}
