//! A query's answer in Prometheus' JSON, part by part as the stream brings it.

use wire::metrics::query_response::Part;
use wire::metrics::{HistogramPoint, ResultType, Series};

use super::pairs;
use crate::json;

/// Writes a query's answer part by part.
pub(super) struct Writer {
    kind: ResultType,
    begun: bool,
    any: bool,
    trailer: wire::metrics::Trailer,
}

impl Writer {
    pub(super) fn new(kind: ResultType) -> Self {
        Self { kind, begun: false, any: false, trailer: wire::metrics::Trailer::default() }
    }

    fn begin(&mut self, out: &mut String) {
        if self.begun {
            return;
        }
        self.begun = true;
        let name = match self.kind {
            ResultType::Vector => "vector",
            ResultType::Scalar => "scalar",
            ResultType::String => "string",
            ResultType::Matrix | ResultType::Unspecified => "matrix",
        };
        out.push_str("{\"status\":\"success\",\"data\":{\"resultType\":\"");
        out.push_str(name);
        out.push_str("\",\"result\":[");
    }

    pub(super) fn part(&mut self, part: Option<Part>) -> String {
        let mut out = String::new();
        match part {
            Some(Part::Series(batch)) => {
                self.begin(&mut out);
                for series in &batch.series {
                    if std::mem::replace(&mut self.any, true) {
                        out.push(',');
                    }
                    self.series(&mut out, series);
                }
            }
            Some(Part::Scalar(scalar)) => {
                self.begin(&mut out);
                json::seconds(&mut out, scalar.timestamp_ms);
                out.push(',');
                json::string(&mut out, &model::format_float(scalar.value));
            }
            Some(Part::Text(text)) => {
                self.begin(&mut out);
                json::seconds(&mut out, text.timestamp_ms);
                out.push(',');
                json::string(&mut out, &text.value);
            }
            Some(Part::Trailer(trailer)) => self.trailer = trailer,
            Some(Part::Header(_)) | None => {}
        }
        out
    }

    fn series(&self, out: &mut String, series: &Series) {
        out.push_str("{\"metric\":");
        json::object(out, pairs(&series.labels));
        let samples = series.timestamps_ms.iter().copied().zip(series.values.iter().copied());
        if self.kind == ResultType::Vector {
            if let Some((ms, value)) = samples.into_iter().next() {
                out.push_str(",\"value\":");
                json::sample(out, ms, value);
            }
            if let Some(point) = series.histograms.first() {
                out.push_str(",\"histogram\":");
                histogram(out, point);
            }
        } else {
            list(out, "values", samples, |out, (ms, value)| json::sample(out, ms, value));
            list(out, "histograms", series.histograms.iter(), histogram);
        }
        out.push('}');
    }

    pub(super) fn end(mut self) -> String {
        let mut out = String::new();
        self.begin(&mut out);
        out.push_str("]}");
        for (name, texts) in [("warnings", &self.trailer.warnings), ("infos", &self.trailer.infos)] {
            if !texts.is_empty() {
                out.push_str(",\"");
                out.push_str(name);
                out.push_str("\":");
                json::strings(&mut out, texts.iter().map(String::as_str));
            }
        }
        out.push('}');
        out
    }
}

/// `,"name":[…]`, or nothing where there is no item.
fn list<T>(out: &mut String, name: &str, items: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
    let mut any = false;
    for item in items {
        if any {
            out.push(',');
        } else {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":[");
            any = true;
        }
        write(out, item);
    }
    if any {
        out.push(']');
    }
}

fn histogram(out: &mut String, point: &HistogramPoint) {
    let number = |out: &mut String, value: f64| json::string(out, &model::format_float(value));
    out.push('[');
    json::seconds(out, point.timestamp_ms);
    out.push_str(",{\"count\":");
    number(out, point.count);
    out.push_str(",\"sum\":");
    number(out, point.sum);
    list(out, "buckets", point.buckets.iter(), |out, bucket| {
        out.push('[');
        out.push_str(&bucket.boundaries.to_string());
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(',');
            number(out, value);
        }
        out.push(']');
    });
    out.push_str("}]");
}
