//! One event, one line.

use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{LevelCounters, LogFormat};
use crate::repeats::Repeats;

/// Bytes of a field's value that are written; the rest is cut off.
const VALUE_BYTES_MAX: usize = 16 << 10;

type Writer = Box<dyn Fn() -> Box<dyn io::Write> + Send + Sync>;

pub(crate) struct LineLayer {
    format: LogFormat,
    counters: Arc<LevelCounters>,
    writer: Writer,
    repeats: Mutex<Repeats>,
    start: Instant,
}

impl LineLayer {
    pub(crate) fn new(format: LogFormat, counters: Arc<LevelCounters>, writer: Writer) -> Self {
        Self { format, counters, writer, repeats: Mutex::default(), start: Instant::now() }
    }

    /// How many events were held back before this one, or `None` if this one is held back too.
    fn admit(&self, metadata: &'static Metadata<'static>, fields: &Fields) -> Option<u64> {
        if *metadata.level() > Level::INFO {
            return Some(0);
        }
        let mut hasher = DefaultHasher::new();
        fields.pairs.hash(&mut hasher);
        let place = std::ptr::from_ref(metadata) as usize;
        self.repeats.lock().admit(self.start.elapsed(), place, hasher.finish())
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let counter = match *metadata.level() {
            Level::ERROR => &self.counters.error,
            Level::WARN => &self.counters.warn,
            Level::INFO => &self.counters.info,
            _ => &self.counters.debug,
        };
        counter.inc();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(suppressed) = self.admit(metadata, &fields) else {
            self.counters.suppressed.inc();
            return;
        };
        if suppressed > 0 {
            fields.pairs.push(("suppressed".to_owned(), Value::Bare(suppressed.to_string())));
        }
        let line = match self.format {
            LogFormat::Logfmt => logfmt(&timestamp(), metadata, &fields),
            LogFormat::Json => json(&timestamp(), metadata, &fields),
        };
        // A log that cannot be written has nowhere to say so.
        (self.writer)().write_all(line.as_bytes()).ok();
    }
}

#[derive(Hash)]
enum Value {
    /// A number or boolean.
    Bare(String),
    Text(String),
}

#[derive(Default)]
struct Fields {
    message: String,
    pairs: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Bare(text) | Value::Text(text)) => {
                self.pairs.push(("msg".to_owned(), Value::Text(text.clone())));
                self.message = text;
            }
            (name, value) => self.pairs.push((name.strip_prefix("r#").unwrap_or(name).to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::Text(cut(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(cut(value.to_owned())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        self.add(field, if value.is_finite() { Value::Bare(text) } else { Value::Text(text) });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Bare(value.to_string()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.add(field, Value::Text(cut(text)));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > VALUE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
        text.push('…');
    }
    text
}

fn logfmt(time: &str, metadata: &Metadata<'_>, fields: &Fields) -> String {
    let mut line = format!("ts={time} level={} target={}", level(metadata), metadata.target());
    // The message comes first, whatever the order of the macro's fields.
    for (name, value) in message_first(fields) {
        write!(line, " {name}=").ok();
        match value {
            Value::Bare(text) => line.push_str(text),
            Value::Text(text) if is_bare(text) => line.push_str(text),
            Value::Text(text) => line.push_str(&quoted(text)),
        }
    }
    line.push('\n');
    line
}

fn json(time: &str, metadata: &Metadata<'_>, fields: &Fields) -> String {
    let mut line = format!(
        "{{\"ts\":\"{time}\",\"level\":\"{}\",\"target\":{}",
        level(metadata),
        quoted(metadata.target())
    );
    for (name, value) in message_first(fields) {
        write!(line, ",{}:", quoted(name)).ok();
        match value {
            Value::Bare(text) => line.push_str(text),
            Value::Text(text) => line.push_str(&quoted(text)),
        }
    }
    line.push_str("}\n");
    line
}

fn message_first(fields: &Fields) -> impl Iterator<Item = (&str, &Value)> {
    let of = |message: bool| fields.pairs.iter().filter(move |(name, _)| (name == "msg") == message);
    of(true).chain(of(false)).map(|(name, value)| (name.as_str(), value))
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c > ' ' && c != '"' && c != '=' && c != '\\' && !c.is_control())
}

/// In quotes with JSON's escapes, so that no text can forge a line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", c as u32).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[expect(clippy::disallowed_methods, reason = "log lines show the wall clock; nothing is decided by it")]
fn timestamp() -> String {
    format_timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// RFC 3339 in UTC with milliseconds.
fn format_timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, second_of_day) = ((seconds / 86_400) as i64, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years (the civil-from-days computation).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let ms = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests;
