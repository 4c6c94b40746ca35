//! Resources, scopes and records as streams.

use resources::RequestContext;

use super::message::{Resource, ScopeLogs};
use super::*;

fn decode(body: &[u8], form: OtlpForm) -> Result<Vec<String>, ApiError> {
    let mut memory = RequestContext::for_tests().memory.reserve(0).expect("nothing is taken");
    let streams = decode_otlp(body, form, 77, &mut memory)?;
    let show = |stream: IncomingStream<'_>| {
        let IncomingLabels::Pairs(labels) = stream.labels else { panic!("labels come as pairs") };
        let pairs = |mut pairs: Pairs| {
            pairs.sort();
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        let labels = pairs(labels);
        let entries = stream.entries.into_iter();
        entries
            .map(|entry| {
                format!(
                    "{{{labels}}} {} {} | {}",
                    entry.timestamp,
                    entry.line,
                    pairs(entry.structured_metadata)
                )
            })
            .collect::<Vec<_>>()
    };
    Ok(streams.into_iter().flat_map(show).collect())
}

const FULL: &str = r#"{"resourceLogs":[{
    "resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"k8s.job.name","value":{"stringValue":"j"}},
        {"key":"host.ip","value":{"arrayValue":{"values":[{"stringValue":"::1"},{"intValue":"4"}]}}}]},
    "scopeLogs":[{"scope":{"name":"lib","version":"1","droppedAttributesCount":2,
        "attributes":[{"key":"a/b","value":{"boolValue":true}}]},
      "logRecords":[
        {"timeUnixNano":"5","observedTimeUnixNano":6,"severityNumber":9,"severityText":"INFO","body":{"stringValue":"hello"},
         "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","flags":1,"droppedAttributesCount":3,
         "eventName":"e","attributes":[{"key":"http","value":{"kvlistValue":{"values":[
            {"key":"status.code","value":{"intValue":200}},{"key":"took","value":{"doubleValue":1.5}}]}}}]},
        {"observedTimeUnixNano":"8","body":{"kvlistValue":{"values":[
            {"key":"b","value":{"doubleValue":2}},{"key":"a","value":{"bytesValue":"AQI="}}]}}},
        {}]}]},
   {"scopeLogs":[{"logRecords":[{"timeUnixNano":"9","body":{"intValue":"-3"}}]}]}]}"#;

#[test]
fn records_become_lines_with_what_is_said_of_them() {
    let scope = "a_b=true host_ip=[\"::1\",4]";
    let of_scope = "scope_dropped_attributes_count=2 scope_name=lib scope_version=1";
    assert_eq!(
        decode(FULL.as_bytes(), OtlpForm::Json).expect("valid"),
        [
            format!(
                "{{k8s_job_name=j service_name=shop}} 5 hello | a_b=true dropped_attributes_count=3 event_name=e flags=1 \
                 host_ip=[\"::1\",4] http_status_code=200 http_took=1.5 observed_timestamp=6 {of_scope} severity_number=9 \
                 severity_text=INFO span_id=b7ad6b7169203331 trace_id=0af7651916cd43dd8448eb211c80319c"
            ),
            format!(
                "{{k8s_job_name=j service_name=shop}} 8 {{\"a\":\"AQI=\",\"b\":2}} | {scope} observed_timestamp=8 {of_scope}"
            ),
            format!("{{k8s_job_name=j service_name=shop}} 77  | {scope} {of_scope}"),
            "{service_name=unknown_service} 9 -3 | ".to_owned(),
        ]
    );
}

#[test]
fn protobuf_says_the_same() {
    let text = |text: &str| Some(AnyValue { value: Some(Any::Text(text.to_owned())) });
    let name = KeyValue { key: "service.name".to_owned(), value: text("shop") };
    let record =
        LogRecord { time_ns: 5, body: text("hello"), span_id: vec![0xb7, 1], ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { scope: None, log_records: vec![record] }];
    let resource = Some(Resource { attributes: vec![name] });
    let request = ExportRequest { resource_logs: vec![ResourceLogs { resource, scope_logs }] };
    let body = request.encode_to_vec();
    let expected = ["{service_name=shop} 5 hello | span_id=b701"];
    assert_eq!(decode(&body, OtlpForm::Protobuf).expect("valid"), expected);
    assert!(decode(&body[..body.len() - 1], OtlpForm::Protobuf).is_err());
    assert!(decode(b"[]", OtlpForm::Json).is_err() && decode(b"{", OtlpForm::Json).is_err());
}

#[test]
fn what_is_repeated_with_each_line_is_bounded() {
    let text = |len: usize| Some(AnyValue { value: Some(Any::Text("x".repeat(len))) });
    let attribute = KeyValue { key: "large".to_owned(), value: text(1 << 20) };
    let resource = Some(Resource { attributes: vec![attribute] });
    let scope_logs = vec![ScopeLogs { scope: None, log_records: vec![LogRecord::default(); 100] }];
    let request = ExportRequest { resource_logs: vec![ResourceLogs { resource, scope_logs }] };
    let budget = resources::MemoryBudget::root("test", "none", model::ByteSize(10 << 20));
    let mut memory = budget.reserve(0).expect("nothing is taken");
    let refused = decode_otlp(&request.encode_to_vec(), OtlpForm::Protobuf, 0, &mut memory);
    assert_eq!(
        refused.map(|streams| streams.len()).map_err(|error| error.code),
        Err(ErrorCode::LimitExceeded)
    );
}
