//! OpenTelemetry's logs in protobuf and in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| watchbell_fuzz::otlp_logs(data));
