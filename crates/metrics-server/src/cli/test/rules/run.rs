//! One test: series come in, groups are evaluated, alerts and expressions compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Labels, Quoted, TimestampMs, format_duration_ms};
use parking_lot::RwLock;
use promql::testscript::{SequenceValue, SeriesLoader, describe_histogram, parse_series_description};
use promql::{Engine, EngineOptions, MemoryReader, MemoryValue, QueryError, Value};
use resources::{CpuClass, CpuPools, MemoryBudget, RequestContext};
use rules::{
    AlertState, AlertingRule, Group, GroupOptions, Metrics, Rule, RuleSample, RuleValue, SampleSink,
    TemplateContext,
};

use super::RunOptions;
use super::file::{AlertCase, ExpectedSample, ExprCase, Test, TestFile};
use super::shown::{alerts as shown_alerts, difference, indented};
use crate::cli::console::{braced, complain, go_duration};
use crate::config::rule_file;
use crate::rule_manager::results;

const INDENT: &str = "            ";
/// The most samples that a query of a test may hold.
const SAMPLES_MAX: u64 = 1_000_000;

/// The series of a test, and who asks them.
struct Store {
    series: RwLock<MemoryReader>,
    engine: Engine,
    ctx: RequestContext,
}

impl Store {
    fn new(evaluation_interval_ms: i64, options: RunOptions) -> Self {
        let engine = Engine::new(EngineOptions {
            max_samples: SAMPLES_MAX,
            default_subquery_step: Arc::new(move |_| evaluation_interval_ms),
            features: options.features,
            ..EngineOptions::default()
        });
        let memory = MemoryBudget::unlimited("test");
        let ctx = RequestContext::internal(CpuClass::Query, CpuPools::inline(), memory);
        Self { series: RwLock::default(), engine, ctx }
    }

    fn ask(&self, expr: &str, at: TimestampMs) -> Result<Value, QueryError> {
        Ok(self.engine.instant(&self.ctx, &*self.series.read(), expr, at)?.value)
    }
}

impl rules::Engine for Store {
    fn query(&self, expr: &str, at: TimestampMs) -> Result<Vec<(Labels, RuleValue)>, String> {
        results(self.ask(expr, at).map_err(|error| service::error_chain(&error))?)
    }
}

struct Sink<'a>(&'a Store);

impl SampleSink for Sink<'_> {
    fn append(&mut self, samples: Vec<RuleSample>) -> Result<(), String> {
        let mut series = self.0.series.write();
        for sample in samples {
            let value = match sample.value {
                RuleValue::Float(value) => MemoryValue::Float(value),
                RuleValue::Histogram(histogram) => MemoryValue::Histogram(Arc::new(*histogram)),
            };
            series.add(&sample.labels, sample.timestamp, &value, 0);
        }
        Ok(())
    }
}

/// Runs a test; all that went wrong, in promtool's words.
pub(super) fn run_test(file: &TestFile, test: &Test, options: RunOptions) -> Vec<String> {
    let store = Arc::new(Store::new(file.evaluation_interval_ms, options));
    let mut loader = SeriesLoader::default();
    for (series, values) in &test.series {
        if let Err(error) = loader.add(series, values, test.start, test.interval_ms) {
            return vec![format!("    input_series {}: {error}", Quoted(series))];
        }
    }
    let groups = match groups(file, test, options) {
        Ok(groups) => groups,
        Err(errors) => return errors,
    };
    let mut running = Running { file, test, options, store: Arc::clone(&store), groups, errors: Vec::new() };
    if !running.evaluate(&mut loader) {
        return running.errors;
    }
    for case in &test.exprs {
        running.check_expr(case);
    }
    if options.debug {
        dump(&store.series.read());
    }
    running.errors
}

