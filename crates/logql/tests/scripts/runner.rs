//! Reads a script, runs it and writes it again with the answers that were given.

use log_storage_api::{Direction, LogReader};
use logql::{Engine, EngineLimits, LogQuery, MetricAnswer, StreamCollector, check};
use logql_syntax::{Expr, parse, parse_log, parse_metric};
use model::{Labels, LogEntry, format_float, parse_duration_ms};
use resources::RequestContext;

use crate::memory_reader::MemoryReader;

/// What a script came to.
pub(crate) struct Outcome {
    pub(crate) cases: usize,
    pub(crate) rewritten: String,
}

/// Runs a script. Every query is asked of a reader that filters and of one that leaves it to the engine.
pub(crate) fn run(text: &str) -> Outcome {
    let mut reader = MemoryReader::default();
    let (mut cases, mut rewritten) = (0, String::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        rewritten.push_str(line);
        rewritten.push('\n');
        if line == "clear" {
            reader = MemoryReader::default();
        } else if let Some(head) = line.strip_prefix("load ") {
            let (labels, metadata) = head.split_once("} ").map_or((head, ""), |(a, b)| (a, b));
            let (labels, metadata) = (pairs(labels), pairs(metadata));
            while let Some(entry) = lines.next_if(|line| line.starts_with("  ")) {
                rewritten.push_str(entry);
                rewritten.push('\n');
                let (at, line) = entry.trim_start().split_once(' ').unwrap_or((entry.trim(), ""));
                let line = line.replace("\\N", "\n").replace("\\E", "\u{1b}");
                let entry = LogEntry { timestamp: nanos(at), line, structured_metadata: metadata.clone() };
                reader.add(&Labels::from_pairs(labels.iter().map(|(n, v)| (n, v))), entry);
            }
        } else if let Some(command) = line.strip_prefix("eval ") {
            cases += 1;
            while lines.next_if(|line| line.starts_with("  ")).is_some() {}
            reader.filters = true;
            let answer = eval(command, &reader);
            reader.filters = false;
            assert_eq!(eval(command, &reader), answer, "store and engine differ: {command}");
            for line in answer {
                let line = line.replace('\n', "\\N").replace('\u{1b}', "\\E");
                rewritten.push_str(format!("  {line}").trim_end());
                rewritten.push('\n');
            }
        }
    }
    Outcome { cases, rewritten }
}

/// The lines in which two texts differ.
pub(crate) fn difference(name: &str, expected: &str, got: &str) -> String {
    let mut out = String::new();
    let mut case = "";
    let mut expected_lines = expected.lines();
    for line in got.lines() {
        let wanted = expected_lines.next().unwrap_or("");
        if line.starts_with("eval") {
            case = line;
        }
        if line != wanted {
            out.push_str(&format!("{name}: {case}\n  expected {wanted}\n  got      {line}\n"));
            if line.starts_with("eval") || wanted.starts_with("eval") {
                break;
            }
        }
    }
    out
}

fn nanos(text: &str) -> i64 {
    match text.strip_suffix("ns") {
        Some(digits) => digits.parse().expect("nanoseconds"),
        None => parse_duration_ms(text).unwrap_or_else(|error| panic!("{error}")) * 1_000_000,
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut pairs: Vec<_> = inner
        .split(", ")
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').expect("name=\"value\"");
            (name.to_owned(), value.trim_matches('"').replace("\\\"", "\""))
        })
        .collect();
    pairs.sort();
    pairs
}

