//! Alertmanager's template functions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use go_regex::Regex;
use go_template::{
    Args, CallError, Functions, GoDuration, GoTime, Map, Value, escape_query, format_time, parse_time,
    sprintf,
};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

const ANY: usize = usize::MAX;

pub(super) fn all() -> Functions {
    let mut functions = Functions::builtins();
    texts(&mut functions);
    lists(&mut functions);
    times(&mut functions);
    encodings(&mut functions);
    functions
}

fn texts(functions: &mut Functions) {
    functions
        .add("toUpper", 1, 1, |args| Ok(Value::from(args.str(0)?.to_uppercase())))
        .add("toLower", 1, 1, |args| Ok(Value::from(args.str(0)?.to_lowercase())))
        .add("title", 1, 1, |args| Ok(Value::from(title(args.str(0)?))))
        .add("trimSpace", 1, 1, |args| Ok(Value::from(args.str(0)?.trim())))
        .add("safeHtml", 1, 1, |args| Ok(Value::SafeHtml(args.str(0)?.into())))
        .add("safeUrl", 1, 1, |args| Ok(Value::SafeUrl(args.str(0)?.into())))
        .add("match", 2, 2, |args| {
            let regex = Regex::new(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(Value::Bool(regex.is_match(args.str(1)?)))
        })
        .add("reReplaceAll", 3, 3, |args| {
            let regex = Regex::new(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(Value::from(regex.replace_all(args.str(2)?, args.str(1)?)))
        });
}

fn lists(functions: &mut Functions) {
    functions
        .add("join", 2, 2, |args| {
            let parts: Result<Vec<String>, CallError> = args
                .list(1)?
                .iter()
                .map(|value| {
                    value.as_str().map(str::to_owned).ok_or_else(|| "join takes a list of strings".into())
                })
                .collect();
            Ok(Value::from(parts?.join(args.str(0)?)))
        })
        .add("stringSlice", 0, ANY, |args| {
            (0..args.len()).try_for_each(|idx| args.str(idx).map(drop))?;
            Ok(Value::list(args.values().iter().cloned()))
        })
        .add("list", 0, ANY, |args| Ok(Value::list(args.values().iter().cloned())))
        .add("append", 1, ANY, |args| {
            let mut values = args.list(0)?;
            values.extend(args.values()[1..].iter().cloned());
            Ok(Value::list(values))
        })
        .add("dict", 0, ANY, |args| {
            let mut map = Map::default();
            for pair in args.values().chunks(2) {
                match pair {
                    [name, value] => {
                        let name = name.as_str().ok_or("dict keys must be strings")?;
                        map.entries.insert(name.to_owned(), value.clone());
                    }
                    _ => return Err("dict takes an even number of arguments".into()),
                }
            }
            Ok(map.into())
        })
        .add("routeLabels", 1, 1, |args| match args.value(0) {
            Value::Object(object) => Ok(object.field("RouteLabels").unwrap_or_default()),
            _ => Ok(Value::Nil),
        });
}

fn times(functions: &mut Functions) {
    functions
        .add("now", 0, 0, |_| Ok(GoTime(Zoned::now().with_time_zone(TimeZone::UTC)).into_value()))
        .add("date", 2, 2, |args| Ok(Value::from(format_time(&zoned(args, 1)?, args.str(0)?))))
        .add("tz", 2, 2, |args| {
            let zone = TimeZone::get(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(GoTime(zoned(args, 1)?.with_time_zone(zone)).into_value())
        })
        .add("since", 1, 1, |args| {
            let elapsed = Timestamp::now().duration_since(zoned(args, 0)?.timestamp());
            Ok(GoDuration(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)).into_value())
        })
        .add("humanizeDuration", 1, 1, |args| Ok(Value::from(humanize_duration(seconds(args)?))))
        .add("toDate", 2, 2, |args| {
            let time = parse_time(args.str(0)?, args.str(1)?, &TimeZone::UTC);
            Ok(time.map_or_else(GoTime::zero, GoTime).into_value())
        })
        .add("mustToDate", 2, 2, |args| {
            let (layout, text) = (args.str(0)?, args.str(1)?);
            let time = parse_time(layout, text, &TimeZone::UTC);
            time.map(|time| GoTime(time).into_value())
                .ok_or_else(|| format!("parsing time {text:?} as {layout:?}: it does not fit").into())
        });
}

/// A time argument with its zone.
fn zoned(args: Args<'_>, idx: usize) -> Result<Zoned, CallError> {
    let value = args.value(idx);
    let time = match value {
        Value::Object(object) => object.time(),
        _ => None,
    };
    time.ok_or_else(|| format!("wrong type for value; expected time.Time; got {}", value.type_name()).into())
}

/// Seconds, of a number, a text or a duration.
fn seconds(args: Args<'_>) -> Result<f64, CallError> {
    match args.value(0) {
        Value::Object(object) if object.type_name() == "time.Duration" => Ok(args.float(0)? / 1e9),
        value => match value.as_str() {
            Some(text) => text.parse().map_err(|_| format!("can't convert {text:?} to a float").into()),
            None => args.float(0),
        },
    }
}

fn humanize_duration(value: f64) -> String {
    let short = |value: f64| sprintf("%.4g", &[Value::Float(value)]);
    if !value.is_finite() {
        return short(value);
    }
    let magnitude = value.abs();
    if magnitude < 1.0 && value != 0.0 {
        let mut scaled = value;
        for prefix in ["m", "u", "n"] {
            scaled *= 1000.0;
            if scaled.abs() >= 1.0 {
                return format!("{}{prefix}s", short(scaled));
            }
        }
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = magnitude as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", short(magnitude)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

fn encodings(functions: &mut Functions) {
    functions
        .add("toJson", 1, 1, |args| Ok(Value::from(json(args.value(0)).to_string())))
        .add("urlUnescape", 1, 1, |args| {
            let text = args.str(0)?;
            let unescaped = url::form_urlencoded::parse(format!("x={}", text.replace('&', "%26")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned());
            Ok(Value::from(unescaped.unwrap_or_default()))
        })
        .add("base64encode", 1, 1, |args| Ok(Value::from(URL_SAFE.encode(args.str(0)?))))
        .add("base64decode", 1, 1, |args| {
            let bytes = URL_SAFE.decode(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(Value::from(String::from_utf8_lossy(&bytes).into_owned()))
        })
        .add("urlQueryEscape", 1, 1, |args| Ok(Value::from(escape_query(args.str(0)?))));
}

/// A value as JSON; a struct by what it shows.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::NoValue | Value::Nil | Value::Function(_) => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => (**text).into(),
        Value::List(values) => values.iter().map(json).collect(),
        Value::Map(map) => map.entries.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
        Value::Object(object) => match (object.items(), object.map_zero()) {
            (Some(items), Some(_)) => items
                .iter()
                .map(|(name, value)| (name.as_str().unwrap_or_default().to_owned(), json(value)))
                .collect(),
            (Some(items), None) => items.iter().map(|(_, value)| json(value)).collect(),
            (None, _) => match object.type_name() {
                "template.Alert" => struct_json(
                    &**object,
                    &[
                        ("status", "Status"),
                        ("labels", "Labels"),
                        ("annotations", "Annotations"),
                        ("startsAt", "StartsAt"),
                        ("endsAt", "EndsAt"),
                        ("generatorURL", "GeneratorURL"),
                        ("fingerprint", "Fingerprint"),
                    ],
                ),
                "template.Pair" => struct_json(&**object, &[("Name", "Name"), ("Value", "Value")]),
                "time.Time" => object
                    .call("Format", &[Value::from("2006-01-02T15:04:05.999999999Z07:00")])
                    .and_then(Result::ok)
                    .map_or(serde_json::Value::Null, |text| json(&text)),
                _ => object.basic().map_or_else(|| object.display().into(), |basic| json(&basic)),
            },
        },
    }
}

fn struct_json(object: &dyn go_template::Object, fields: &[(&str, &str)]) -> serde_json::Value {
    fields
        .iter()
        .map(|(name, field)| {
            ((*name).to_owned(), object.field(field).map_or(serde_json::Value::Null, |v| json(&v)))
        })
        .collect()
}

/// Every word with its first letter in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    out
}
