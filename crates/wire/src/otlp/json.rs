//! The JSON form of the messages: names in camel case, large numbers as texts, ids in hex, bytes in base64. Readers are
//! lenient, as protobuf's are: what is missing or of another kind has its default.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use super::{
    AnyValue, ArrayValue, ExportLogsServiceRequest, InstrumentationScope, KeyValue, KeyValueList, LogRecord,
    Resource, ResourceLogs, ScopeLogs, Value,
};

/// Reads the object that a request is.
///
/// # Errors
/// Where the bytes are no JSON object.
pub fn object(bytes: &[u8]) -> Result<Json, String> {
    let root: Json = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if root.is_object() { Ok(root) } else { Err("an object is expected".to_owned()) }
}

/// Reads a request with logs.
///
/// # Errors
/// Where the bytes are no JSON object.
pub fn logs(bytes: &[u8]) -> Result<ExportLogsServiceRequest, String> {
    Ok(ExportLogsServiceRequest { resource_logs: list(&object(bytes)?["resourceLogs"], resource_logs) })
}

/// Each item of an array.
pub fn list<T>(value: &Json, item: impl Fn(&Json) -> T) -> Vec<T> {
    value.as_array().map(|items| items.iter().map(item).collect()).unwrap_or_default()
}

/// A text.
pub fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A whole number that is not negative.
pub fn unsigned(value: &Json) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// A whole number.
pub fn signed(value: &Json) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// Any number.
pub fn float(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| match value.as_str()? {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    })
}

/// The bytes of an id; none where it is not hex.
pub fn hex(value: &Json) -> Vec<u8> {
    let digits = value.as_str().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect::<Option<_>>().unwrap_or_default()
}

/// A resource.
pub fn resource(value: &Json) -> Resource {
    Resource {
        attributes: list(&value["attributes"], attribute),
        dropped_attributes_count: unsigned(&value["droppedAttributesCount"]) as u32,
    }
}

/// A scope.
pub fn scope(value: &Json) -> InstrumentationScope {
    InstrumentationScope {
        name: text(&value["name"]),
        version: text(&value["version"]),
        attributes: list(&value["attributes"], attribute),
        dropped_attributes_count: unsigned(&value["droppedAttributesCount"]) as u32,
    }
}

/// An attribute.
pub fn attribute(value: &Json) -> KeyValue {
    KeyValue { key: text(&value["key"]), value: value.get("value").map(any) }
}

/// A value of any kind.
pub fn any(value: &Json) -> AnyValue {
    let Some((name, held)) = value.as_object().and_then(|object| object.iter().next()) else {
        return AnyValue::default();
    };
    let value = match name.as_str() {
        "stringValue" => Some(Value::StringValue(text(held))),
        "boolValue" => held.as_bool().map(Value::BoolValue),
        "intValue" => Some(Value::IntValue(signed(held))),
        "doubleValue" => float(held).map(Value::DoubleValue),
        "bytesValue" => BASE64_STANDARD.decode(text(held)).ok().map(Value::BytesValue),
        "arrayValue" => Some(Value::ArrayValue(ArrayValue { values: list(&held["values"], any) })),
        "kvlistValue" => Some(Value::KvlistValue(KeyValueList { values: list(&held["values"], attribute) })),
        _ => None,
    };
    AnyValue { value }
}

fn resource_logs(value: &Json) -> ResourceLogs {
    ResourceLogs {
        resource: Some(resource(&value["resource"])),
        scope_logs: list(&value["scopeLogs"], |value| ScopeLogs {
            scope: Some(scope(&value["scope"])),
            log_records: list(&value["logRecords"], record),
            schema_url: text(&value["schemaUrl"]),
        }),
        schema_url: text(&value["schemaUrl"]),
    }
}

fn record(value: &Json) -> LogRecord {
    LogRecord {
        time_unix_nano: unsigned(&value["timeUnixNano"]),
        severity_number: signed(&value["severityNumber"]) as i32,
        severity_text: text(&value["severityText"]),
        body: value.get("body").map(any),
        attributes: list(&value["attributes"], attribute),
        dropped_attributes_count: unsigned(&value["droppedAttributesCount"]) as u32,
        flags: unsigned(&value["flags"]) as u32,
        trace_id: hex(&value["traceId"]),
        span_id: hex(&value["spanId"]),
        observed_time_unix_nano: unsigned(&value["observedTimeUnixNano"]),
        event_name: text(&value["eventName"]),
    }
}
