//! Test scripts in the format of Prometheus' `promqltest`: `load`, `load_with_nhcb`, `clear`, `eval instant` and `eval range`
//! with `expect` lines.
//!
//! Each `eval instant` is also run as a range query around its time, whose middle step has to give the same result.

mod command;
mod compare;
mod describe;
mod load;
mod sequence;
mod series_loader;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use resources::RequestContext;

use crate::{
    Engine, EngineFeatures, EngineOptions, MemoryReader, QueryError, QueryResult, Value, VectorSample,
};
use command::{Command, EvalCommand, EvalTimes};
pub use describe::describe_histogram;
pub use sequence::{SequenceError, SequenceValue, parse_series_description};
pub use series_loader::SeriesLoader;

/// What running a script has shown.
#[derive(Clone, Debug, Default)]
pub struct ScriptReport {
    /// How many `eval` commands gave what was expected.
    pub passed: usize,
    /// Those that did not, and what could not be read.
    pub failures: Vec<ScriptFailure>,
}

/// A command of a script that did not give what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFailure {
    /// The line of the command, from 1.
    pub line: usize,
    /// The query, or the line that could not be read.
    pub command: String,
    /// What was wrong.
    pub message: String,
}

/// The options that scripts assume: every feature but type and unit labels, a lookback of 5 minutes, at most 10,000 samples,
/// subqueries at a step of 1 minute.
pub fn script_options() -> EngineOptions {
    EngineOptions {
        lookback_ms: 5 * 60_000,
        max_samples: 10_000,
        default_subquery_step: Arc::new(|_| 60_000),
        features: EngineFeatures { type_and_unit_labels: false, ..EngineFeatures::all() },
    }
}

/// Runs a script with an engine, from an empty store. A command that fails does not stop the script; a line that cannot be
/// read does.
pub fn run(text: &str, engine: &Engine, ctx: &RequestContext) -> ScriptReport {
    let mut report = ScriptReport::default();
    let commands = match command::parse(text) {
        Ok(commands) => commands,
        Err(failure) => {
            report.failures.push(failure);
            return report;
        }
    };
    let mut store = MemoryReader::new();
    for command in &commands {
        match command {
            Command::Clear => store.clear(),
            Command::Load(load) => load.apply(&mut store),
            Command::Eval(eval) => match (Script { engine, ctx, store: &store }).eval(eval) {
                Ok(()) => report.passed += 1,
                Err(message) => {
                    report.failures.push(ScriptFailure {
                        line: eval.line,
                        command: eval.query.clone(),
                        message,
                    });
                }
            },
        }
    }
    report
}

struct Script<'a> {
    engine: &'a Engine,
    ctx: &'a RequestContext,
    store: &'a MemoryReader,
}

impl Script<'_> {
    fn eval(&self, command: &EvalCommand) -> Result<(), String> {
        let query = command.query.as_str();
        let result = match command.times {
            EvalTimes::Instant { at } => self.engine.instant(self.ctx, self.store, query, at),
            EvalTimes::Range { start, end, step } => {
                self.engine.range(self.ctx, self.store, query, start, end, step)
            }
        };
        let Some(result) = check_failure(command, result)? else { return Ok(()) };
        compare::annotations(command, &result.annotations)?;
        compare::value(command, &result.value)?;
        match command.times {
            EvalTimes::Instant { at } if command.also_as_range() => self
                .as_range(command, at, &result.value)
                .map_err(|message| format!("as range query: {message}")),
            _ => Ok(()),
        }
    }

    /// Runs an instant query as a range query around its time.
    fn as_range(&self, command: &EvalCommand, at: i64, instant: &Value) -> Result<(), String> {
        const STEP: i64 = 60_000;
        let query = command.query.as_str();
        let result = self
            .engine
            .range(self.ctx, self.store, query, at - STEP, at + STEP, STEP)
            .map_err(|error| error.to_string())?;
        let Value::Matrix(matrix) = &result.value else { return Err("not a matrix".to_owned()) };
        let mut samples = Vec::new();
        for series in matrix {
            let float = series.floats.iter().find(|(time, _)| *time == at);
            let histogram = series.histograms.iter().find(|(time, _)| *time == at);
            let value = match (float, histogram) {
                (Some((_, value)), _) => crate::SampleValue::Float(*value),
                (None, Some((_, histogram))) => crate::SampleValue::Histogram(Arc::clone(histogram)),
                (None, None) => continue,
            };
            samples.push(VectorSample { labels: series.labels.clone(), timestamp: at, value });
        }
        let middle = match (instant, samples.first().map(|sample| &sample.value)) {
            (Value::Scalar { .. }, Some(crate::SampleValue::Float(value))) => {
                Value::Scalar { timestamp: at, value: *value }
            }
            _ => Value::Vector(samples),
        };
        compare::value(command, &middle)
    }
}

/// Checks an expected failure; the result where none was expected.
fn check_failure(
    command: &EvalCommand,
    result: Result<QueryResult, QueryError>,
) -> Result<Option<QueryResult>, String> {
    match (&command.expected_failure, result) {
        (None, Ok(result)) => Ok(Some(result)),
        (None, Err(error)) => Err(format!("unexpected error: {error}")),
        (Some(_), Ok(_)) => Err("expected an error, but got none".to_owned()),
        (Some(expected), Err(error)) => {
            let text = error.to_string();
            if expected.matches(&text) {
                Ok(None)
            } else {
                Err(format!("expected error {expected}, got {text:?}"))
            }
        }
    }
}
