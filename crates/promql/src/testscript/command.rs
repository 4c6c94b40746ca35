//! Reading the commands of a script.

use std::fmt;

use go_regex::Regex;
use model::{Labels, parse_duration_ms, parse_float};

use super::ScriptFailure;
use super::load::LoadCommand;
use super::sequence::{SequenceValue, parse_series_description};

/// A command.
#[derive(Debug)]
pub(super) enum Command {
    Clear,
    Load(LoadCommand),
    Eval(Box<EvalCommand>),
}

/// Times of an evaluation, in ms.
#[derive(Clone, Copy, Debug)]
pub(super) enum EvalTimes {
    Instant { at: i64 },
    Range { start: i64, end: i64, step: i64 },
}

/// A text that is expected.
#[derive(Debug)]
pub(super) enum Expected {
    Anything,
    Text(String),
    Pattern(Regex),
}

impl Expected {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Text(expected) => expected == text,
            Self::Pattern(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("of any text"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Pattern(regex) => write!(f, "matching {:?}", regex.as_str()),
        }
    }
}

/// A series that is expected.
#[derive(Debug)]
pub(super) struct ExpectedSeries {
    pub(super) labels: Labels,
    pub(super) values: Vec<SequenceValue>,
}

/// An evaluation and what it is expected to give.
#[derive(Debug)]
pub(super) struct EvalCommand {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) times: EvalTimes,
    pub(super) expected_failure: Option<Expected>,
    pub(super) warnings: Vec<Expected>,
    pub(super) infos: Vec<Expected>,
    pub(super) no_warnings: bool,
    pub(super) no_infos: bool,
    pub(super) ordered: bool,
    pub(super) scalar: Option<f64>,
    pub(super) string: Option<String>,
    /// Start, end and step of a range vector.
    pub(super) range_vector: Option<(i64, i64, i64)>,
    pub(super) series: Vec<ExpectedSeries>,
}

impl EvalCommand {
    fn new(line: usize, query: &str, times: EvalTimes) -> Self {
        Self {
            line,
            query: query.to_owned(),
            times,
            expected_failure: None,
            warnings: Vec::new(),
            infos: Vec::new(),
            no_warnings: false,
            no_infos: false,
            ordered: false,
            scalar: None,
            string: None,
            range_vector: None,
            series: Vec::new(),
        }
    }

    /// Whether a range query has to give the same.
    pub(super) fn also_as_range(&self) -> bool {
        // These functions give something else in a range query.
        let depends_on_range =
            ["start()", "end()", "range()", "step()"].iter().any(|call| self.query.contains(call));
        !(self.ordered || depends_on_range || self.string.is_some() || self.range_vector.is_some())
    }
}

/// The lines of a script, without comments.
pub(super) struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    /// The next line of the command being read; `None` where it ends.
    pub(super) fn next_of_command(&mut self) -> Option<(usize, &'a str)> {
        let line = *self.lines.get(self.next)?;
        if line.is_empty() {
            return None;
        }
        self.next += 1;
        Some((self.next, line))
    }
}

pub(super) fn failure(line: usize, command: &str, message: impl Into<String>) -> ScriptFailure {
    ScriptFailure { line, command: command.to_owned(), message: message.into() }
}

