//! `time.Time` and `time.Duration`, with the methods that templates call.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};

use crate::functions::Args;
use crate::time_layout::{format_time, month_name, weekday_name, zero_timestamp};
use crate::{CallError, Object, Value};

const ZERO_ARGS: &[&str] = &[
    "Unix",
    "UnixMilli",
    "UnixNano",
    "UTC",
    "Local",
    "Year",
    "Month",
    "Day",
    "Hour",
    "Minute",
    "Second",
    "Nanosecond",
    "Weekday",
    "YearDay",
    "IsZero",
    "String",
];

/// A `time.Time`: an instant and the zone that it is shown in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoTime(pub Zoned);

impl GoTime {
    /// The time `ns` nanoseconds after the Unix epoch, in UTC.
    pub fn from_ns(ns: i64) -> Self {
        let timestamp = Timestamp::from_nanosecond(i128::from(ns)).expect("64 bits of nanoseconds fit");
        Self(timestamp.to_zoned(TimeZone::UTC))
    }

    /// Go's zero time.
    pub fn zero() -> Self {
        Self(zero_timestamp().to_zoned(TimeZone::UTC))
    }

    /// The time as a value.
    pub fn into_value(self) -> Value {
        Value::object(self)
    }

    fn method(&self, name: &str, args: Args<'_>) -> Result<Value, CallError> {
        let time = &self.0;
        let int = |value: i64| Ok(Value::Int(value));
        match name {
            "Format" => Ok(Value::from(format_time(time, args.str(0)?))),
            "Unix" => int(time.timestamp().as_second()),
            "UnixMilli" => int(time.timestamp().as_millisecond()),
            "UnixNano" => int(i64::try_from(time.timestamp().as_nanosecond()).unwrap_or(i64::MIN)),
            "UTC" => Ok(Self(time.with_time_zone(TimeZone::UTC)).into_value()),
            "Local" => Ok(Self(time.with_time_zone(TimeZone::system())).into_value()),
            "Year" => int(i64::from(time.year())),
            "Month" => Ok(named("time.Month", i64::from(time.month()), month_name(time.month()))),
            "Day" => int(i64::from(time.day())),
            "Hour" => int(i64::from(time.hour())),
            "Minute" => int(i64::from(time.minute())),
            "Second" => int(i64::from(time.second())),
            "Nanosecond" => int(i64::from(time.subsec_nanosecond())),
            "Weekday" => {
                let number = i64::from(time.weekday().to_sunday_zero_offset());
                Ok(named("time.Weekday", number, weekday_name(time.weekday())))
            }
            "YearDay" => int(i64::from(time.day_of_year())),
            "IsZero" => Ok(Value::Bool(time.timestamp() == zero_timestamp())),
            "String" => Ok(Value::from(self.display())),
            "Add" => {
                let by = SignedDuration::from_nanos(args.int(0)?);
                let sum = time.checked_add(by).map_err(|error| error.to_string())?;
                Ok(Self(sum).into_value())
            }
            "AddDate" => {
                let too_far = |error: jiff::Error| CallError::from(error.to_string());
                let span = Span::new()
                    .try_years(args.int(0)?)
                    .and_then(|span| span.try_months(args.int(1).unwrap_or_default()))
                    .and_then(|span| span.try_days(args.int(2).unwrap_or_default()))
                    .map_err(too_far)?;
                Ok(Self(time.checked_add(span).map_err(too_far)?).into_value())
            }
            other => {
                let argument = time_of(args.value(0)).ok_or("wrong type for value; expected time.Time")?;
                match other {
                    "Sub" => {
                        let between = time.timestamp().duration_since(argument.timestamp());
                        let ns = i64::try_from(between.as_nanos());
                        let limit = if between.is_negative() { i64::MIN } else { i64::MAX };
                        Ok(GoDuration(ns.unwrap_or(limit)).into_value())
                    }
                    "Before" => Ok(Value::Bool(time.timestamp() < argument.timestamp())),
                    "After" => Ok(Value::Bool(time.timestamp() > argument.timestamp())),
                    _ => Ok(Value::Bool(time.timestamp() == argument.timestamp())),
                }
            }
        }
    }
}

