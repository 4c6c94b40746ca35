//! Go's comparisons between values.

use crate::{CallError, Value};

/// Whether two values are equal; values that Go can't compare are an error.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, CallError> {
    let (a, b) = (a.to_basic(), b.to_basic());
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Ok(a == b);
    }
    match (&a, &b) {
        (Value::Nil | Value::NoValue, Value::Nil | Value::NoValue) => Ok(true),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::List(_), _) | (_, Value::List(_)) | (Value::Map(_), _) | (_, Value::Map(_)) => {
            match (&a, &b) {
                (Value::Nil | Value::NoValue, _) | (_, Value::Nil | Value::NoValue) => Ok(false),
                _ => Err(format!("non-comparable type {}", a.type_name()).into()),
            }
        }
        (Value::Nil | Value::NoValue, _) | (_, Value::Nil | Value::NoValue) => Ok(false),
        (Value::Object(_) | Value::Function(_), _) | (_, Value::Object(_) | Value::Function(_)) => {
            Err(format!("non-comparable type {}", a.type_name()).into())
        }
        _ => Err("incompatible types for comparison".into()),
    }
}

/// Whether `a` is less than `b`: ints, floats and strings have an order.
pub(crate) fn less(a: &Value, b: &Value) -> Result<bool, CallError> {
    let (a, b) = (a.to_basic(), b.to_basic());
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Ok(a < b);
    }
    match (&a, &b) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (a, b) if is_ordered(a) && is_ordered(b) => Err("incompatible types for comparison".into()),
        _ => Err("invalid type for comparison".into()),
    }
}

fn is_ordered(value: &Value) -> bool {
    value.as_str().is_some() || matches!(value, Value::Int(_) | Value::Float(_))
}