fn groups(file: &TestFile, test: &Test, options: RunOptions) -> Result<Vec<Group>, Vec<String>> {
    let group_options = GroupOptions {
        interval_ms: test.interval_ms,
        restores: false,
        templates: TemplateContext {
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
        },
        ..GroupOptions::default()
    };
    let clock: Arc<dyn sys::Clock> = Arc::new(sys::SystemClock::new());
    let metrics = Metrics::register(&telemetry::Registry::new(), "test");
    let (mut groups, mut errors) = (Vec::new(), Vec::new());
    for path in &file.rule_files {
        match rule_file::load(path, options.ignore_unknown_fields) {
            Err(more) => errors.extend(more.lines),
            Ok(loaded) => groups.extend(loaded.file.groups.iter().map(|spec| {
                Group::new(&loaded.file.path, spec, &group_options, Arc::clone(&clock), &metrics)
            })),
        }
    }
    groups.sort_by_key(|group| file.group_order.get(group.name()).copied().unwrap_or(0));
    if errors.is_empty() { Ok(groups) } else { Err(errors) }
}

/// A test under way.
struct Running<'a> {
    file: &'a TestFile,
    test: &'a Test,
    options: RunOptions,
    store: Arc<Store>,
    groups: Vec<Group>,
    errors: Vec<String>,
}

impl Running<'_> {
    /// Evaluates all groups over the test's time and compares alerts on the way; whether all rules worked.
    fn evaluate(&mut self, loader: &mut SeriesLoader) -> bool {
        let (start, step) = (self.test.start, self.file.evaluation_interval_ms);
        let alert_times = self.test.alerts.iter().map(|case| case.eval_ms);
        let last = alert_times.clone().chain(self.test.exprs.iter().map(|case| case.eval_ms)).max();
        let mut waiting: BTreeSet<i64> = alert_times.collect();
        let engine: Arc<dyn rules::Engine> = Arc::<Store>::clone(&self.store);
        let mut passed = 0;
        while passed <= last.unwrap_or(0) {
            let now = start + passed;
            loader.load_until(&mut self.store.series.write(), now);
            let known = self.errors.len();
            for group in &mut self.groups {
                group.evaluate(now, &engine, &mut Sink(&self.store));
                self.errors.extend(failures(group, now));
            }
            if self.errors.len() > known {
                return false;
            }
            while let Some(due) = waiting.first().copied().filter(|due| *due < passed + step) {
                waiting.remove(&due);
                for case in self.test.alerts.iter().filter(|case| case.eval_ms == due) {
                    self.check_alerts(case);
                }
            }
            passed += step;
        }
        true
    }

    fn check_alerts(&mut self, case: &AlertCase) {
        let is_tested = |rule: &&AlertingRule| rule.name == case.name;
        let rules = self.groups.iter().flat_map(Group::rules).filter_map(|rule| match rule {
            Rule::Alerting(rule) => Some(&**rule),
            Rule::Recording(_) => None,
        });
        let mut found: Vec<(Labels, Labels)> = rules
            .filter(is_tested)
            .flat_map(AlertingRule::active_alerts)
            .filter(|alert| alert.state == AlertState::Firing)
            .map(|alert| (alert.labels.clone(), alert.annotations.clone()))
            .collect();
        let mut expected = case.expected.clone();
        found.sort();
        expected.sort();
        if found == expected {
            return;
        }
        let name = match self.test.name.as_str() {
            "" => String::new(),
            name => format!("    name: {name},\n"),
        };
        let (expected, found) = (shown_alerts(&expected), shown_alerts(&found));
        let time = format_duration_ms(case.eval_ms);
        let head = format!("{name}    alertname: {}, time: {time}, \n", case.name);
        self.errors.push(if self.options.diff {
            format!("{head}        diff: {}", indented(&difference(&expected, &found), INDENT))
        } else {
            format!(
                "{head}        exp:{}, \n        got:{}",
                indented(&expected, INDENT),
                indented(&found, INDENT)
            )
        });
    }

    fn check_expr(&mut self, case: &ExprCase) {
        let time = format_duration_ms(case.eval_ms);
        let head = format!("    expr: {}, time: {time},", Quoted(&case.expr));
        let at = self.test.start + case.eval_ms;
        let answered = self.store.ask(&case.expr, at).map_err(|error| service::error_chain(&error));
        let found = match answered.and_then(results) {
            Ok(found) => found,
            Err(error) => return self.errors.push(format!("{head} err: {error}")),
        };
        let expected = case.expected.iter().map(expected_sample).collect::<Result<Vec<_>, String>>();
        let mut expected = match expected {
            Ok(expected) => expected,
            Err(error) => return self.errors.push(format!("{head} err: {error}")),
        };
        let mut found: Vec<(Labels, Point)> =
            found.into_iter().map(|(labels, value)| (labels, Point::of(&value))).collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let is_fuzzy = self.file.fuzzy_compare;
        let are_same = expected.len() == found.len()
            && expected.iter().zip(&found).all(|(a, b)| a.0 == b.0 && a.1.is_same(&b.1, is_fuzzy));
        if are_same {
            return;
        }
        let (expected, found) = (shown(&expected), shown(&found));
        self.errors.push(if self.options.diff {
            let lines = |text: &str| text.replace("}, {", "},\n{");
            let diff = difference(&lines(&expected), &lines(&found));
            format!("{head}\n        diff: {}", indented(&diff, INDENT))
        } else {
            format!("{head}\n        exp: {expected}\n        got: {found}")
        });
    }
}

