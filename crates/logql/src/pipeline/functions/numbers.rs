//! Functions on numbers, sizes and durations.

use go_template::{Args, CallError, Functions, Value};

use super::fail;
use crate::convert;

pub(super) fn register(functions: &mut Functions) {
    functions.add("int", 1, 1, |args| Ok(Value::Int(to_int(args.value(0)))));
    functions.add("float64", 1, 1, |args| Ok(Value::Float(to_float(args.value(0)))));
    functions.add("add", 0, usize::MAX, |args| Ok(Value::Int(ints(args).fold(0, i64::wrapping_add))));
    functions.add("mul", 1, usize::MAX, |args| Ok(Value::Int(ints(args).fold(1, i64::wrapping_mul))));
    functions.add("sub", 2, 2, |args| Ok(Value::Int(pair(args).0.wrapping_sub(pair(args).1))));
    functions.add("div", 2, 2, |args| divide(args, i64::wrapping_div));
    functions.add("mod", 2, 2, |args| divide(args, i64::wrapping_rem));
    functions.add("max", 1, usize::MAX, |args| Ok(Value::Int(ints(args).max().unwrap_or(0))));
    functions.add("min", 1, usize::MAX, |args| Ok(Value::Int(ints(args).min().unwrap_or(0))));
    type Fold = fn(f64, f64) -> f64;
    let folds: [(&str, Fold); 6] = [
        ("addf", |a, b| a + b),
        ("subf", |a, b| a - b),
        ("mulf", |a, b| a * b),
        ("divf", |a, b| a / b),
        ("maxf", f64::max),
        ("minf", f64::min),
    ];
    for (name, fold) in folds {
        functions.add(name, 1, usize::MAX, move |args| {
            let mut values = args.values().iter().map(to_float);
            let first = values.next().unwrap_or(0.0);
            Ok(Value::Float(values.fold(first, fold)))
        });
    }
    functions.add("ceil", 1, 1, |args| Ok(Value::Float(to_float(args.value(0)).ceil())));
    functions.add("floor", 1, 1, |args| Ok(Value::Float(to_float(args.value(0)).floor())));
    functions.add("round", 2, 3, |args| {
        let (value, digits) = (to_float(args.value(0)), to_int(args.value(1)).clamp(0, 15));
        let half = if args.len() > 2 { to_float(args.value(2)) } else { 0.5 };
        let scale = 10f64.powi(digits as i32);
        let (whole, fraction) = ((value * scale).trunc(), (value * scale).fract());
        let up = fraction.abs() >= half;
        Ok(Value::Float((whole + if up { fraction.signum() } else { 0.0 }) / scale))
    });
    functions.add("bytes", 1, 1, |args| {
        convert::bytes(args.str(0)?).map(|bytes| Value::Float(bytes as f64)).or_else(fail)
    });
    for name in ["duration", "duration_seconds"] {
        functions.add(name, 1, 1, |args| {
            convert::duration_ns(args.str(0)?).map(|ns| Value::Float(ns as f64 / 1e9)).or_else(fail)
        });
    }
}

fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        value => value.as_str().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
    }
}

fn to_float(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Int(value) => *value as f64,
        Value::Bool(value) => f64::from(u8::from(*value)),
        value => value.as_str().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0),
    }
}

fn ints(args: Args<'_>) -> impl Iterator<Item = i64> {
    args.values().iter().map(to_int)
}

fn pair(args: Args<'_>) -> (i64, i64) {
    (to_int(args.value(0)), to_int(args.value(1)))
}

fn divide(args: Args<'_>, operation: fn(i64, i64) -> i64) -> Result<Value, CallError> {
    match pair(args) {
        (_, 0) => fail("division by zero"),
        (a, b) => Ok(Value::Int(operation(a, b))),
    }
}