fn shown(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn eval(command: &str, reader: &MemoryReader) -> Vec<String> {
    let (kind, rest) = command.split_once(' ').expect("a kind and a query");
    let outcome = match kind {
        "log" => eval_log(rest, reader),
        "instant" => {
            let (at, query) = rest.split_once(' ').expect("a time");
            eval_metric(query, reader, |engine, ctx, reader, expr| {
                engine.instant(ctx, reader, expr, nanos(at))
            })
        }
        "range" => {
            let mut parts = rest.splitn(4, ' ');
            let mut time = || nanos(parts.next().expect("start, end, step"));
            let (start, end, step) = (time(), time(), time());
            let query = parts.next().expect("a query");
            eval_metric(query, reader, |engine, ctx, reader, expr| {
                engine.range(ctx, reader, expr, (start, end), step)
            })
        }
        "fail" => Ok(vec![failure(rest, reader)]),
        _ => panic!("unknown kind of eval: {kind}"),
    };
    outcome.unwrap_or_else(|error| vec![format!("error: {}", error.lines().next().unwrap_or(""))])
}

/// The error of a query, wherever it shows.
fn failure(query: &str, reader: &MemoryReader) -> String {
    let expr = match parse(query) {
        Ok(expr) => expr,
        Err(error) => return error.to_string(),
    };
    if let Err(error) = check(&expr) {
        return error.to_string();
    }
    let outcome = match expr {
        Expr::Log(_) => eval_log(query, reader),
        Expr::Metric(_) => eval_metric(query, reader, |engine, ctx, reader, expr| {
            engine.instant(ctx, reader, expr, 3_600_000_000_000)
        }),
    };
    match outcome {
        Ok(answer) => panic!("{query} did not fail but answered {answer:?}"),
        Err(error) => error.lines().next().unwrap_or("").to_owned(),
    }
}

fn eval_log(rest: &str, reader: &MemoryReader) -> Result<Vec<String>, String> {
    let query_at = rest.find(['{', '(']).expect("a selector");
    let mut words = rest[..query_at].split_whitespace().peekable();
    let (mut start, mut end) = (0, i64::MAX / 2);
    if words.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
        start = words.next().map_or(0, nanos);
        end = words.next().map_or(end, nanos);
    }
    let (mut direction, mut limit, mut interval, mut apart) = (Direction::Forward, None, 0, false);
    while let Some(word) = words.next() {
        match word {
            "forward" => direction = Direction::Forward,
            "backward" => direction = Direction::Backward,
            "limit" => limit = words.next().and_then(|number| number.parse().ok()),
            "interval" => interval = words.next().map_or(0, nanos),
            "apart" => apart = true,
            _ => panic!("unknown option {word}"),
        }
    }
    let expr = parse_log(&rest[query_at..]).map_err(|error| error.to_string())?;
    let ctx = RequestContext::for_tests();
    // A limit far above what is there keeps entries of different streams in order.
    let query = LogQuery { expr, start, end, limit: limit.or(Some(10_000)), direction, interval };
    let mut collector =
        if apart { StreamCollector::categorizing(&ctx) } else { StreamCollector::merging(&ctx) }
            .expect("memory");
    Engine::default().log_query(&ctx, reader, &query, &mut collector).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    for stream in collector.finish() {
        for entry in &stream.entries {
            let at = entry.timestamp / 1_000_000;
            let labels = shown(&stream.labels);
            let kept = if apart {
                format!(" {} {}", shown(&entry.structured_metadata), shown(&entry.parsed))
            } else {
                String::new()
            };
            answer.push(format!("{labels}{kept} {} {}", model::format_duration_ms(at), entry.line));
        }
    }
    Ok(answer)
}

type MetricOutcome = Result<(MetricAnswer, logql::QueryStats), logql::LogqlError>;

fn eval_metric(
    query: &str,
    reader: &MemoryReader,
    evaluate: impl Fn(&Engine, &RequestContext, &dyn LogReader, &logql_syntax::MetricExpr) -> MetricOutcome,
) -> Result<Vec<String>, String> {
    let expr = parse_metric(query).map_err(|error| error.to_string())?;
    let ctx = RequestContext::for_tests();
    let engine = Engine::new(EngineLimits { series_max: 6 });
    let (answer, _) = evaluate(&engine, &ctx, reader, &expr).map_err(|error| error.to_string())?;
    Ok(match answer {
        MetricAnswer::Scalar(point) => vec![format_float(point.value)],
        MetricAnswer::Vector(points) => {
            points.iter().map(|(labels, point)| format!("{labels} {}", format_float(point.value))).collect()
        }
        MetricAnswer::Matrix(series) => series
            .iter()
            .map(|series| {
                let points = series.points.iter();
                let points: Vec<String> =
                    points.map(|p| format!("{}@{}", format_float(p.value), p.timestamp / 1000)).collect();
                format!("{} {}", series.labels, points.join(" "))
            })
            .collect(),
    })
}