fn time_of(value: &Value) -> Option<Zoned> {
    match value {
        Value::Object(object) => object.time(),
        _ => None,
    }
}

impl Object for GoTime {
    fn type_name(&self) -> &str {
        "time.Time"
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, CallError>> {
        let wanted = match name {
            name if ZERO_ARGS.contains(&name) => 0,
            "Format" | "Add" | "Sub" | "Before" | "After" | "Equal" => 1,
            "AddDate" => 3,
            _ => return None,
        };
        if args.len() != wanted {
            let got = args.len();
            return Some(Err(format!("wrong number of args for {name}: want {wanted} got {got}").into()));
        }
        Some(self.method(name, Args(args)))
    }

    fn time(&self) -> Option<Zoned> {
        Some(self.0.clone())
    }

    fn display(&self) -> String {
        format_time(&self.0, "2006-01-02 15:04:05.999999999 -0700 MST")
    }
}

/// A `time.Duration`, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub i64);

impl GoDuration {
    /// The duration as a value.
    pub fn into_value(self) -> Value {
        Value::object(self)
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Object for GoDuration {
    fn type_name(&self) -> &str {
        "time.Duration"
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, CallError>> {
        let ns = self.0;
        if matches!(name, "Round" | "Truncate") {
            let unit = match Args(args).int(0) {
                Ok(unit) => unit,
                Err(error) => return Some(Err(error)),
            };
            let cut = if unit > 0 { ns - ns % unit } else { ns };
            let up = name == "Round" && unit > 0 && (ns % unit).saturating_mul(2).abs() >= unit;
            let rounded = if up { cut.saturating_add(unit * ns.signum()) } else { cut };
            return Some(Ok(Self(rounded).into_value()));
        }
        let value = match name {
            "Seconds" => Value::Float(ns as f64 / 1e9),
            "Minutes" => Value::Float(ns as f64 / 6e10),
            "Hours" => Value::Float(ns as f64 / 3.6e12),
            "Milliseconds" => Value::Int(ns / 1_000_000),
            "Microseconds" => Value::Int(ns / 1000),
            "Nanoseconds" => Value::Int(ns),
            "Abs" => Self(ns.saturating_abs()).into_value(),
            "String" => Value::from(self.display()),
            _ => return None,
        };
        Some(Ok(value))
    }

    fn basic(&self) -> Option<Value> {
        Some(Value::Int(self.0))
    }

    fn display(&self) -> String {
        format_duration(self.0)
    }
}

/// `1h2m3.5s`, `1.5ms`, `0s`.
fn format_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let magnitude = ns.unsigned_abs();
    let with_fraction = |value: u64, unit: u64| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = fraction.trim_end_matches('0');
        match (digits, fraction) {
            (0, _) | (_, "") => (value / unit).to_string(),
            (_, fraction) => format!("{}.{fraction}", value / unit),
        }
    };
    match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", with_fraction(magnitude, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", with_fraction(magnitude, 1_000_000)),
        _ => {
            let seconds = with_fraction(magnitude % 60_000_000_000, 1_000_000_000);
            let minutes = magnitude / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// An int with a name, such as a month.
#[derive(Debug)]
struct Named {
    type_name: &'static str,
    number: i64,
    name: &'static str,
}

fn named(type_name: &'static str, number: i64, name: &'static str) -> Value {
    Value::object(Named { type_name, number, name })
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, CallError>> {
        (name == "String").then(|| Ok(Value::from(self.name)))
    }

    fn basic(&self) -> Option<Value> {
        Some(Value::Int(self.number))
    }

    fn display(&self) -> String {
        self.name.to_owned()
    }
}
