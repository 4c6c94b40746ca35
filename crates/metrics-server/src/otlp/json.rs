//! The same messages in JSON: names in camel case, large numbers as texts, ids in hex.

use serde_json::Value;

use wire::otlp::json::{attribute, float, hex, list, object, resource, scope, signed, text, unsigned};

use super::message::{
    Buckets, Data, Exemplar, ExemplarValue, Exponential, ExponentialPoint, ExportRequest, Gauge, Histogram,
    HistogramPoint, Metric, Number, NumberPoint, Quantile, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryPoint,
};

/// Reads a request.
pub(crate) fn parse(bytes: &[u8]) -> Result<ExportRequest, String> {
    Ok(ExportRequest { resource_metrics: list(&object(bytes)?["resourceMetrics"], resource_metrics) })
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
        resource: Some(resource(&value["resource"])),
        scope_metrics: list(&value["scopeMetrics"], |value| ScopeMetrics {
            scope: Some(scope(&value["scope"])),
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
        attributes: list(&value["attributes"], attribute),
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
        attributes: list(&value["attributes"], attribute),
        flags: unsigned(&value["flags"]) as u32,
    }
}

fn exponential_point(value: &Value) -> ExponentialPoint {
    let buckets = |value: &Value| Buckets {
        offset: signed(&value["offset"]) as i32,
        bucket_counts: list(&value["bucketCounts"], unsigned),
    };
    ExponentialPoint {
        attributes: list(&value["attributes"], attribute),
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
        attributes: list(&value["attributes"], attribute),
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
        attributes: list(&value["filteredAttributes"], attribute),
    }
}
