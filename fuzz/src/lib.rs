//! What the fuzz targets call. Those of the store are its tests', too.

#[path = "../../crates/tsdb/tests/it/arbitrary.rs"]
mod arbitrary;
#[path = "../../crates/log-store/tests/store/arbitrary.rs"]
mod arbitrary_logs;

use std::sync::LazyLock;

use alert_manager::config::Config;
use alert_manager::data::{AlertData, Data, Pairs};
use alert_manager::matchers::MatcherMode;
use alert_manager::templates::Templates;
use chunk_encoding::{HistogramKind, XorState, decode_histograms, decode_xor};
use remote_write::{RawPart, SeriesField, WriteRequest};

/// A log with these records.
pub fn wal(data: &[u8]) {
    arbitrary::wal(data);
}

/// A segment of a log.
pub fn wal_segment(data: &[u8]) {
    arbitrary::wal_segment(data);
}

/// A file of head chunks.
pub fn head_chunks(data: &[u8]) {
    arbitrary::head_chunks(data);
}

/// A block with changes in its files.
pub fn block(data: &[u8]) {
    arbitrary::block(data);
}

/// A chunk of every encoding; an XOR chunk that can be read can be appended to.
pub fn chunks(data: &[u8]) {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    if decode_xor(data, &mut times, &mut values).is_ok()
        && times.len() < usize::from(u16::MAX)
        && let Ok(mut state) = XorState::resume(data)
    {
        let mut chunk = data.to_vec();
        state.append(&mut chunk, 12_345, 1.5);
        let (mut longer_times, mut longer_values) = (Vec::new(), Vec::new());
        decode_xor(&chunk, &mut longer_times, &mut longer_values).expect("what was appended to is whole");
        assert_eq!(longer_times.pop(), Some(12_345));
        assert_eq!(longer_values.pop(), Some(1.5));
        assert_eq!(longer_times, times);
        assert!(longer_values.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    for kind in [HistogramKind::Integer, HistogramKind::Float] {
        decode_histograms(kind, data, &mut Vec::new(), &mut Vec::new()).ok();
    }
}

/// A segment of the log store, with changes.
pub fn log_segment(data: &[u8]) {
    arbitrary_logs::segment(data);
}

/// A segment of the log store with this index.
pub fn log_segment_index(data: &[u8]) {
    arbitrary_logs::segment_index(data);
}

/// A log of the log store with these records.
pub fn log_wal(data: &[u8]) {
    arbitrary_logs::wal(data);
}

/// A query: what parses is checked, and printed so that it parses to the same.
pub fn logql(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(expr) = logql_syntax::parse(text) else { return };
    logql::check(&expr).ok();
    for printed in [expr.to_string(), expr.pretty()] {
        let again = logql_syntax::parse(&printed).expect("what was printed parses");
        assert_eq!(again.to_string(), expr.to_string(), "{text:?} is printed as {printed:?}");
    }
}

/// A request with OpenTelemetry's logs, in both forms.
pub fn otlp_logs(data: &[u8]) {
    let of_protobuf = <wire::otlp::ExportLogsServiceRequest as prost::Message>::decode(data).ok();
    let of_json = wire::otlp::json::logs(data).ok();
    for request in [of_protobuf, of_json].into_iter().flatten() {
        for logs in request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs) {
            for record in logs.log_records {
                record.attributes.iter().for_each(|attribute| drop(attribute.value_text()));
                record.body.map(wire::otlp::AnyValue::into_text);
            }
        }
    }
}

/// A decompressed request of remote write.
pub fn remote_write(data: &[u8]) {
    let mut labels = model::LabelsBuilder::new();
    let mut request = WriteRequest::new(data);
    while let Ok(Some(part)) = request.next_raw_part() {
        let message = match part {
            RawPart::Series(message) => message,
            RawPart::Metadata(metadata) => {
                metadata.read().ok();
                continue;
            }
        };
        let Ok(series) = message.read() else { continue };
        series.labels(&mut labels).ok();
        let mut samples = Vec::new();
        let walked = series.for_each_field(|field| {
            match field {
                SeriesField::Sample { timestamp, value } => samples.push((timestamp, value.to_bits())),
                SeriesField::Exemplar(exemplar) => drop(exemplar.read()),
                SeriesField::Histogram { .. } => {}
            }
            Ok::<_, remote_write::DecodeError>(())
        });
        if let Some(guess) = message.guess()
            && guess.label_bytes.len() == series.label_bytes().len()
            && walked.is_ok()
        {
            assert_eq!(samples, [(guess.timestamp, guess.value.to_bits())]);
        }
    }
}

/// A packet of the alert managers' membership protocol, and a change that goes along with it.
pub fn peer(data: &[u8]) {
    alert_manager::cluster::check_packet(data);
    alert_manager::cluster::check_change(data);
}

/// A text that is rendered as text and as HTML with a notification's data and functions.
pub fn template(data: &[u8]) {
    static TEMPLATES: LazyLock<(Templates, go_template::Value)> = LazyLock::new(|| (Templates::shipped(), notification()));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (templates, value) = &*TEMPLATES;
    // Whether it is one is the same for both; what it comes to need not be.
    let _ = (templates.text(text, value), templates.html(text, value));
}

fn notification() -> go_template::Value {
    let pairs = |pairs: &[(&str, &str)]| -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let alert = |status: &'static str, ends_at: Option<i64>| AlertData {
        status,
        labels: pairs(&[("alertname", "Down"), ("instance", "a<b>\"c\"")]),
        annotations: pairs(&[("summary", "It's ü & more")]),
        starts_at: Some(1_700_000_000_000_000_000),
        ends_at,
        generator_url: "http://prom/graph?a=1&b=2".to_owned(),
        fingerprint: "7eafffbd7c3e32d5".to_owned(),
    };
    let alerts = vec![alert("firing", None), alert("resolved", Some(1_700_000_100_000_000_000))];
    Data {
        receiver: "team".to_owned(),
        status: "firing",
        alerts,
        notification_reason: "first notification",
        group_labels: pairs(&[("alertname", "Down")]),
        common_labels: pairs(&[("alertname", "Down")]),
        common_annotations: pairs(&[]),
        route_labels: pairs(&[("team", "ops")]),
        ack_url: "http://am/ack".to_owned(),
        external_url: "http://am".to_owned(),
    }
    .to_value()
}

/// A configuration file of the alert manager, in each grammar of matchers.
pub fn alert_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for mode in [MatcherMode::Fallback, MatcherMode::Classic, MatcherMode::Utf8Strict] {
        if let Ok(config) = Config::parse("am.yml", text, mode) {
            // What is shown can be read again, but for what is masked.
            assert!(!config.routes.is_empty() && !config.masked.is_empty());
        }
    }
}

/// The bodies of posted alerts and silences.
pub fn alert_bodies(data: &[u8]) {
    alert_manager::api::check_bodies(data);
}
