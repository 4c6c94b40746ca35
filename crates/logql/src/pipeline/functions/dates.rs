//! Functions on times, and `fromJson`.

use go_template::{Args, CallError, Functions, GoTime, Map, Value, format_time, parse_time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::Value as Json;

use super::fail;

pub(super) fn register(functions: &mut Functions) {
    functions
        .add("unixEpoch", 1, 1, |args| Ok(Value::from(time(args, 0)?.timestamp().as_second().to_string())));
    functions.add("unixEpochMillis", 1, 1, |args| {
        Ok(Value::from(time(args, 0)?.timestamp().as_millisecond().to_string()))
    });
    functions.add("unixEpochNanos", 1, 1, |args| {
        Ok(Value::from(time(args, 0)?.timestamp().as_nanosecond().to_string()))
    });
    functions.add("unixToTime", 1, 1, |args| unix_to_time(args.str(0)?));
    functions.add("date", 2, 2, |args| Ok(Value::from(format_time(&time(args, 1)?, args.str(0)?))));
    functions.add("toDate", 2, 2, |args| to_date(args.str(0)?, args.str(1)?, &TimeZone::UTC));
    functions.add("toDateInZone", 3, 3, |args| match TimeZone::get(args.str(1)?) {
        Ok(zone) => to_date(args.str(0)?, args.str(2)?, &zone),
        Err(_) => Ok(GoTime::zero().into_value()),
    });
    functions.add("fromJson", 1, 1, |args| match serde_json::from_str::<Json>(args.str(0)?) {
        Ok(json) => Ok(from_json(json)),
        Err(error) => fail(format!("fromJson: {error}")),
    });
}

/// A time argument: what other functions return, or seconds since the epoch.
fn time(args: Args<'_>, idx: usize) -> Result<Zoned, CallError> {
    if let Value::Object(object) = args.value(idx)
        && let Some(Ok(Value::Int(nanos))) = object.call("UnixNano", &[])
    {
        return Ok(GoTime::from_ns(nanos).0);
    }
    let seconds = args.int(idx)?;
    let timestamp = Timestamp::from_second(seconds).map_err(|error| CallError::Message(error.to_string()))?;
    Ok(timestamp.to_zoned(TimeZone::UTC))
}

/// Digits since the epoch: their number tells the unit (days, s, ms, µs, ns).
fn unix_to_time(text: &str) -> Result<Value, CallError> {
    let Ok(number) = text.parse::<i64>() else {
        return fail(format!("unable to parse time {text:?}"));
    };
    let unit = match text.len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1000,
        19 => 1,
        _ => return fail(format!("unable to parse time {text:?}: expected 5, 10, 13, 16 or 19 digits")),
    };
    match number.checked_mul(unit) {
        Some(nanos) => Ok(GoTime::from_ns(nanos).into_value()),
        None => fail(format!("unable to parse time {text:?}")),
    }
}

fn to_date(layout: &str, text: &str, zone: &TimeZone) -> Result<Value, CallError> {
    Ok(parse_time(layout, text, zone).map_or_else(GoTime::zero, GoTime).into_value())
}

fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::from(text),
        Json::Array(values) => Value::list(values.into_iter().map(from_json)),
        Json::Object(members) => Value::from(Map::of_values(
            members.into_iter().map(|(name, value)| (name, from_json(value))).collect::<Vec<_>>(),
        )),
    }
}
