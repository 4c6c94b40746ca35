//! Go's own template functions.

use crate::compare::{equal, less};
use crate::escape::{escape_html, escape_js, escape_query};
use crate::functions::Args;
use crate::printf::{format_value, sprint, sprintf, sprintln};
use crate::{CallError, Function, Functions, Value};

const ANY: usize = usize::MAX;

/// Adds all builtins to a table.
pub(crate) fn register(functions: &mut Functions) {
    functions
        .add("and", 1, ANY, |args| Ok(first_or_last(args, false)))
        .add("or", 1, ANY, |args| Ok(first_or_last(args, true)))
        .add("not", 1, 1, |args| Ok(Value::Bool(!args.value(0).is_true())))
        .add("len", 1, 1, |args| length(args.value(0)))
        .add("index", 1, ANY, |args| {
            args.values()[1..].iter().try_fold(args.value(0).clone(), |value, key| index(&value, key))
        })
        .add("slice", 1, 4, slice)
        .add("print", 0, ANY, |args| Ok(Value::from(sprint(args.values()))))
        .add("println", 0, ANY, |args| Ok(Value::from(sprintln(args.values()))))
        .add("printf", 1, ANY, |args| Ok(Value::from(sprintf(args.str(0)?, &args.values()[1..]))))
        .add("js", 0, ANY, |args| Ok(Value::from(escape_js(&joined(args)))))
        .add("ne", 2, 2, |args| Ok(Value::Bool(!equal(args.value(0), args.value(1))?)))
        .add("eq", 2, ANY, |args| {
            for other in &args.values()[1..] {
                if equal(args.value(0), other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        })
        .add("lt", 2, 2, |args| Ok(Value::Bool(less(args.value(0), args.value(1))?)))
        .add("ge", 2, 2, |args| Ok(Value::Bool(!less(args.value(0), args.value(1))?)))
        .add("gt", 2, 2, |args| {
            let (a, b) = (args.value(0), args.value(1));
            Ok(Value::Bool(!(less(a, b)? || equal(a, b)?)))
        })
        .add("le", 2, 2, |args| {
            let (a, b) = (args.value(0), args.value(1));
            Ok(Value::Bool(less(a, b)? || equal(a, b)?))
        })
        .insert(
            "urlquery",
            Function::new(0, ANY, |caller, args| {
                let text = escape_query(&joined(Args(args)));
                // In HTML it is not to be escaped for URLs again.
                Ok(if caller.escapes_html() { Value::SafeUrl(text.into()) } else { Value::from(text) })
            }),
        )
        .insert(
            "html",
            Function::new(0, ANY, |caller, args| {
                let text = joined(Args(args));
                // HTML mode escapes what is printed anyway.
                Ok(Value::from(if caller.escapes_html() { text } else { escape_html(&text) }))
            }),
        )
        .insert(
            "call",
            Function::new(1, ANY, |caller, args| match args.first() {
                Some(Value::Function(function)) => caller.call(function, &args[1..]),
                Some(Value::Nil | Value::NoValue) | None => Err("call of nil".into()),
                Some(value) => Err(format!("non-function of type {}", value.type_name()).into()),
            }),
        );
}

fn first_or_last(args: Args<'_>, wanted: bool) -> Value {
    let found = args.values().iter().find(|value| value.is_true() == wanted);
    found.or(args.values().last()).cloned().unwrap_or_default()
}

fn joined(args: Args<'_>) -> String {
    match args.values() {
        [value] => format_value(value),
        values => sprint(values),
    }
}

fn length(value: &Value) -> Result<Value, CallError> {
    let len = match value {
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => Some(text.len()),
        Value::List(values) => Some(values.len()),
        Value::Map(map) => Some(map.entries.len()),
        Value::Object(object) => object.len(),
        Value::Nil | Value::NoValue => return Err("len of nil pointer".into()),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Function(_) => None,
    };
    match len {
        Some(len) => Ok(Value::Int(len as i64)),
        None => Err(format!("len of type {}", value.type_name()).into()),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, CallError> {
    match value {
        Value::List(values) => Ok(values[position(key, values.len(), false)?].clone()),
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => {
            Ok(Value::Int(i64::from(text.as_bytes()[position(key, text.len(), false)?])))
        }
        Value::Map(map) => {
            let key = key.as_str().ok_or_else(|| wrong_key(key))?;
            Ok(map.entries.get(key).unwrap_or(&map.zero).clone())
        }
        Value::Object(object) => match (object.map_zero(), object.items()) {
            (Some(zero), _) => Ok(object.field(key.as_str().ok_or_else(|| wrong_key(key))?).unwrap_or(zero)),
            (None, Some(items)) => Ok(items[position(key, items.len(), false)?].1.clone()),
            (None, None) => Err(format!("can't index item of type {}", value.type_name()).into()),
        },
        Value::Nil | Value::NoValue => Err("index of untyped nil".into()),
        other => Err(format!("can't index item of type {}", other.type_name()).into()),
    }
}

fn wrong_key(key: &Value) -> CallError {
    format!("value has type {}; should be string", key.type_name()).into()
}

/// An index as a position below `len`, or up to `len` with `end`.
fn position(key: &Value, len: usize, end: bool) -> Result<usize, CallError> {
    let idx = match key.to_basic() {
        Value::Int(idx) => idx,
        Value::Nil | Value::NoValue => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    };
    let max = if end { len as i64 } else { len as i64 - 1 };
    if !(0..=max).contains(&idx) {
        return Err(format!("index out of range: {idx}").into());
    }
    Ok(idx as usize)
}

fn slice(args: Args<'_>) -> Result<Value, CallError> {
    let value = args.value(0);
    let len = match value {
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => {
            if args.len() == 4 {
                return Err("cannot 3-index slice a string".into());
            }
            text.len()
        }
        Value::List(values) => values.len(),
        Value::Object(object) if object.items().is_some() && object.map_zero().is_none() => {
            object.len().unwrap_or_default()
        }
        Value::Nil | Value::NoValue => return Err("slice of untyped nil".into()),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    let start = if args.len() > 1 { position(args.value(1), len, true)? } else { 0 };
    let end = if args.len() > 2 { position(args.value(2), len, true)? } else { len };
    if args.len() > 3 {
        let cap = position(args.value(3), len, true)?;
        if end > cap {
            return Err(format!("invalid slice index: {end} > {cap}").into());
        }
    }
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}").into());
    }
    match value.as_str() {
        Some(text) => Ok(Value::from(String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned())),
        None => Ok(Value::list(args.list(0)?.drain(start..end))),
    }
}