/// Reads all commands.
pub(super) fn parse(text: &str) -> Result<Vec<Command>, ScriptFailure> {
    let lines =
        text.lines().map(str::trim).map(|line| if line.starts_with('#') { "" } else { line }).collect();
    let mut lines = Lines { lines, next: 0 };
    let mut commands = Vec::new();
    while lines.next < lines.lines.len() {
        let line = lines.lines[lines.next];
        lines.next += 1;
        let number = lines.next;
        if line.is_empty() {
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        commands.push(match word.as_str() {
            "clear" => Command::Clear,
            "load" | "load_with_nhcb" => Command::Load(LoadCommand::parse(number, line, &mut lines)?),
            _ if word.starts_with("eval") => {
                Command::Eval(Box::new(parse_eval(number, line, &word, &mut lines)?))
            }
            _ => return Err(failure(number, line, "no such command: write load, clear or eval")),
        });
    }
    Ok(commands)
}

fn parse_eval(
    number: usize,
    line: &str,
    word: &str,
    lines: &mut Lines<'_>,
) -> Result<EvalCommand, ScriptFailure> {
    let fail = |message: &str| failure(number, line, message);
    let duration =
        |text: &str| parse_duration_ms(text).map_err(|error| failure(number, line, error.to_string()));
    let (kind, rest) = split_word(line[word.len()..].trim_start());
    let mut command = match kind {
        "instant" => {
            let rest = keyword(rest, "at").ok_or_else(|| fail("expected: eval instant at TIME QUERY"))?;
            let (at, query) = split_word(rest);
            EvalCommand::new(number, query, EvalTimes::Instant { at: duration(at)? })
        }
        "range" => {
            let usage = || fail("expected: eval range from TIME to TIME step DURATION QUERY");
            let (start, rest) = split_word(keyword(rest, "from").ok_or_else(usage)?);
            let (end, rest) = split_word(keyword(rest, "to").ok_or_else(usage)?);
            let (step, query) = split_word(keyword(rest, "step").ok_or_else(usage)?);
            let (start, end, step) = (duration(start)?, duration(end)?, duration(step)?);
            EvalCommand::new(number, query, EvalTimes::Range { start, end, step })
        }
        _ => return Err(fail("expected eval instant or eval range")),
    };
    match word {
        "eval" => {}
        "eval_fail" => command.expected_failure = Some(Expected::Anything),
        "eval_warn" => command.warnings.push(Expected::Anything),
        "eval_info" => command.infos.push(Expected::Anything),
        "eval_ordered" => command.ordered = true,
        _ => {
            return Err(fail("no such command: write eval, eval_fail, eval_warn, eval_info or eval_ordered"));
        }
    }
    while let Some((number, line)) = lines.next_of_command() {
        expectation(&mut command, line).map_err(|message| failure(number, line, message))?;
        if command.scalar.is_some() {
            break;
        }
    }
    Ok(command)
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (found, rest) = split_word(text);
    (found == word).then_some(rest)
}

/// Takes one line below an `eval`.
fn expectation(command: &mut EvalCommand, line: &str) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("expected_fail_message ") {
        command.expected_failure = Some(Expected::Text(rest.trim().to_owned()));
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expected_fail_regexp ") {
        command.expected_failure = Some(pattern(rest.trim())?);
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expect range vector ") {
        let usage = || "expected: expect range vector from TIME to TIME step DURATION".to_owned();
        let (start, rest) = split_word(keyword(rest.trim_start(), "from").ok_or_else(usage)?);
        let (end, rest) = split_word(keyword(rest, "to").ok_or_else(usage)?);
        let (step, _) = split_word(keyword(rest, "step").ok_or_else(usage)?);
        let duration = |text: &str| parse_duration_ms(text).map_err(|error| error.to_string());
        command.range_vector = Some((duration(start)?, duration(end)?, duration(step)?));
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expect string ") {
        command.string = Some(unquoted(rest.trim())?);
        return Ok(());
    }
    if let Some(rest) = keyword(line, "expect") {
        return expect_line(command, rest);
    }
    if let Some(value) = parse_float(line) {
        command.scalar = Some(value);
        return Ok(());
    }
    let (labels, values) = parse_series_description(line).map_err(|error| error.to_string())?;
    let is_instant = matches!(command.times, EvalTimes::Instant { .. });
    if is_instant && values.len() > 1 && command.range_vector.is_none() {
        return Err("an instant query gives one value: use expect range vector for more".to_owned());
    }
    command.series.retain(|series| series.labels != labels);
    command.series.push(ExpectedSeries { labels, values });
    Ok(())
}

fn expect_line(command: &mut EvalCommand, rest: &str) -> Result<(), String> {
    let (kind, rest) = split_word(rest);
    let expected = match rest {
        "" => Expected::Anything,
        _ => match rest.split_once(':') {
            Some(("msg", text)) => Expected::Text(text.trim().to_owned()),
            Some(("regex", text)) => pattern(text.trim())?,
            _ => return Err(format!("expected msg: or regex: after {kind}")),
        },
    };
    match kind {
        "ordered" => command.ordered = true,
        "fail" => command.expected_failure = Some(expected),
        "warn" => command.warnings.push(expected),
        "info" => command.infos.push(expected),
        "no_warn" => command.no_warnings = true,
        "no_info" => command.no_infos = true,
        _ => {
            return Err(format!("cannot expect {kind}: write ordered, fail, warn, no_warn, info or no_info"));
        }
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Expected, String> {
    Regex::new(text).map(Expected::Pattern).map_err(|error| error.to_string())
}

/// A text in quotes, as a PromQL string.
fn unquoted(text: &str) -> Result<String, String> {
    match crate::parse(text, crate::Features::default()) {
        Ok(promql_syntax::Expr::String(literal)) => Ok(literal.value),
        _ => Err("a string in quotes was expected".to_owned()),
    }
}
