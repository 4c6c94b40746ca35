//! Answers on the terminal.

use std::io::Write;

use model::format_rfc3339_ns;
use serde_json::{Map, Value, json};
use service::Failure;

use super::Output;

/// Writes text to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::runtime),
    }
}

/// The lines of a list of streams, in order of time.
pub(super) fn lines(streams: &Value, output: Output, forward: bool) -> String {
    let mut all: Vec<(i64, &Value, &str)> = Vec::new();
    for stream in streams.as_array().into_iter().flatten() {
        for value in stream["values"].as_array().into_iter().flatten() {
            let at = value[0].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
            all.push((at, &stream["stream"], value[1].as_str().unwrap_or("")));
        }
    }
    all.sort_by_key(|(at, _, _)| if forward { *at } else { -*at });
    all.iter().map(|(at, labels, line)| one_line(*at, labels, line, output)).collect()
}

fn one_line(at: i64, labels: &Value, line: &str, output: Output) -> String {
    match output {
        Output::Raw => format!("{line}\n"),
        Output::Default => format!("{} {} {line}\n", format_rfc3339_ns(at), label_text(labels)),
        Output::Jsonl | Output::Json => {
            format!("{}\n", json!({ "timestamp": format_rfc3339_ns(at), "labels": labels, "line": line }))
        }
    }
}

/// Labels as a selector has them.
pub(super) fn label_text(labels: &Value) -> String {
    let empty = Map::new();
    let pairs = labels.as_object().unwrap_or(&empty).iter();
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={:?}", value.as_str().unwrap_or(""))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The points of a vector, a matrix or a scalar.
pub(super) fn points(data: &Value) -> String {
    let point = |point: &Value| {
        let seconds = point[0].as_f64().unwrap_or(0.0);
        format!(
            "{} {}\n",
            format_rfc3339_ns((seconds * 1000.0) as i64 * 1_000_000),
            point[1].as_str().unwrap_or("")
        )
    };
    if data["resultType"] == "scalar" {
        return point(&data["result"]);
    }
    let mut out = String::new();
    for series in data["result"].as_array().into_iter().flatten() {
        out.push_str(&label_text(&series["metric"]));
        match series["values"].as_array() {
            Some(values) => {
                out.push('\n');
                values.iter().for_each(|value| out.push_str(&format!("  {}", point(value))));
            }
            None => out.push_str(&format!(" {}", point(&series["value"]))),
        }
    }
    out
}
