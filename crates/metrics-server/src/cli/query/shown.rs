//! Answers of the API as promtool prints them.

use model::{Labels, Quoted};
use serde_json::Value;

/// A query's result, without a line's end.
pub(super) fn result(data: &Value) -> String {
    let result = &data["result"];
    let empty = Vec::new();
    let rows = result.as_array().unwrap_or(&empty);
    match data["resultType"].as_str() {
        Some("scalar") => format!("scalar: {}", point(result)),
        Some("string") => result[1].as_str().unwrap_or_default().to_owned(),
        Some("vector") => lines(rows.iter().map(|row| {
            let value = match &row["histogram"] {
                Value::Null => point(&row["value"]),
                found => histogram_point(found),
            };
            format!("{} => {value}", metric(&row["metric"]))
        })),
        _ => lines(rows.iter().map(|row| {
            let floats = row["values"].as_array().unwrap_or(&empty).iter().map(point);
            let histograms = row["histograms"].as_array().unwrap_or(&empty).iter().map(histogram_point);
            format!("{} =>\n{}", metric(&row["metric"]), lines(floats.chain(histograms)))
        })),
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn point(point: &Value) -> String {
    format!("{} @[{}]", point[1].as_str().unwrap_or_default(), time(&point[0]))
}

/// Seconds without zeros at the end.
fn time(value: &Value) -> String {
    value.as_f64().map_or_else(|| value.to_string(), |seconds| seconds.to_string())
}

fn histogram_point(point: &Value) -> String {
    let histogram = &point[1];
    let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    let buckets = histogram["buckets"].as_array().into_iter().flatten().map(|bucket| {
        let boundaries = bucket[0].as_u64().unwrap_or(0);
        let (open, close) = (
            if matches!(boundaries, 1 | 3) { '[' } else { '(' },
            if matches!(boundaries, 0 | 3) { ']' } else { ')' },
        );
        format!(
            "{open}{},{}{close}:{}",
            float(number(&bucket[1])),
            float(number(&bucket[2])),
            bucket[3].as_str().unwrap_or_default()
        )
    });
    let buckets = buckets.collect::<Vec<_>>().join(" ");
    format!(
        "Count: {:.6}, Sum: {:.6}, Buckets: [{buckets}] @[{}]",
        number(&histogram["count"]),
        number(&histogram["sum"]),
        time(&point[0])
    )
}

/// A float as Go's `%g` writes it.
fn float(value: f64) -> String {
    let mut text = String::new();
    exposition::format_g(&mut text, value);
    text
}

/// Labels as `name{a="b"}`.
pub(super) fn metric(value: &Value) -> String {
    let empty = serde_json::Map::new();
    let labels = value.as_object().unwrap_or(&empty);
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    Labels::from_pairs(pairs).to_string()
}

/// Labels as `{__name__="name", a="b"}`.
pub(super) fn label_set(value: &Value) -> String {
    let labels = value.as_object().into_iter().flatten();
    let mut pairs: Vec<String> = labels
        .map(|(name, value)| format!("{name}={}", Quoted(value.as_str().unwrap_or_default())))
        .collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_lines() {
        for (answer, expected) in [
            (r#"{"resultType":"scalar","result":[1.5,"2"]}"#, "scalar: 2 @[1.5]"),
            (r#"{"resultType":"string","result":[1,"a"]}"#, "a"),
            (
                r#"{"resultType":"vector","result":[{"metric":{"__name__":"a","b":"c"},"value":[10.000,"1"]}]}"#,
                "a{b=\"c\"} => 1 @[10]",
            ),
            (
                r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[2,"3"]]}]}"#,
                "{} =>\n2 @[1]\n3 @[2]",
            ),
            (
                r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3","sum":"4.5","buckets":[[0,"1","2","3"]]}]}]}"#,
                "{} => Count: 3.000000, Sum: 4.500000, Buckets: [(1,2]:3] @[1]",
            ),
        ] {
            assert_eq!(result(&serde_json::from_str(answer).expect("JSON")), expected);
        }
    }
}
