//! `push metrics`: an exposition file as one remote write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use exposition::{Entry, Format, MetadataKind, ParseOptions, Parser};
use http_client::{HeaderValue, Request, Url};
use model::{LabelsBuilder, MetricMetadata, TimestampMs, parse_duration_ms};
use remote_write::{OutgoingSeries, encode_metadata_v1, encode_v1, encode_v2};
use service::Failure;

use super::client::{Client, ClientFlags, parse_server};
use super::console::{FAILED, complain, now_ms, parse_pair, print, read_input};

const INPUT_BYTES_MAX: u64 = 1 << 30;
const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// `push`
#[derive(Debug, Subcommand)]
pub enum PushCommand {
    /// Send metrics in the text format or OpenMetrics by remote write, for tests
    Metrics(PushFlags),
}

/// `push metrics`
#[derive(Args, Clone, Debug)]
pub struct PushFlags {
    /// The server's URL, with or without the path of its remote write
    #[arg(value_parser = parse_server)]
    url: Url,
    /// The files; the standard input where none is given
    files: Vec<PathBuf>,
    /// Label of all series, as NAME=VALUE; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_pair, default_value = "job=promtool")]
    labels: Vec<(String, String)>,
    /// How long the server may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// The message that is sent
    #[arg(long = "protobuf_message", default_value = V1, value_parser = [V1, V2])]
    message: String,
    /// The path of remote write, where the URL has none
    #[arg(long = "remote-write.path", value_name = "PATH", default_value = "api/v1/write")]
    path: String,
    #[command(flatten)]
    client: ClientFlags,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration_ms(text)
        .map(|ms| Duration::from_millis(ms.unsigned_abs()))
        .map_err(|error| error.to_string())
}

/// What a body says.
#[derive(Debug, Default)]
struct Body {
    series: Vec<OutgoingSeries>,
    metadata: BTreeMap<String, MetricMetadata>,
}

impl PushCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self::Metrics(flags) = self;
        let client = Client::new(flags.url.clone(), &flags.client)?;
        let mut has_failed = false;
        if flags.files.is_empty() {
            let input = read_input(INPUT_BYTES_MAX)?;
            print("Parsing standard input\n")?;
            match flags.push(&client, &input).await {
                Ok(()) => print("  SUCCESS: metrics pushed to remote write.\n")?,
                Err(failure) => has_failed = told(&failure),
            }
        }
        for file in &flags.files {
            let shown = file.display();
            let read = std::fs::read(file).map_err(|error| Failure::runtime(format!("{shown}: {error}")));
            let input = match read {
                Ok(input) => input,
                Err(failure) => {
                    has_failed = told(&failure);
                    continue;
                }
            };
            print(&format!("Parsing metrics file {shown}\n"))?;
            match flags.push(&client, &input).await {
                Ok(()) => print(&format!("  SUCCESS: metrics file {shown} pushed to remote write.\n"))?,
                Err(failure) => has_failed = told(&failure),
            }
        }
        if has_failed { Err(Failure::told(FAILED)) } else { Ok(()) }
    }
}

fn told(failure: &Failure) -> bool {
    complain(&format!("  FAILED: {failure}\n"));
    true
}

impl PushFlags {
    async fn push(&self, client: &Client, input: &[u8]) -> Result<(), Failure> {
        let body = read_body(input, &self.labels, now_ms())?;
        let is_v2 = self.message == V2;
        let message = if is_v2 {
            encode_v2(&body.series)
        } else {
            let metadata: Vec<(String, MetricMetadata)> = body.metadata.into_iter().collect();
            let mut message = encode_v1(&body.series);
            // A message's fields may follow one another in any order.
            message.extend_from_slice(&encode_metadata_v1(&metadata));
            message
        };
        let compressed = snap::raw::Encoder::new().compress_vec(&message).map_err(Failure::runtime)?;
        let url = match self.url.path() {
            "" | "/" => client.url(self.path.trim_start_matches('/')),
            _ => self.url.clone(),
        };
        let mut request = Request::post(url, self.timeout, "application/x-protobuf", compressed);
        let version = if is_v2 {
            let kind =
                HeaderValue::from_static("application/x-protobuf;proto=io.prometheus.write.v2.Request");
            request.headers.insert("content-type", kind);
            "2.0.0"
        } else {
            "0.1.0"
        };
        request.headers.insert("content-encoding", HeaderValue::from_static("snappy"));
        request.headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static(version));
        let (status, answer) = client.send(request).await?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&answer[..answer.len().min(500)]).into_owned();
            return Err(Failure::runtime(format!("server returned HTTP status {status}: {}", text.trim())));
        }
        Ok(())
    }
}

/// Reads a body; samples without a time get `now`.
fn read_body(input: &[u8], labels: &[(String, String)], now: TimestampMs) -> Result<Body, Failure> {
    let is_open_metrics = input.trim_ascii_end().ends_with(b"# EOF");
    let format = if is_open_metrics { Format::OpenMetrics100 } else { Format::Text004 };
    let mut parser = Parser::new(input, format, ParseOptions::default());
    let mut body = Body::default();
    let mut builder = LabelsBuilder::new();
    while let Some(entry) = parser.next_entry().map_err(Failure::runtime)? {
        match entry {
            Entry::Metadata { family, kind } => {
                let metadata = body.metadata.entry(family.into_owned()).or_default();
                match kind {
                    MetadataKind::Help(help) => metadata.help = help.into_owned(),
                    MetadataKind::Type(kind) => metadata.kind = kind,
                    MetadataKind::Unit(unit) => metadata.unit = unit.into_owned(),
                }
            }
            Entry::Sample(sample) => {
                sample.series.labels(&mut builder).map_err(Failure::runtime)?;
                for (name, value) in labels {
                    builder.set(name, value);
                }
                body.series.push(OutgoingSeries {
                    labels: Some(builder.build()),
                    samples: vec![(sample.timestamp.unwrap_or(now), sample.value)],
                    ..OutgoingSeries::default()
                });
            }
            Entry::Histogram(_) => {}
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_becomes_series() {
        let text = b"# HELP a Help.\n# TYPE a counter\na{b=\"c\"} 2\nd 3 5000\n";
        let body = read_body(text, &[("job".to_owned(), "x".to_owned())], 7).expect("valid");
        let found: Vec<_> = body
            .series
            .iter()
            .map(|series| {
                (series.labels.as_ref().map(ToString::to_string).unwrap_or_default(), series.samples[0])
            })
            .collect();
        assert_eq!(
            found,
            [("a{b=\"c\", job=\"x\"}".to_owned(), (7, 2.0)), ("d{job=\"x\"}".to_owned(), (5000, 3.0))]
        );
        assert_eq!(body.metadata["a"].help, "Help.");
    }
}
