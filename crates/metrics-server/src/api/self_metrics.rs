//! `/api/v1/status/self_metrics`: the server's own metrics as JSON, in the shape that protobuf's JSON mapping gives them.

use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use go_regex::Regex;
use serde_json::{Value, json};
use telemetry::{Collected, Kind, Sample};

use super::answer;
use super::error::ApiError;
use super::params::Params;
use crate::state::State;

pub(crate) async fn self_metrics(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let pattern = params.non_empty("metric_name_pattern").map(Regex::anchored).transpose();
    let pattern = pattern.map_err(|error| ApiError::invalid_parameter("metric_name_pattern", error))?;
    let registry = state.lifecycle.registry().clone();
    // Some values are read from files.
    let gathered = tokio::task::spawn_blocking(move || registry.gather()).await;
    let families = gathered.map_err(|error| ApiError::internal(error.to_string()))?;
    let wanted = |family: &&Collected| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&family.name));
    let shown: Vec<Value> = families.iter().filter(wanted).map(family_json).collect();
    Ok(answer::success(&shown))
}

fn family_json(family: &Collected) -> Value {
    let metrics: Vec<Value> =
        family.samples.iter().map(|(labels, sample)| metric_json(family.kind, labels, sample)).collect();
    json!({
        "name": family.name,
        "help": family.help,
        "type": family.kind.as_str().to_ascii_uppercase(),
        "metric": metrics,
    })
}

fn metric_json(kind: Kind, labels: &[(String, String)], sample: &Sample) -> Value {
    let mut metric = serde_json::Map::new();
    if !labels.is_empty() {
        let pairs = labels.iter().map(|(name, value)| json!({ "name": name, "value": value }));
        metric.insert("label".to_owned(), pairs.collect());
    }
    let value = match sample {
        Sample::Number(value) => json!({ "value": number(*value) }),
        Sample::Histogram { buckets, sum } => {
            let count = buckets.last().map_or(0, |(_, count)| *count);
            let finite = buckets.iter().filter(|(bound, _)| bound.is_finite());
            let buckets = finite.map(
                |(bound, count)| json!({ "cumulativeCount": count.to_string(), "upperBound": number(*bound) }),
            );
            json!({
                "sampleCount": count.to_string(),
                "sampleSum": number(*sum),
                "bucket": buckets.collect::<Vec<_>>(),
            })
        }
        Sample::Summary { quantiles, sum, count } => {
            let quantiles = quantiles
                .iter()
                .map(|(quantile, value)| json!({ "quantile": number(*quantile), "value": number(*value) }));
            json!({
                "sampleCount": count.to_string(),
                "sampleSum": number(*sum),
                "quantile": quantiles.collect::<Vec<_>>(),
            })
        }
    };
    metric.insert(kind.as_str().to_owned(), value);
    Value::Object(metric)
}

/// What JSON has no number for is written as text.
fn number(value: f64) -> Value {
    if value.is_nan() {
        return json!("NaN");
    }
    if value.is_infinite() {
        return json!(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    json!(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_shape_of_protobuf() {
        let registry = telemetry::Registry::new();
        registry.counter_family("c_total", "Counts.", &["a"]).with(&["b"]).inc();
        registry.gauge("g", "Is.").set(f64::INFINITY);
        registry.histogram("h", "Spreads.", &[1.0]).observe(2.0);
        let found: Vec<Value> = registry.gather().iter().map(family_json).collect();
        let expected = json!([
            {"name": "c_total", "help": "Counts.", "type": "COUNTER",
             "metric": [{"label": [{"name": "a", "value": "b"}], "counter": {"value": 1.0}}]},
            {"name": "g", "help": "Is.", "type": "GAUGE", "metric": [{"gauge": {"value": "Infinity"}}]},
            {"name": "h", "help": "Spreads.", "type": "HISTOGRAM", "metric": [{"histogram": {
                "sampleCount": "1", "sampleSum": 2.0, "bucket": [{"cumulativeCount": "0", "upperBound": 1.0}]}}]},
        ]);
        assert_eq!(Value::Array(found), expected);
    }
}
