//! The same messages in JSON: names in camel case, large numbers as texts, ids in hex.

use serde_json::Value;

use super::message::{
    Any, AnyValue, Array, Buckets, Data, Exemplar, ExemplarValue, Exponential, ExponentialPoint,
    ExportRequest, Gauge, Histogram, HistogramPoint, KeyValue, Map, Metric, Number, NumberPoint, Quantile,
    Resource, ResourceMetrics, Scope, ScopeMetrics, Sum, Summary, SummaryPoint,
};

/// Reads a request.
pub(crate) fn parse(bytes: &[u8]) -> Result<ExportRequest, String> {
    let root: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !root.is_object() {
        return Err("an object is expected".to_owned());
    }
    Ok(ExportRequest { resource_metrics: list(&root["resourceMetrics"], resource_metrics) })
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().map(|items| items.iter().map(item).collect()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn unsigned(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn signed(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| match value.as_str()? {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    })
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect::<Option<_>>().unwrap_or_default()
}

fn temporality(value: &Value) -> i32 {
    match value.as_str() {
        Some("AGGREGATION_TEMPORALITY_DELTA") => super::message::DELTA,
        Some("AGGREGATION_TEMPORALITY_CUMULATIVE") => super::message::CUMULATIVE,
        _ => signed(value) as i32,
    }
}

fn resource_metrics(value: &Value) -> ResourceMetrics {
    ResourceMetrics {
        resource: Some(Resource { attributes: list(&value["resource"]["attributes"], pair) }),
        scope_metrics: list(&value["scopeMetrics"], |value| ScopeMetrics {
            scope: Some(Scope {
                name: text(&value["scope"]["name"]),
                version: text(&value["scope"]["version"]),
                attributes: list(&value["scope"]["attributes"], pair),
            }),
            metrics: list(&value["metrics"], metric),
            schema_url: text(&value["schemaUrl"]),
        }),
    }
}

fn metric(value: &Value) -> Metric {
    let (name, description, unit) = (text(&value["name"]), text(&value["description"]), text(&value["unit"]));
    let points = |kind: &str| &value[kind]["dataPoints"];
    let of = |kind: &str| temporality(&value[kind]["aggregationTemporality"]);
    let has = |kind: &str| value.get(kind).is_some();
    let data = match () {
        () if has("gauge") => Some(Data::Gauge(Gauge { data_points: list(points("gauge"), number_point) })),
        () if has("sum") => Some(Data::Sum(Sum {
            data_points: list(points("sum"), number_point),
            temporality: of("sum"),
            is_monotonic: value["sum"]["isMonotonic"].as_bool().unwrap_or(false),
        })),
        () if has("histogram") => Some(Data::Histogram(Histogram {
            data_points: list(points("histogram"), histogram_point),
            temporality: of("histogram"),
        })),
        () if has("exponentialHistogram") => Some(Data::Exponential(Exponential {
            data_points: list(points("exponentialHistogram"), exponential_point),
            temporality: of("exponentialHistogram"),
        })),
        () if has("summary") => {
            Some(Data::Summary(Summary { data_points: list(points("summary"), summary_point) }))
        }
        () => None,
    };
    Metric { name, description, unit, data }
}

fn number_point(value: &Value) -> NumberPoint {
    let double = float(&value["asDouble"]).map(Number::Double);
    NumberPoint {
        time_ns: unsigned(&value["timeUnixNano"]),
        value: double.or_else(|| value.get("asInt").map(|number| Number::Int(signed(number)))),
        exemplars: list(&value["exemplars"], exemplar),
        attributes: list(&value["attributes"], pair),
        flags: unsigned(&value["flags"]) as u32,
    }
}

fn histogram_point(value: &Value) -> HistogramPoint {
    HistogramPoint {
        time_ns: unsigned(&value["timeUnixNano"]),
        count: unsigned(&value["count"]),
        sum: float(&value["sum"]),
        bucket_counts: list(&value["bucketCounts"], unsigned),
        explicit_bounds: list(&value["explicitBounds"], |bound| float(bound).unwrap_or(0.0)),
        exemplars: list(&value["exemplars"], exemplar),
        attributes: list(&value["attributes"], pair),
        flags: unsigned(&value["flags"]) as u32,
    }
}

fn exponential_point(value: &Value) -> ExponentialPoint {
    let buckets = |value: &Value| Buckets {
        offset: signed(&value["offset"]) as i32,
        bucket_counts: list(&value["bucketCounts"], unsigned),
    };
    ExponentialPoint {
        attributes: list(&value["attributes"], pair),
        time_ns: unsigned(&value["timeUnixNano"]),
        count: unsigned(&value["count"]),
        sum: float(&value["sum"]),
        scale: signed(&value["scale"]) as i32,
        zero_count: unsigned(&value["zeroCount"]),
        positive: value.get("positive").map(buckets),
        negative: value.get("negative").map(buckets),
        flags: unsigned(&value["flags"]) as u32,
        exemplars: list(&value["exemplars"], exemplar),
        zero_threshold: float(&value["zeroThreshold"]).unwrap_or(0.0),
    }
}

fn summary_point(value: &Value) -> SummaryPoint {
    SummaryPoint {
        time_ns: unsigned(&value["timeUnixNano"]),
        count: unsigned(&value["count"]),
        sum: float(&value["sum"]).unwrap_or(0.0),
        quantiles: list(&value["quantileValues"], |value| Quantile {
            quantile: float(&value["quantile"]).unwrap_or(0.0),
            value: float(&value["value"]).unwrap_or(0.0),
        }),
        attributes: list(&value["attributes"], pair),
        flags: unsigned(&value["flags"]) as u32,
    }
}

fn exemplar(value: &Value) -> Exemplar {
    let double = float(&value["asDouble"]).map(ExemplarValue::Double);
    Exemplar {
        time_ns: unsigned(&value["timeUnixNano"]),
        value: double.or_else(|| value.get("asInt").map(|number| ExemplarValue::Int(signed(number)))),
        span_id: hex(&value["spanId"]),
        trace_id: hex(&value["traceId"]),
        attributes: list(&value["filteredAttributes"], pair),
    }
}

fn pair(value: &Value) -> KeyValue {
    KeyValue { key: text(&value["key"]), value: value.get("value").map(any) }
}

fn any(value: &Value) -> AnyValue {
    let (name, held) = match value.as_object().and_then(|object| object.iter().next()) {
        Some((name, held)) => (name.as_str(), held),
        None => return AnyValue::default(),
    };
    let value = match name {
        "stringValue" | "bytesValue" => Some(Any::Text(text(held))),
        "boolValue" => held.as_bool().map(Any::Bool),
        "intValue" => Some(Any::Int(signed(held))),
        "doubleValue" => float(held).map(Any::Double),
        "arrayValue" => Some(Any::Array(Array { values: list(&held["values"], any) })),
        "kvlistValue" => Some(Any::Map(Map { values: list(&held["values"], pair) })),
        _ => None,
    };
    AnyValue { value }
}
