//! The same messages in JSON: names in camel case, large numbers as texts, ids in hex, bytes in base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::message::{
    Any, AnyValue, Array, ExportRequest, KeyValue, LogRecord, Map, Resource, ResourceLogs, Scope, ScopeLogs,
};

/// Reads a request.
pub(super) fn parse(bytes: &[u8]) -> Result<ExportRequest, String> {
    let root: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !root.is_object() {
        return Err("an object is expected".to_owned());
    }
    Ok(ExportRequest { resource_logs: list(&root["resourceLogs"], resource_logs) })
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().map(|items| items.iter().map(item).collect()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn unsigned(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn signed(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect::<Option<_>>().unwrap_or_default()
}

fn resource_logs(value: &Value) -> ResourceLogs {
    ResourceLogs {
        resource: Some(Resource { attributes: list(&value["resource"]["attributes"], pair) }),
        scope_logs: list(&value["scopeLogs"], |value| ScopeLogs {
            scope: Some(Scope {
                name: text(&value["scope"]["name"]),
                version: text(&value["scope"]["version"]),
                attributes: list(&value["scope"]["attributes"], pair),
                dropped_attributes_count: unsigned(&value["scope"]["droppedAttributesCount"]) as u32,
            }),
            log_records: list(&value["logRecords"], record),
        }),
    }
}

fn record(value: &Value) -> LogRecord {
    LogRecord {
        time_ns: unsigned(&value["timeUnixNano"]),
        severity_number: signed(&value["severityNumber"]) as i32,
        severity_text: text(&value["severityText"]),
        body: value.get("body").map(any),
        attributes: list(&value["attributes"], pair),
        dropped_attributes_count: unsigned(&value["droppedAttributesCount"]) as u32,
        flags: unsigned(&value["flags"]) as u32,
        trace_id: hex(&value["traceId"]),
        span_id: hex(&value["spanId"]),
        observed_ns: unsigned(&value["observedTimeUnixNano"]),
        event_name: text(&value["eventName"]),
    }
}

fn pair(value: &Value) -> KeyValue {
    KeyValue { key: text(&value["key"]), value: value.get("value").map(any) }
}

fn any(value: &Value) -> AnyValue {
    let Some((name, held)) = value.as_object().and_then(|object| object.iter().next()) else {
        return AnyValue::default();
    };
    let value = match name.as_str() {
        "stringValue" => Some(Any::Text(text(held))),
        "boolValue" => held.as_bool().map(Any::Bool),
        "intValue" => Some(Any::Int(signed(held))),
        "doubleValue" => held.as_f64().or_else(|| held.as_str()?.parse().ok()).map(Any::Double),
        "bytesValue" => BASE64_STANDARD.decode(text(held)).ok().map(Any::Bytes),
        "arrayValue" => Some(Any::Array(Array { values: list(&held["values"], any) })),
        "kvlistValue" => Some(Any::Map(Map { values: list(&held["values"], pair) })),
        _ => None,
    };
    AnyValue { value }
}
