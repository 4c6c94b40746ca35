//! The functions that Prometheus gives to templates.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use go_regex::Regex;
use go_template::{
    Args, CallError, Function, Functions, GoDuration, GoTime, Map, Object, Value, escape_query,
};
use model::{Labels, TimestampMs, format_float, parse_float, parse_go_duration_ns};
use url::Url;

use crate::{Engine, graph_link, humanize, table_link};

/// The functions without an engine, for parsing.
pub(crate) fn names() -> Functions {
    let mut functions = pure();
    functions.add("query", 1, 1, |_| Err("no queries here".into()));
    bound_to_url(&mut functions, "");
    bound_to_time(&mut functions, 0);
    functions
}

/// The functions as rendering needs them.
pub(crate) fn bound(engine: Arc<dyn Engine>, at: TimestampMs, external_url: &str) -> Functions {
    let mut functions = pure();
    functions.add("query", 1, 1, move |args| {
        let samples = engine.query(args.str(0)?, at)?;
        Ok(Value::list(
            samples
                .into_iter()
                .map(|(labels, value)| Value::object(QuerySample { labels, value: value.as_float() })),
        ))
    });
    bound_to_url(&mut functions, external_url);
    bound_to_time(&mut functions, at);
    functions
}

fn bound_to_url(functions: &mut Functions, external_url: &str) {
    let url = external_url.to_owned();
    let path = Url::parse(external_url).map(|url| url.path().to_owned()).unwrap_or_default();
    functions.add("externalURL", 0, 0, move |_| Ok(Value::from(url.as_str()))).add(
        "pathPrefix",
        0,
        0,
        move |_| Ok(Value::from(path.as_str())),
    );
}

fn bound_to_time(functions: &mut Functions, at: TimestampMs) {
    functions.add("now", 0, 0, move |_| Ok(Value::Float(at as f64 / 1000.0)));
}

/// One result of a query: `.Labels` and `.Value`.
#[derive(Debug)]
struct QuerySample {
    labels: Labels,
    value: f64,
}

impl Object for QuerySample {
    fn type_name(&self) -> &str {
        "*template.sample"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Labels" => Some(Map::of_strings(self.labels.iter()).into()),
            "Value" => Some(Value::Float(self.value)),
            _ => None,
        }
    }
}

fn sample_field(sample: &Value, name: &str) -> Result<Value, CallError> {
    match sample {
        Value::Object(object) => object.field(name).ok_or_else(|| "not a sample of a query".into()),
        _ => Err("not a sample of a query".into()),
    }
}

fn sample_label(sample: &Value, name: &str) -> Result<String, CallError> {
    match sample_field(sample, "Labels")? {
        Value::Map(map) => Ok(map.entries.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()),
        _ => Ok(String::new()),
    }
}

fn pure() -> Functions {
    let mut functions = Functions::builtins();
    samples(&mut functions);
    numbers(&mut functions);
    texts(&mut functions);
    links(&mut functions);
    functions
}

fn samples(functions: &mut Functions) {
    functions
        .add("first", 1, 1, |args| {
            let samples = args.list(0)?;
            samples.first().cloned().ok_or_else(|| "first() called on vector with no elements".into())
        })
        .add("label", 2, 2, |args| Ok(Value::from(sample_label(args.value(1), args.str(0)?)?)))
        .add("value", 1, 1, |args| sample_field(args.value(0), "Value"))
        .add("strvalue", 1, 1, |args| Ok(Value::from(sample_label(args.value(0), "__value__")?)))
        .add("sortByLabel", 2, 2, |args| {
            let name = args.str(0)?;
            let mut keyed = Vec::new();
            for sample in args.list(1)? {
                keyed.push((sample_label(&sample, name)?, sample));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(Value::list(keyed.into_iter().map(|(_, sample)| sample)))
        })
        .add("args", 0, usize::MAX, |args| {
            let named = args.values().iter().enumerate();
            Ok(Map::of_values(named.map(|(idx, value)| (format!("arg{idx}"), value.clone()))).into())
        })
        .insert(
            "tmpl",
            Function::new(2, 2, |caller, args| {
                let text = caller.render(Args(args).str(0)?, Args(args).value(1))?;
                Ok(Value::SafeHtml(text.into()))
            }),
        );
}

/// A number, or a text that is one.
fn number(args: Args<'_>) -> Result<f64, CallError> {
    match args.value(0).as_str() {
        Some(text) => parse_float(text).ok_or_else(|| format!("can't convert {text:?} to a float").into()),
        None => match args.value(0) {
            Value::Object(object) if object.type_name() == "time.Duration" => Ok(args.float(0)? / 1e9),
            _ => args.float(0),
        },
    }
}

/// A time in seconds as a time of Go's; `None` outside of what nanoseconds can hold.
fn go_time(seconds: f64) -> Result<GoTime, CallError> {
    let ns = seconds * 1e9;
    if ns.is_finite() && ns.abs() < i64::MAX as f64 {
        // Whole milliseconds, as metrics have them.
        Ok(GoTime::from_ns((seconds * 1000.0) as i64 * 1_000_000))
    } else {
        Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            format_float(seconds)
        )
        .into())
    }
}

