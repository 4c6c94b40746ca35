//! Answers as JSON. The order of keys is part of the contract: Grafana reads `data` as a stream.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use logql::{MetricAnswer, Point, QueryStats, ResultStream};
use model::{Labels, format_float};
use serde_json::json;

/// An answer of JSON.
pub(super) fn json(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    response
}

/// Lines.
pub(super) fn streams(
    streams: &[ResultStream],
    categorizes: bool,
    stats: &QueryStats,
    took: Duration,
) -> String {
    let mut out = String::from(r#"{"status":"success","#);
    push_warnings(&mut out, stats);
    out.push_str(r#""data":{"resultType":"streams","#);
    if categorizes {
        out.push_str(r#""encodingFlags":["categorize-labels"],"#);
    }
    out.push_str(r#""result":"#);
    push_streams(&mut out, streams, categorizes);
    push_stats(&mut out, stats, took);
    out.push_str("}}");
    out
}

/// What a client is to know of an answer that is not whole.
fn push_warnings(out: &mut String, stats: &QueryStats) {
    let damaged = stats.scan.blocks_damaged;
    if damaged > 0 {
        out.push_str(&format!(
            r#""warnings":["{damaged} damaged blocks were left out: lines are missing"],"#
        ));
    }
}

/// The list of streams, as answers and tails have it.
pub(super) fn push_streams(out: &mut String, streams: &[ResultStream], categorizes: bool) {
    out.push('[');
    for (idx, stream) in streams.iter().enumerate() {
        if idx > 0 {
            out.push(',');
        }
        out.push_str(r#"{"stream":"#);
        push_pairs(out, stream.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        out.push_str(r#","values":["#);
        for (idx, entry) in stream.entries.iter().enumerate() {
            if idx > 0 {
                out.push(',');
            }
            out.push_str(&format!("[\"{}\",", entry.timestamp));
            push_text(out, &entry.line);
            if categorizes {
                push_categories(out, &entry.structured_metadata, &entry.parsed);
            }
            out.push(']');
        }
        out.push_str("]}");
    }
    out.push(']');
}

/// The third element of an entry: always there, with what is not empty.
fn push_categories(out: &mut String, metadata: &[(String, String)], parsed: &[(String, String)]) {
    out.push_str(",{");
    let mut separator = "";
    for (key, pairs) in [("structuredMetadata", metadata), ("parsed", parsed)] {
        if !pairs.is_empty() {
            out.push_str(&format!("{separator}\"{key}\":"));
            push_pairs(out, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            separator = ",";
        }
    }
    out.push('}');
}

/// Numbers.
pub(super) fn metric(answer: &MetricAnswer, stats: &QueryStats, took: Duration) -> String {
    let kind = match answer {
        MetricAnswer::Scalar(_) => "scalar",
        MetricAnswer::Vector(_) => "vector",
        MetricAnswer::Matrix(_) => "matrix",
    };
    let mut out = String::from(r#"{"status":"success","#);
    push_warnings(&mut out, stats);
    out.push_str(&format!(r#""data":{{"resultType":"{kind}","result":"#));
    match answer {
        MetricAnswer::Scalar(point) => push_point(&mut out, *point),
        MetricAnswer::Vector(points) => {
            out.push('[');
            for (idx, (labels, point)) in points.iter().enumerate() {
                out.push_str(if idx > 0 { "," } else { "" });
                push_metric(&mut out, labels);
                out.push_str(r#","value":"#);
                push_point(&mut out, *point);
                out.push('}');
            }
            out.push(']');
        }
        MetricAnswer::Matrix(series) => {
            out.push('[');
            for (idx, series) in series.iter().enumerate() {
                out.push_str(if idx > 0 { "," } else { "" });
                push_metric(&mut out, &series.labels);
                out.push_str(r#","values":["#);
                for (idx, point) in series.points.iter().enumerate() {
                    out.push_str(if idx > 0 { "," } else { "" });
                    push_point(&mut out, *point);
                }
                out.push_str("]}");
            }
            out.push(']');
        }
    }
    push_stats(&mut out, stats, took);
    out.push_str("}}");
    out
}

fn push_metric(out: &mut String, labels: &Labels) {
    out.push_str(r#"{"metric":"#);
    push_pairs(out, labels.iter());
}

/// `[seconds, "value"]`
fn push_point(out: &mut String, point: Point) {
    let (seconds, millis) = (point.timestamp.div_euclid(1000), point.timestamp.rem_euclid(1000));
    let time = if millis == 0 {
        seconds.to_string()
    } else {
        format!("{seconds}.{millis:03}").trim_end_matches('0').to_owned()
    };
    out.push_str(&format!("[{time},\"{}\"]", format_float(point.value)));
}

pub(super) fn push_pairs<'p>(out: &mut String, pairs: impl Iterator<Item = (&'p str, &'p str)>) {
    out.push('{');
    for (idx, (name, value)) in pairs.enumerate() {
        if idx > 0 {
            out.push(',');
        }
        push_text(out, name);
        out.push(':');
        push_text(out, value);
    }
    out.push('}');
}

/// A JSON string.
pub(super) fn push_text(out: &mut String, text: &str) {
    if text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\') {
        out.push_str(&serde_json::Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// `,"stats":{…}` with every key that clients know.
pub(super) fn push_stats(out: &mut String, stats: &QueryStats, took: Duration) {
    let scan = &stats.scan;
    let seconds = took.as_secs_f64();
    let per_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    let store = |lines: u64, bytes: u64, chunks: u64| {
        json!({
            "totalChunksRef": chunks,
            "totalChunksDownloaded": chunks,
            "chunksDownloadTime": 0,
            "queryReferencedStructuredMetadata": false,
            "chunk": {
                "headChunkBytes": 0,
                "headChunkLines": 0,
                "decompressedBytes": bytes,
                "decompressedLines": lines,
                "compressedBytes": 0,
                "totalDuplicates": 0,
                "postFilterLines": if lines > 0 { stats.lines_matched } else { 0 },
                "headChunkStructuredMetadataBytes": 0,
                "decompressedStructuredMetadataBytes": 0,
            },
        })
    };
    let cache = json!({
        "entriesFound": 0, "entriesRequested": 0, "entriesStored": 0, "bytesReceived": 0, "bytesSent": 0,
        "requests": 0, "downloadTime": 0, "queryLengthServed": 0,
    });
    let body = json!({
        "summary": {
            "bytesProcessedPerSecond": per_second(scan.bytes_scanned),
            "linesProcessedPerSecond": per_second(scan.entries_scanned),
            "totalBytesProcessed": scan.bytes_scanned,
            "totalLinesProcessed": scan.entries_scanned,
            "execTime": seconds,
            "queueTime": 0,
            "subqueries": 0,
            "totalEntriesReturned": stats.entries_returned,
            "splits": 1,
            "shards": 0,
            "totalPostFilterLines": stats.lines_matched,
            "totalStructuredMetadataBytesProcessed": 0,
        },
        "querier": { "store": store(scan.entries_scanned, scan.bytes_scanned, scan.blocks_read) },
        "ingester": {
            "totalReached": 0, "totalChunksMatched": 0, "totalBatches": 0, "totalLinesSent": 0,
            "store": store(0, 0, 0),
        },
        "cache": {
            "chunk": cache, "index": cache, "result": cache, "statsResult": cache, "volumeResult": cache,
            "seriesResult": cache, "labelResult": cache, "instantMetricResult": cache,
        },
        "index": { "totalChunks": scan.blocks_read + scan.blocks_skipped, "postFilterChunks": scan.blocks_read, "shardsDuration": 0 },
    });
    out.push_str(",\"stats\":");
    out.push_str(&body.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_values_are_written_as_prometheus_does() {
        for (timestamp, value, text) in [
            (4000, 2.0, r#"[4,"2"]"#),
            (4500, f64::NAN, r#"[4.5,"NaN"]"#),
            (4_001, f64::INFINITY, r#"[4.001,"+Inf"]"#),
        ] {
            let mut out = String::new();
            push_point(&mut out, Point { timestamp, value });
            assert_eq!(out, text);
        }
    }

    #[test]
    fn categories_are_an_object_even_when_empty() {
        let pairs = [("a".to_owned(), "\"1\"".to_owned())];
        for (metadata, parsed, text) in [
            (&[][..], &[][..], ",{}"),
            (&pairs[..], &[][..], r#",{"structuredMetadata":{"a":"\"1\""}}"#),
            (&pairs[..], &pairs[..], r#",{"structuredMetadata":{"a":"\"1\""},"parsed":{"a":"\"1\""}}"#),
        ] {
            let mut out = String::new();
            push_categories(&mut out, metadata, parsed);
            assert_eq!(out, text);
        }
    }
}
