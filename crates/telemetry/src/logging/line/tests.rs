//! Lines as they come out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::format_timestamp;
use crate::{Format, LogFormat, LogOptions, Logging, Registry};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn options(format: LogFormat) -> LogOptions {
    LogOptions { format, level: "info".to_owned(), service_name: "t".to_owned(), otlp_endpoint: None }
}

/// What is written, without the times.
fn logged(format: LogFormat, write: impl FnOnce(&Logging)) -> Vec<String> {
    let sink = Sink::default();
    let writer = sink.clone();
    let (logging, dispatch) = Logging::build(&options(format), move || Box::new(writer.clone())).unwrap();
    tracing::dispatcher::with_default(&dispatch, || write(&logging));
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    text.lines().map(|line| line[line.find("level").unwrap()..].to_owned()).collect()
}

#[test]
fn events_are_written_in_both_forms() {
    let write = |_: &Logging| {
        let error = io::Error::other("disk \"x\"\nis gone");
        tracing::warn!(error = &error as &dyn std::error::Error, count = 3, path = "/a b", "write failed");
        tracing::debug!("not at this level");
    };
    assert_eq!(
        logged(LogFormat::Logfmt, write),
        [
            "level=warn target=telemetry::logging::line::tests msg=\"write failed\" error=\"disk \\\"x\\\"\\nis gone\" count=3 path=\"/a b\""
        ]
    );
    assert_eq!(
        logged(LogFormat::Json, write),
        [
            "level\":\"warn\",\"target\":\"telemetry::logging::line::tests\",\"msg\":\"write failed\",\"error\":\"disk \\\"x\\\"\\nis gone\",\"count\":3,\"path\":\"/a b\"}"
        ]
    );
}

#[test]
fn the_level_changes_at_run_time_and_repeats_are_counted() {
    let registry = Registry::new();
    let lines = logged(LogFormat::Logfmt, |logging| {
        logging.register_metrics(&registry);
        for _ in 0..10 {
            tracing::info!("again");
        }
        logging.set_level("debug").unwrap();
        tracing::debug!("seen now");
        assert!(logging.set_level("loud").is_err());
    });
    assert_eq!(lines.len(), 4, "{lines:?}");
    let text = registry.render(Format::Prometheus);
    assert!(text.contains("log_messages_total{level=\"info\"} 10\n"), "{text}");
    assert!(text.contains("log_messages_suppressed_total 7\n"), "{text}");
}

#[test]
fn timestamps_are_rfc_3339() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (4_107_542_399, "2100-02-28T23:59:59.000Z"),
    ] {
        assert_eq!(format_timestamp(Duration::from_secs(seconds)), text);
    }
}