fn numbers(functions: &mut Functions) {
    let text = |f: fn(f64) -> String| move |args: Args<'_>| Ok(Value::from(f(number(args)?)));
    functions
        .add("humanize", 1, 1, text(humanize::humanize))
        .add("humanize1024", 1, 1, text(humanize::humanize_1024))
        .add("humanizeDuration", 1, 1, text(humanize::humanize_duration))
        .add("humanizePercentage", 1, 1, text(humanize::humanize_percentage))
        .add("humanizeTimestamp", 1, 1, |args| {
            let seconds = number(args)?;
            if !seconds.is_finite() {
                return Ok(Value::from(go_template::sprintf("%.4g", &[Value::Float(seconds)])));
            }
            Ok(Value::from(go_template::format_value(&go_time(seconds)?.into_value())))
        })
        .add("toTime", 1, 1, |args| Ok(go_time(number(args)?)?.into_value()))
        .add("toDuration", 1, 1, |args| {
            let ns = number(args)? * 1e9;
            if ns.is_finite() && ns.abs() < i64::MAX as f64 {
                Ok(GoDuration(ns as i64).into_value())
            } else {
                Err("a duration that 64 bits of nanoseconds can't hold".into())
            }
        })
        .add("parseDuration", 1, 1, |args| {
            let ns = parse_go_duration_ns(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(Value::Float(ns as f64 / 1e9))
        });
}

fn texts(functions: &mut Functions) {
    functions
        .add("title", 1, 1, |args| Ok(Value::from(title(args.str(0)?))))
        .add("toUpper", 1, 1, |args| Ok(Value::from(args.str(0)?.to_uppercase())))
        .add("toLower", 1, 1, |args| Ok(Value::from(args.str(0)?.to_lowercase())))
        .add("safeHtml", 1, 1, |args| Ok(Value::SafeHtml(args.str(0)?.into())))
        .add("match", 2, 2, |args| {
            let regex = Regex::new(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(Value::Bool(regex.is_match(args.str(1)?)))
        })
        .add("reReplaceAll", 3, 3, |args| {
            let regex = Regex::new(args.str(0)?).map_err(|error| error.to_string())?;
            Ok(Value::from(regex.replace_all(args.str(2)?, args.str(1)?)))
        })
        .add("stripPort", 1, 1, |args| Ok(Value::from(strip_port(args.str(0)?))))
        .add("stripDomain", 1, 1, |args| Ok(Value::from(strip_domain(args.str(0)?))))
        .add("urlQueryEscape", 1, 1, |args| Ok(Value::from(escape_query(args.str(0)?))));
}

fn links(functions: &mut Functions) {
    functions.add("graphLink", 1, 1, |args| Ok(Value::from(graph_link(args.str(0)?)))).add(
        "tableLink",
        1,
        1,
        |args| Ok(Value::from(table_link(args.str(0)?))),
    );
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

/// A host without its port; anything that is not host and port stays.
fn strip_port(address: &str) -> String {
    match address.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, port)) if !port.contains(':') => host.to_owned(),
        _ => match address.rsplit_once(':') {
            Some((host, _)) if !host.contains(':') => host.to_owned(),
            _ => address.to_owned(),
        },
    }
}

/// A host without its domain, its port kept; addresses stay.
fn strip_domain(address: &str) -> String {
    let host = strip_port(address);
    if host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() {
        return address.to_owned();
    }
    let short = host.split('.').next().unwrap_or_default();
    match address.strip_prefix(host.as_str()) {
        Some(port) => format!("{short}{port}"),
        None => short.to_owned(),
    }
}
