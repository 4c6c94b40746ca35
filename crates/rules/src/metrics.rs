//! The metrics of rule groups, under the names of the server that evaluates.

use telemetry::{Counter, Family, Gauge, Registry};

/// Metrics by group; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) evaluations: Family<Counter>,
    pub(crate) failures: Family<Counter>,
    pub(crate) iterations: Family<Counter>,
    pub(crate) missed: Family<Counter>,
    pub(crate) interval: Family<Gauge>,
    pub(crate) rules: Family<Gauge>,
    pub(crate) last_duration: Family<Gauge>,
    pub(crate) last_evaluation: Family<Gauge>,
    pub(crate) last_samples: Family<Gauge>,
}

impl Metrics {
    /// Registers the metrics, each name after `prefix` and `_`: `prometheus` or `loki_prometheus`.
    pub fn register(registry: &Registry, prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}_{name}");
        let counter = |short: &str, help: &str| registry.counter_family(&name(short), help, &["rule_group"]);
        let gauge = |short: &str, help: &str| registry.gauge_family(&name(short), help, &["rule_group"]);
        Self {
            evaluations: counter("rule_evaluations_total", "Rule evaluations."),
            failures: counter("rule_evaluation_failures_total", "Rule evaluations that failed."),
            iterations: counter(
                "rule_group_iterations_total",
                "Group evaluations that were due, missed ones too.",
            ),
            missed: counter(
                "rule_group_iterations_missed_total",
                "Group evaluations that were left out as late.",
            ),
            interval: gauge("rule_group_interval_seconds", "The group's interval."),
            rules: gauge("rule_group_rules", "The group's rules."),
            last_duration: gauge("rule_group_last_duration_seconds", "How long the last evaluation took."),
            last_evaluation: gauge(
                "rule_group_last_evaluation_timestamp_seconds",
                "When the last evaluation was.",
            ),
            last_samples: gauge("rule_group_last_evaluation_samples", "Samples of the last evaluation."),
        }
    }

    /// Forgets a group that is gone.
    pub(crate) fn remove(&self, group: &str) {
        let labels = &[group];
        for family in [&self.evaluations, &self.failures, &self.iterations, &self.missed] {
            family.remove(labels);
        }
        for family in
            [&self.interval, &self.rules, &self.last_duration, &self.last_evaluation, &self.last_samples]
        {
            family.remove(labels);
        }
    }
}