/// The rules of a group whose evaluation failed.
fn failures(group: &Group, now: TimestampMs) -> impl Iterator<Item = String> {
    let time = go_duration(now);
    group.rules().iter().filter_map(move |rule| {
        let error = rule.status().last_error.as_ref()?;
        Some(format!("    rule: {}, time: {time}, err: {error}", rule.name()))
    })
}

/// A value to be compared; histograms are compared as they are written.
#[derive(Clone, Debug)]
enum Point {
    Float(f64),
    Histogram(String),
}

impl Point {
    fn of(value: &RuleValue) -> Self {
        match value {
            RuleValue::Float(value) => Self::Float(*value),
            RuleValue::Histogram(histogram) => Self::Histogram(describe_histogram(histogram)),
        }
    }

    fn is_same(&self, other: &Self, is_fuzzy: bool) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => {
                a == b || (is_fuzzy && (a.next_up() == *b || a.next_down() == *b))
            }
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            _ => false,
        }
    }
}

fn expected_sample(sample: &ExpectedSample) -> Result<(Labels, Point), String> {
    let fail = |error: String| format!("labels {}: {error}", Quoted(&sample.labels));
    let text = if sample.labels.trim().is_empty() { "{}" } else { sample.labels.as_str() };
    let (labels, _) = parse_series_description(text).map_err(|error| fail(error.to_string()))?;
    if sample.histogram.is_empty() {
        return Ok((labels, Point::Float(sample.value)));
    }
    let (_, values) = parse_series_description(&format!("{{}} {}", sample.histogram))
        .map_err(|error| fail(error.to_string()))?;
    match values.as_slice() {
        [SequenceValue::Histogram { histogram, .. }] => {
            Ok((labels, Point::Histogram(describe_histogram(histogram))))
        }
        [_] => Err(fail("expected a histogram".to_owned())),
        values => Err(fail(format!("expected 1 value, got {}", values.len()))),
    }
}

fn shown(samples: &[(Labels, Point)]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let rows: Vec<String> = samples
        .iter()
        .map(|(labels, point)| match point {
            Point::Float(value) => format!("{} {}", braced(labels), exponent(*value)),
            Point::Histogram(text) => format!("{} {text}", braced(labels)),
        })
        .collect();
    rows.join(", ")
}

/// A float with its exponent, as Go's `%E` with the shortest digits.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return model::format_float(value);
    }
    let text = format!("{value:E}");
    let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}E{sign}{exponent:0>2}")
}

fn dump(series: &MemoryReader) {
    complain("DEBUG: Dump of all data (input_series and rules):\n");
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for labels in series.labels() {
        let Some(columns) = series.samples(labels) else { continue };
        let rows = lines.entry(labels.to_string()).or_default();
        for (nth, time) in columns.timestamps.iter().enumerate() {
            let value = match columns.histograms.get(nth).and_then(Option::as_ref) {
                Some(histogram) => describe_histogram(histogram),
                None => model::format_float_g(columns.values[nth]),
            };
            rows.push(format!("{value} @[{time}]"));
        }
    }
    for (labels, rows) in lines {
        complain(&format!("{labels} =>\n{}\n", rows.join("\n")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_their_exponent() {
        for (value, text) in [
            (0.0, "0E+00"),
            (1.0, "1E+00"),
            (-12.5, "-1.25E+01"),
            (1e-7, "1E-07"),
            (1e120, "1E+120"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(exponent(value), text);
        }
    }
}
