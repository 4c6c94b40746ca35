//! Answers in Prometheus' envelope; large ones in parts.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use promql::{Annotations, MatrixSeries, SampleValue, VectorSample};
use serde::Serialize;

use super::json;

/// How large a part of an answer grows before it is sent.
const PART_BYTES: usize = 64 << 10;
/// How many warnings, and how many infos, are shown.
const ANNOTATIONS_MAX: usize = 10;

/// `{"status":"success","data":…}`
pub(crate) fn success(data: &impl Serialize) -> Response {
    success_with(data, &Annotations::default())
}

/// The same with warnings and infos.
pub(crate) fn success_with(data: &impl Serialize, annotations: &Annotations) -> Response {
    let mut body = b"{\"status\":\"success\",\"data\":".to_vec();
    // What is given here is made of maps with text keys: it can always be written.
    serde_json::to_writer(&mut body, data).ok();
    body.extend_from_slice(&tail(annotations));
    respond(Body::from(body))
}

/// The same for data that is JSON already.
pub(crate) fn success_raw(data: &[u8], annotations: &Annotations) -> Response {
    let mut body = b"{\"status\":\"success\",\"data\":".to_vec();
    body.extend_from_slice(data);
    body.extend_from_slice(&tail(annotations));
    respond(Body::from(body))
}

/// One element of a vector or a matrix.
#[derive(Debug)]
pub(crate) enum Row {
    Sample(VectorSample),
    Series(MatrixSeries),
}

/// The answer to a query, written row by row while it is sent. `after` follows the rows within `data`.
pub(crate) fn stream(
    result_type: &str,
    rows: impl Iterator<Item = Row> + Send + 'static,
    after: &[u8],
    annotations: &Annotations,
) -> Response {
    let head = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{result_type}\",\"result\":[");
    let mut end = b"]".to_vec();
    end.extend_from_slice(after);
    end.push(b'}');
    end.extend_from_slice(&tail(annotations));
    let mut parts = Parts { rows, part: head.into_bytes(), end: Some(end), is_first: true };
    let first = parts.next().map_or_else(Bytes::new, |Ok(part)| part);
    if parts.end.is_none() {
        // All there is: sent with its length, in one piece.
        return respond(Body::from(first));
    }
    respond(Body::from_stream(futures::stream::iter(std::iter::once(Ok(first)).chain(parts))))
}

struct Parts<I> {
    rows: I,
    part: Vec<u8>,
    end: Option<Vec<u8>>,
    is_first: bool,
}

impl<I: Iterator<Item = Row>> Iterator for Parts<I> {
    type Item = Result<Bytes, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.part.len() < PART_BYTES {
            let Some(row) = self.rows.next() else {
                let end = self.end.take()?;
                self.part.extend_from_slice(&end);
                break;
            };
            if !std::mem::take(&mut self.is_first) {
                self.part.push(b',');
            }
            write_row(&mut self.part, &row);
        }
        Some(Ok(Bytes::from(std::mem::take(&mut self.part))))
    }
}

fn write_row(out: &mut Vec<u8>, row: &Row) {
    out.extend_from_slice(b"{\"metric\":");
    match row {
        Row::Sample(sample) => {
            json::labels(out, &sample.labels);
            match &sample.value {
                SampleValue::Float(value) => {
                    out.extend_from_slice(b",\"value\":");
                    json::point(out, sample.timestamp, *value);
                }
                SampleValue::Histogram(histogram) => {
                    out.extend_from_slice(b",\"histogram\":");
                    json::histogram_point(out, sample.timestamp, histogram);
                }
            }
        }
        Row::Series(series) => {
            json::labels(out, &series.labels);
            if !series.floats.is_empty() {
                out.extend_from_slice(b",\"values\":");
                list(out, &series.floats, |out, (at, value)| json::point(out, *at, *value));
            }
            if !series.histograms.is_empty() {
                out.extend_from_slice(b",\"histograms\":");
                list(out, &series.histograms, |out, (at, histogram)| {
                    json::histogram_point(out, *at, histogram)
                });
            }
        }
    }
    out.push(b'}');
}

/// Writes a list.
pub(crate) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (idx, item) in items.iter().enumerate() {
        if idx > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Warnings and infos after the data, and the end.
fn tail(annotations: &Annotations) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, texts) in [("warnings", &annotations.warnings), ("infos", &annotations.infos)] {
        if texts.is_empty() {
            continue;
        }
        let mut shown: Vec<String> = texts.iter().take(ANNOTATIONS_MAX).cloned().collect();
        if texts.len() > ANNOTATIONS_MAX {
            let kind = name.trim_end_matches('s');
            shown.push(format!("{} more {kind} annotations omitted", texts.len() - ANNOTATIONS_MAX));
        }
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        list(&mut out, &shown, |out, text| json::string(out, text));
    }
    out.push(b'}');
    out
}

fn respond(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
