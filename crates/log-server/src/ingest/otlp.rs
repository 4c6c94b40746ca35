//! OpenTelemetry's logs as streams: some attributes are labels, some are dropped, everything else goes with each line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use log_storage_api::BatchEntry;
use model::{ErrorCode, TimestampNs};
use prost::Message;
use resources::Reservation;
use wire::otlp::{
    AnyValue, ExportLogsServiceRequest, InstrumentationScope, KeyValue, KeyValueList, LogRecord,
    ResourceLogs, Value, json,
};

use super::{IncomingLabels, IncomingStream, entry_bytes};
use crate::config::{AttributeAction, OtlpConfig};
use crate::error::ApiError;

type Pairs = Vec<(String, String)>;

/// A body in one of its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtlpForm {
    Protobuf,
    Json,
}

/// Reads a body.
pub(crate) fn parse_otlp(body: &[u8], form: OtlpForm) -> Result<ExportLogsServiceRequest, ApiError> {
    let request = match form {
        OtlpForm::Protobuf => ExportLogsServiceRequest::decode(body).map_err(|error| error.to_string()),
        OtlpForm::Json => json::logs(body),
    };
    request.map_err(ApiError::bad_request)
}

/// The streams of a request. `memory` holds what their lines take: the attributes of a resource go with each of them. Lines
/// without a time get `now`.
pub(crate) fn otlp_streams(
    request: ExportLogsServiceRequest,
    config: &OtlpConfig,
    now: TimestampNs,
    memory: &mut Reservation,
) -> Result<Vec<IncomingStream<'static>>, ApiError> {
    let mut streams = Vec::new();
    for logs in request.resource_logs {
        of_resource(logs, config, now, memory, &mut streams)?;
    }
    Ok(streams)
}

/// The body of an error's answer.
pub(crate) fn otlp_status(message: &str) -> Vec<u8> {
    wire::rpc::Status { message: message.to_owned(), ..Default::default() }.encode_to_vec()
}

fn of_resource(
    logs: ResourceLogs,
    config: &OtlpConfig,
    now: TimestampNs,
    memory: &mut Reservation,
    streams: &mut Vec<IncomingStream<'static>>,
) -> Result<(), ApiError> {
    let (mut labels, mut common) = (Pairs::new(), Pairs::new());
    for attribute in logs.resource.unwrap_or_default().attributes {
        match config.of_resource(&attribute.key) {
            AttributeAction::Label => flatten("", attribute, &mut labels),
            AttributeAction::Metadata => flatten("", attribute, &mut common),
            AttributeAction::Drop => {}
        }
    }
    // By the labels that records add to those of the resource.
    let mut by_labels: BTreeMap<Pairs, Vec<BatchEntry<'static>>> = BTreeMap::new();
    for of_scope in logs.scope_logs {
        let mut common = common.clone();
        push_scope(&mut common, of_scope.scope.unwrap_or_default(), config);
        for record in of_scope.log_records {
            let (own_labels, entry) = entry(record, &common, config, now);
            let pairs = entry.structured_metadata.len() * size_of::<(String, String)>();
            memory
                .grow(entry_bytes(&entry) + (pairs + size_of::<BatchEntry<'_>>()) as u64)
                .map_err(|error| ApiError::new(ErrorCode::LimitExceeded, error.to_string()))?;
            by_labels.entry(own_labels).or_default().push(entry);
        }
    }
    for (own, entries) in by_labels {
        let kept = labels.iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        let mut labels: Pairs = kept.cloned().collect();
        labels.extend(own);
        if labels.is_empty() {
            labels.push(("service_name".to_owned(), "unknown_service".to_owned()));
        }
        streams.push(IncomingStream { labels: IncomingLabels::Pairs(labels), entries });
    }
    Ok(())
}

fn push_scope(metadata: &mut Pairs, scope: InstrumentationScope, config: &OtlpConfig) {
    for attribute in scope.attributes {
        if config.of_scope(&attribute.key) != AttributeAction::Drop {
            flatten("", attribute, metadata);
        }
    }
    push_present(metadata, "scope_name", scope.name);
    push_present(metadata, "scope_version", scope.version);
    push_number(metadata, "scope_dropped_attributes_count", u64::from(scope.dropped_attributes_count));
}

/// A record: its labels and its entry.
fn entry(
    record: LogRecord,
    common: &Pairs,
    config: &OtlpConfig,
    now: TimestampNs,
) -> (Pairs, BatchEntry<'static>) {
    let mut labels = Pairs::new();
    let mut metadata = Pairs::with_capacity(common.len() + record.attributes.len() + 8);
    for attribute in record.attributes {
        match config.of_record(&attribute.key) {
            AttributeAction::Label => flatten("", attribute, &mut labels),
            AttributeAction::Metadata => flatten("", attribute, &mut metadata),
            AttributeAction::Drop => {}
        }
    }
    push_number(&mut metadata, "observed_timestamp", record.observed_time_unix_nano);
    push_number(&mut metadata, "severity_number", u64::try_from(record.severity_number).unwrap_or(0));
    let of_severity = if config.severity_text_as_label { &mut labels } else { &mut metadata };
    push_present(of_severity, "severity_text", record.severity_text);
    push_number(&mut metadata, "dropped_attributes_count", u64::from(record.dropped_attributes_count));
    push_number(&mut metadata, "flags", u64::from(record.flags));
    push_present(&mut metadata, "trace_id", hex(&record.trace_id));
    push_present(&mut metadata, "span_id", hex(&record.span_id));
    push_present(&mut metadata, "event_name", record.event_name);
    metadata.extend_from_slice(common);
    let times = [record.time_unix_nano, record.observed_time_unix_nano];
    let times = times.map(|time| i64::try_from(time).unwrap_or(i64::MAX));
    let timestamp = times.into_iter().find(|time| *time != 0).unwrap_or(now);
    let line = record.body.map(AnyValue::into_text).unwrap_or_default();
    labels.sort();
    labels.dedup_by(|later, earlier| later.0 == earlier.0);
    (labels, BatchEntry { timestamp, line: Cow::Owned(line), structured_metadata: metadata })
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
        Some(Value::KvlistValue(KeyValueList { values })) => {
            name.push('_');
            values.into_iter().for_each(|inner| flatten(&name, inner, out));
        }
        value => out.push((name, AnyValue { value }.into_text())),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
