//! OpenTelemetry's logs as streams: some attributes of a resource are labels, everything else goes with each line.

mod json;
mod message;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use log_storage_api::BatchEntry;
use model::{ErrorCode, TimestampNs, format_float};
use prost::Message;
use resources::Reservation;
use serde_json::{Number, Value};

use self::message::{Any, AnyValue, ExportRequest, KeyValue, LogRecord, ResourceLogs, Scope, Status};
use super::{IncomingLabels, IncomingStream, entry_bytes};
use crate::error::ApiError;

/// Attributes of a resource that become labels.
const LABEL_ATTRIBUTES: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

type Pairs = Vec<(String, String)>;

/// A body in one of its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtlpForm {
    Protobuf,
    Json,
}

/// Reads a body. `memory` holds what its lines take: the attributes of a resource go with each of them. Lines without a time
/// get `now`.
pub(crate) fn decode_otlp(
    body: &[u8],
    form: OtlpForm,
    now: TimestampNs,
    memory: &mut Reservation,
) -> Result<Vec<IncomingStream<'static>>, ApiError> {
    let request = match form {
        OtlpForm::Protobuf => ExportRequest::decode(body).map_err(|error| error.to_string()),
        OtlpForm::Json => json::parse(body),
    };
    let request = request.map_err(ApiError::bad_request)?;
    request.resource_logs.into_iter().map(|logs| stream(logs, now, memory)).collect()
}

/// The body of an error's answer.
pub(crate) fn otlp_status(message: &str) -> Vec<u8> {
    Status { message: message.to_owned() }.encode_to_vec()
}

fn stream(
    logs: ResourceLogs,
    now: TimestampNs,
    memory: &mut Reservation,
) -> Result<IncomingStream<'static>, ApiError> {
    let (mut labels, mut of_resource) = (Pairs::new(), Pairs::new());
    for attribute in logs.resource.unwrap_or_default().attributes {
        let is_label = LABEL_ATTRIBUTES.contains(&attribute.key.as_str());
        flatten("", attribute, if is_label { &mut labels } else { &mut of_resource });
    }
    if labels.is_empty() {
        labels.push(("service_name".to_owned(), "unknown_service".to_owned()));
    }
    let mut entries = Vec::new();
    for of_scope in logs.scope_logs {
        let mut common = of_resource.clone();
        push_scope(&mut common, of_scope.scope.unwrap_or_default());
        for record in of_scope.log_records {
            let entry = entry(record, &common, now);
            let pairs = entry.structured_metadata.len() * size_of::<(String, String)>();
            memory
                .grow(entry_bytes(&entry) + (pairs + size_of::<BatchEntry<'_>>()) as u64)
                .map_err(|error| ApiError::new(ErrorCode::LimitExceeded, error.to_string()))?;
            entries.push(entry);
        }
    }
    Ok(IncomingStream { labels: IncomingLabels::Pairs(labels), entries })
}

fn push_scope(metadata: &mut Pairs, scope: Scope) {
    scope.attributes.into_iter().for_each(|attribute| flatten("", attribute, metadata));
    push_present(metadata, "scope_name", scope.name);
    push_present(metadata, "scope_version", scope.version);
    push_number(metadata, "scope_dropped_attributes_count", u64::from(scope.dropped_attributes_count));
}

fn entry(record: LogRecord, common: &Pairs, now: TimestampNs) -> BatchEntry<'static> {
    let mut metadata = Pairs::with_capacity(common.len() + record.attributes.len() + 8);
    record.attributes.into_iter().for_each(|attribute| flatten("", attribute, &mut metadata));
    push_number(&mut metadata, "observed_timestamp", record.observed_ns);
    push_number(&mut metadata, "severity_number", u64::try_from(record.severity_number).unwrap_or(0));
    push_present(&mut metadata, "severity_text", record.severity_text);
    push_number(&mut metadata, "dropped_attributes_count", u64::from(record.dropped_attributes_count));
    push_number(&mut metadata, "flags", u64::from(record.flags));
    push_present(&mut metadata, "trace_id", hex(&record.trace_id));
    push_present(&mut metadata, "span_id", hex(&record.span_id));
    push_present(&mut metadata, "event_name", record.event_name);
    metadata.extend_from_slice(common);
    let times = [record.time_ns, record.observed_ns].map(|time| i64::try_from(time).unwrap_or(i64::MAX));
    let timestamp = times.into_iter().find(|time| *time != 0).unwrap_or(now);
    let line = record.body.map(as_text).unwrap_or_default();
    BatchEntry { timestamp, line: Cow::Owned(line), structured_metadata: metadata }
}

fn push_present(metadata: &mut Pairs, name: &str, value: String) {
    if !value.is_empty() {
        metadata.push((name.to_owned(), value));
    }
}

fn push_number(metadata: &mut Pairs, name: &str, value: u64) {
    if value != 0 {
        metadata.push((name.to_owned(), value.to_string()));
    }
}

/// Adds an attribute; each field of a map under a name of its own.
fn flatten(prefix: &str, attribute: KeyValue, out: &mut Pairs) {
    let own = attribute.key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' });
    let mut name = prefix.to_owned();
    if name.is_empty() && attribute.key.starts_with(|c: char| c.is_ascii_digit()) {
        name.push_str("key_");
    }
    name.extend(own);
    match attribute.value.and_then(|value| value.value) {
        Some(Any::Map(map)) => {
            name.push('_');
            map.values.into_iter().for_each(|inner| flatten(&name, inner, out));
        }
        value => out.push((name, as_text(AnyValue { value }))),
    }
}

/// A value as text: what is made of others as JSON.
fn as_text(value: AnyValue) -> String {
    match value.value {
        None => String::new(),
        Some(Any::Text(text)) => text,
        Some(Any::Double(value)) => format_float(value),
        Some(Any::Bytes(bytes)) => BASE64_STANDARD.encode(bytes),
        Some(other) => as_json(AnyValue { value: Some(other) }).to_string(),
    }
}

fn as_json(value: AnyValue) -> Value {
    match value.value {
        None => Value::Null,
        Some(Any::Text(text)) => Value::String(text),
        Some(Any::Bool(value)) => Value::Bool(value),
        Some(Any::Int(value)) => Value::from(value),
        // A whole number is written as one.
        Some(Any::Double(value)) if value.fract() == 0.0 && value.abs() < 1e15 => Value::from(value as i64),
        Some(Any::Double(value)) => Number::from_f64(value).map_or(Value::Null, Value::Number),
        Some(Any::Bytes(bytes)) => Value::String(BASE64_STANDARD.encode(bytes)),
        Some(Any::Array(array)) => Value::Array(array.values.into_iter().map(as_json).collect()),
        Some(Any::Map(map)) => {
            let pairs = map.values.into_iter();
            let pairs = pairs.map(|pair| (pair.key, pair.value.map_or(Value::Null, as_json)));
            // In order of their names, as the original writes them.
            Value::Object(pairs.collect::<BTreeMap<_, _>>().into_iter().collect())
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
