//! Resources, scopes and records as streams.

use resources::RequestContext;

use wire::otlp::{Resource, ScopeLogs};

use super::*;

fn decode(body: &[u8], form: OtlpForm) -> Result<Vec<String>, ApiError> {
    decode_by(body, form, &OtlpConfig::default())
}

fn decode_by(body: &[u8], form: OtlpForm, config: &OtlpConfig) -> Result<Vec<String>, ApiError> {
    let mut memory = RequestContext::for_tests().memory.reserve(0).expect("nothing is taken");
    let streams = otlp_streams(parse_otlp(body, form)?, config, 77, &mut memory)?;
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
fn attributes_become_what_the_configuration_says() {
    let read = |text: &str| {
        let yaml = format!("auth_enabled: false\n{text}");
        let document = config::Document::parse_yaml("loki.yaml", &yaml).expect("YAML");
        crate::config::read(&document)
    };
    let body = br#"{"resourceLogs":[{
        "resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"shop"}},
            {"key":"team","value":{"stringValue":"red"}},
            {"key":"host.id","value":{"stringValue":"h"}},
            {"key":"host.ip","value":{"stringValue":"::1"}}]},
        "scopeLogs":[{"scope":{"attributes":[{"key":"keep","value":{"intValue":1}},{"key":"lose","value":{"intValue":2}}]},
          "logRecords":[
            {"timeUnixNano":"1","severityText":"INFO","attributes":[{"key":"zone","value":{"stringValue":"a"}},{"key":"x","value":{"intValue":3}}]},
            {"timeUnixNano":"2","attributes":[{"key":"zone","value":{"stringValue":"b"}}]},
            {"timeUnixNano":"3","severityText":"INFO","attributes":[{"key":"zone","value":{"stringValue":"a"}}]}]}]}]}"#;
    let rules = "limits_config: {otlp_config: {severity_text_as_label: true,
        resource_attributes: {attributes_config: [
            {action: index_label, attributes: [team]}, {action: drop, regex: 'host\\..*'}]},
        scope_attributes: [{action: drop, attributes: [lose]}],
        log_attributes: [{action: index_label, regex: zone}]}}";
    for (config, expected) in [
        (
            rules,
            &[
                "{service_name=shop severity_text=INFO team=red zone=a} 1  | keep=1 x=3",
                "{service_name=shop severity_text=INFO team=red zone=a} 3  | keep=1",
                "{service_name=shop team=red zone=b} 2  | keep=1",
            ][..],
        ),
        (
            "distributor: {otlp_config: {default_resource_attributes_as_index_labels: [team]}}",
            &[
                "{team=red} 1  | host_id=h host_ip=::1 keep=1 lose=2 service_name=shop severity_text=INFO x=3 zone=a",
                "{team=red} 2  | host_id=h host_ip=::1 keep=1 lose=2 service_name=shop zone=b",
                "{team=red} 3  | host_id=h host_ip=::1 keep=1 lose=2 service_name=shop severity_text=INFO zone=a",
            ],
        ),
        (
            "limits_config: {otlp_config: {resource_attributes: {ignore_defaults: true, attributes_config: [
                {action: index_label, attributes: [host.id]}, {action: drop, regex: '.*'}]},
                scope_attributes: [{action: drop, regex: '.*'}], log_attributes: [{action: drop, regex: '.*'}]}}",
            &["{host_id=h} 1  | severity_text=INFO", "{host_id=h} 2  | ", "{host_id=h} 3  | severity_text=INFO"],
        ),
    ] {
        let limits = read(config).expect(config).config.limits;
        assert_eq!(decode_by(body, OtlpForm::Json, &limits.otlp).expect("valid"), expected, "{config}");
    }
    for (rule, part) in [
        ("scope_attributes: [{action: index_label, attributes: [a]}]", "cannot become labels"),
        ("log_attributes: [{action: drop}]", "attributes or regex must be set"),
        ("log_attributes: [{action: drop, attributes: [a], regex: b}]", "only one of"),
        ("log_attributes: [{action: hide, attributes: [a]}]", "hide"),
        ("log_attributes: [{regex: '('}]", "regex"),
    ] {
        let refused = read(&format!("limits_config: {{otlp_config: {{{rule}}}}}"));
        let text = refused.map(|_| ()).expect_err(rule).to_string();
        assert!(text.contains(part), "{rule}: {text}");
    }
}

#[test]
fn protobuf_says_the_same() {
    let record = LogRecord {
        time_unix_nano: 5,
        body: Some("hello".into()),
        span_id: vec![0xb7, 1],
        ..LogRecord::default()
    };
    let body = request("service.name", "shop", vec![record]).encode_to_vec();
    let expected = ["{service_name=shop} 5 hello | span_id=b701"];
    assert_eq!(decode(&body, OtlpForm::Protobuf).expect("valid"), expected);
    assert!(decode(&body[..body.len() - 1], OtlpForm::Protobuf).is_err());
    assert!(decode(b"[]", OtlpForm::Json).is_err() && decode(b"{", OtlpForm::Json).is_err());
}

fn request(key: &str, value: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let attributes = vec![KeyValue::of_text(key, value)];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let logs = ResourceLogs { resource, scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

#[test]
fn what_is_repeated_with_each_line_is_bounded() {
    let request = request("large", &"x".repeat(1 << 20), vec![LogRecord::default(); 100]);
    let budget = resources::MemoryBudget::root("test", "none", model::ByteSize(10 << 20));
    let mut memory = budget.reserve(0).expect("nothing is taken");
    let refused = otlp_streams(request, &OtlpConfig::default(), 0, &mut memory);
    assert_eq!(
        refused.map(|streams| streams.len()).map_err(|error| error.code),
        Err(ErrorCode::LimitExceeded)
    );
}
