//! Rules that record a query's results as a metric.

use std::collections::{BTreeMap, HashSet};

use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, TimestampMs};

use crate::{Engine, EvaluationError, RuleSample, RuleStatus};

/// A recording rule.
#[derive(Clone, Debug)]
pub struct RecordingRule {
    /// The metric it makes.
    pub name: String,
    /// Its expression.
    pub expr: String,
    /// Labels that it sets, the group's included.
    pub labels: BTreeMap<String, String>,
    /// How its last evaluation went.
    pub status: RuleStatus,
}

impl RecordingRule {
    pub(crate) fn evaluate(
        &self,
        at: TimestampMs,
        limit: usize,
        engine: &dyn Engine,
    ) -> Result<Vec<RuleSample>, EvaluationError> {
        let results = engine.query(&self.expr, at).map_err(EvaluationError::Query)?;
        let mut seen = HashSet::with_capacity(results.len());
        let mut samples = Vec::with_capacity(results.len());
        for (labels, value) in results {
            let labels = self.recorded_labels(&labels);
            if !seen.insert(labels.clone()) {
                return Err(EvaluationError::Duplicate { what: "rule" });
            }
            samples.push(RuleSample { labels, timestamp: at, value });
        }
        if limit > 0 && samples.len() > limit {
            return Err(EvaluationError::Limit { limit, got: samples.len(), what: "series" });
        }
        Ok(samples)
    }

    fn recorded_labels(&self, result: &Labels) -> Labels {
        let mut builder = LabelsBuilder::from_labels(result);
        for (name, value) in &self.labels {
            builder.set(name, value);
        }
        builder.set(METRIC_NAME_LABEL, &self.name);
        builder.build()
    }
}
