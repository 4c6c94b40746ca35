//! OpenTelemetry's messages: what its signals share, logs, and their forms as text and JSON.

pub mod json;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Number, Value as Json};

pub use crate::generated::opentelemetry::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse, logs_service_client,
    logs_service_server,
};
pub use crate::generated::opentelemetry::common::v1::any_value::Value;
pub use crate::generated::opentelemetry::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
pub use crate::generated::opentelemetry::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
pub use crate::generated::opentelemetry::resource::v1::Resource;

impl AnyValue {
    /// The value as the text that stands for it: what is made of others as JSON, bytes in base64, nothing as "".
    pub fn into_text(self) -> String {
        match self.value {
            None => String::new(),
            Some(Value::StringValue(text)) => text,
            Some(Value::DoubleValue(number)) => float_text(number),
            Some(Value::BytesValue(bytes)) => BASE64_STANDARD.encode(bytes),
            Some(other) => Self { value: Some(other) }.into_json().to_string(),
        }
    }

    /// The same of a value that stays.
    pub fn text(&self) -> String {
        match &self.value {
            Some(Value::StringValue(text)) => text.clone(),
            _ => self.clone().into_text(),
        }
    }

    /// The value as JSON, the fields of maps in order of their names. What JSON has no number for is null.
    pub fn into_json(self) -> Json {
        match self.value {
            None => Json::Null,
            Some(Value::StringValue(text)) => Json::String(text),
            Some(Value::BoolValue(is)) => Json::Bool(is),
            Some(Value::IntValue(number)) => Json::from(number),
            // A whole number is written as one.
            Some(Value::DoubleValue(number)) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Json::from(number as i64)
            }
            Some(Value::DoubleValue(number)) => Number::from_f64(number).map_or(Json::Null, Json::Number),
            Some(Value::BytesValue(bytes)) => Json::String(BASE64_STANDARD.encode(bytes)),
            Some(Value::ArrayValue(array)) => {
                Json::Array(array.values.into_iter().map(Self::into_json).collect())
            }
            Some(Value::KvlistValue(list)) => {
                let pairs = list.values.into_iter();
                let pairs = pairs.map(|pair| (pair.key, pair.value.map_or(Json::Null, Self::into_json)));
                Json::Object(pairs.collect::<BTreeMap<_, _>>().into_iter().collect())
            }
        }
    }
}

impl From<&str> for AnyValue {
    fn from(text: &str) -> Self {
        Self { value: Some(Value::StringValue(text.to_owned())) }
    }
}

impl KeyValue {
    /// An attribute that is a text.
    pub fn of_text(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: Some(value.into()) }
    }

    /// The value's text; "" where there is none.
    pub fn value_text(&self) -> String {
        self.value.as_ref().map(AnyValue::text).unwrap_or_default()
    }
}

/// A number as JSON writes it: an exponent only where it is very large or very small.
fn float_text(number: f64) -> String {
    let magnitude = number.abs();
    match () {
        () if number.is_nan() => "NaN".to_owned(),
        () if number.is_infinite() => if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        () if magnitude >= 1e21 => format!("{number:e}").replace('e', "e+"),
        () if magnitude != 0.0 && magnitude < 1e-6 => format!("{number:e}"),
        () => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn of(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn values_become_text() {
        let pair = |key: &str, value: Value| KeyValue { key: key.to_owned(), value: Some(of(value)) };
        let map = KeyValueList {
            values: vec![
                pair("b", Value::DoubleValue(1.0)),
                pair("a", Value::BytesValue(vec![1, 2])),
                KeyValue::default(),
            ],
        };
        let array =
            ArrayValue { values: vec![of(Value::DoubleValue(0.5)), of(Value::DoubleValue(f64::NAN))] };
        for (value, text) in [
            (Value::StringValue("x\"y".to_owned()), "x\"y"),
            (Value::BoolValue(true), "true"),
            (Value::IntValue(-3), "-3"),
            (Value::DoubleValue(2.0), "2"),
            (Value::DoubleValue(1.25), "1.25"),
            (Value::DoubleValue(1e-7), "1e-7"),
            (Value::DoubleValue(1e21), "1e+21"),
            (Value::DoubleValue(f64::NEG_INFINITY), "-Inf"),
            (Value::BytesValue(b"foob".to_vec()), "Zm9vYg=="),
            (Value::ArrayValue(array), "[0.5,null]"),
            (Value::KvlistValue(map), r#"{"":null,"a":"AQI=","b":1}"#),
        ] {
            assert_eq!(of(value).text(), text);
        }
        assert_eq!(AnyValue::default().text(), "");
    }

    #[test]
    fn field_numbers_are_those_of_the_protocol() {
        // One record "hi" at 2 s of resource a = "b", written by hand.
        let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let attribute = field(1, &[field(1, b"a"), field(2, &field(1, b"b"))].concat());
        let time = [&[1 << 3 | 1][..], &2_000_000_000u64.to_le_bytes()].concat();
        let observed = [&[11 << 3 | 1][..], &3u64.to_le_bytes()].concat();
        let record = [time, field(5, &field(1, b"hi")), field(9, &[7; 16]), observed].concat();
        let scope = field(2, &[field(1, &field(1, b"lib")), field(2, &record)].concat());
        let message = field(1, &[field(1, &attribute), scope].concat());
        let request = ExportLogsServiceRequest::decode(message.as_slice()).expect("valid");
        let logs = &request.resource_logs[0];
        let record = &logs.scope_logs[0].log_records[0];
        assert_eq!(
            logs.resource.as_ref().map(|resource| resource.attributes[0].value_text()).as_deref(),
            Some("b")
        );
        assert_eq!(
            (record.time_unix_nano, record.observed_time_unix_nano, record.trace_id.len()),
            (2_000_000_000, 3, 16)
        );
        assert_eq!(record.body.as_ref().map(AnyValue::text).as_deref(), Some("hi"));
    }
}
