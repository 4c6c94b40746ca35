//! The files.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use ::config::{Document, Node, Reported};
use discovery::expand_glob;
use model::{Labels, TimestampMs};

use crate::cli::console::parse_time;

const MINUTE_MS: i64 = 60_000;

/// A file of tests.
#[derive(Clone, Debug, Default)]
pub(super) struct TestFile {
    pub(super) rule_files: Vec<PathBuf>,
    /// Patterns of rule files that name none.
    pub(super) missing: Vec<PathBuf>,
    pub(super) evaluation_interval_ms: i64,
    pub(super) fuzzy_compare: bool,
    /// The place of a group in the order of evaluation; others come first.
    pub(super) group_order: BTreeMap<String, usize>,
    pub(super) tests: Vec<Test>,
}

/// Series, and what is to come of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) interval_ms: i64,
    pub(super) start: TimestampMs,
    /// Metrics with their values.
    pub(super) series: Vec<(String, String)>,
    pub(super) alerts: Vec<AlertCase>,
    pub(super) exprs: Vec<ExprCase>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
}

/// Alerts that are to fire at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct AlertCase {
    /// Since the test's start.
    pub(super) eval_ms: i64,
    pub(super) name: String,
    /// Labels and annotations.
    pub(super) expected: Vec<(Labels, Labels)>,
}

/// What an expression is to give at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct ExprCase {
    pub(super) expr: String,
    /// Since the test's start.
    pub(super) eval_ms: i64,
    pub(super) expected: Vec<ExpectedSample>,
}

/// A sample as written.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
    pub(super) value: f64,
    pub(super) histogram: String,
}

impl TestFile {
    /// Reads a file and looks for the rule files that it names. Blocks.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let loaded = Document::load(path)
            .and_then(|document| document.read(Self::read))
            .map_err(|errors| errors.to_string())?;
        let mut file = loaded.value;
        let mut found = Vec::new();
        for pattern in std::mem::take(&mut file.rule_files) {
            let files = expand_glob(&pattern).map_err(|error| error.to_string())?;
            if files.is_empty() {
                file.missing.push(pattern);
            }
            found.extend(files);
        }
        file.rule_files = found;
        Ok(file)
    }

    fn read(root: &Node) -> Result<Self, Reported> {
        let map = root.map()?;
        let interval_ms = map.read("evaluation_interval", millis)?.filter(|ms| *ms > 0).unwrap_or(MINUTE_MS);
        let mut group_order = BTreeMap::new();
        let mut names = HashSet::new();
        map.read("group_eval_order", |list| {
            for (place, node) in list.list()?.iter().enumerate() {
                let name = node.string()?;
                if !names.insert(name.clone()) {
                    return Err(node.error(format_args!("group name repeated in evaluation order: {name}")));
                }
                group_order.insert(name, place);
            }
            Ok(())
        })?;
        let file = Self {
            rule_files: map.read_or("rule_files", Vec::new(), |list| list.list_of(Node::file_path))?,
            missing: Vec::new(),
            evaluation_interval_ms: interval_ms,
            fuzzy_compare: map.read_or("fuzzy_compare", false, Node::bool)?,
            group_order,
            tests: map
                .read_or("tests", Vec::new(), |list| list.list_of(|node| Test::read(node, interval_ms)))?,
        };
        map.finish()?;
        Ok(file)
    }
}

impl Test {
    fn read(node: &Node, interval_ms: i64) -> Result<Self, Reported> {
        let map = node.map()?;
        let test = Self {
            name: map.read_or("name", String::new(), Node::string)?,
            interval_ms: map.read("interval", millis)?.filter(|ms| *ms > 0).unwrap_or(interval_ms),
            start: map.read_or("start_timestamp", 0, |node| node.parse_with(parse_time))?,
            series: map.read_or("input_series", Vec::new(), |list| list.list_of(read_series))?,
            alerts: map.read_or("alert_rule_test", Vec::new(), |list| list.list_of(AlertCase::read))?,
            exprs: map.read_or("promql_expr_test", Vec::new(), |list| list.list_of(ExprCase::read))?,
            external_labels: map.read_or("external_labels", Labels::empty(), labels)?,
            external_url: map.read_or("external_url", String::new(), Node::string)?,
        };
        map.finish()?;
        Ok(test)
    }
}

impl AlertCase {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let name = map.read_or("alertname", String::new(), Node::string)?;
        let eval_ms = map.read_or("eval_time", 0, millis)?;
        if name.is_empty() {
            return Err(map.error("an item under alert_rule_test misses required attribute alertname"));
        }
        let expected = map.read_or("exp_alerts", Vec::new(), |list| {
            list.list_of(|node| {
                let map = node.map()?;
                let mut pairs = map.read_or("exp_labels", Vec::new(), Node::string_pairs)?;
                // The file gives the labels of the rule; this one is the server's.
                pairs.retain(|(label, _)| label != "alertname");
                pairs.push(("alertname".to_owned(), name.clone()));
                let annotations = map.read_or("exp_annotations", Labels::empty(), labels)?;
                map.finish()?;
                Ok((Labels::from_pairs(pairs), annotations))
            })
        })?;
        map.finish()?;
        Ok(Self { eval_ms, name, expected })
    }
}

impl ExprCase {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let case = Self {
            expr: map.read_or("expr", String::new(), Node::string)?,
            eval_ms: map.read_or("eval_time", 0, millis)?,
            expected: map.read_or("exp_samples", Vec::new(), |list| list.list_of(ExpectedSample::read))?,
        };
        map.finish()?;
        Ok(case)
    }
}

impl ExpectedSample {
    fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        let sample = Self {
            labels: map.read_or("labels", String::new(), Node::string)?,
            value: map.read_or("value", 0.0, Node::f64)?,
            histogram: map.read_or("histogram", String::new(), Node::string)?,
        };
        map.finish()?;
        Ok(sample)
    }
}

fn read_series(node: &Node) -> Result<(String, String), Reported> {
    let map = node.map()?;
    let series = map.required("series")?.non_empty_string()?;
    let values = map.read_or("values", String::new(), Node::string)?;
    map.finish()?;
    Ok((series, values))
}

fn labels(node: &Node) -> Result<Labels, Reported> {
    Ok(Labels::from_pairs(node.string_pairs()?))
}

fn millis(node: &Node) -> Result<i64, Reported> {
    node.duration().map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
