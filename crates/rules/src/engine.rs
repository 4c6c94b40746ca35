//! What a group asks of the outside.

use model::{FloatHistogram, Labels, TimestampMs};

/// The value of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleValue {
    /// A float; may be the staleness marker in what is recorded.
    Float(f64),
    /// A native histogram.
    Histogram(Box<FloatHistogram>),
}

impl RuleValue {
    /// The float; a histogram's sum stands for it where a template shows one number.
    pub fn as_float(&self) -> f64 {
        match self {
            Self::Float(value) => *value,
            Self::Histogram(histogram) => histogram.sum,
        }
    }
}

/// One sample that a rule records, or one result of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSample {
    /// The series.
    pub labels: Labels,
    /// When, in ms since the epoch.
    pub timestamp: TimestampMs,
    /// What.
    pub value: RuleValue,
}

/// The last stored sample of an `ALERTS_FOR_STATE` series.
#[derive(Clone, Debug, PartialEq)]
pub struct ForState {
    /// The series' labels, with or without the metric name.
    pub labels: Labels,
    /// When it was stored: until then the server was up.
    pub timestamp: TimestampMs,
    /// Since when the alert was pending, in seconds since the epoch.
    pub active_at_seconds: f64,
}

/// Answers queries. Called on the thread that evaluates; may block it.
pub trait Engine: Send + Sync {
    /// The instant vector of `expr` at `at_ms`. A scalar is given as one sample without labels. The text of an error is
    /// shown to users.
    fn query(&self, expr: &str, at_ms: TimestampMs) -> Result<Vec<(Labels, RuleValue)>, String>;

    /// The last sample, not older than `from_ms`, of every `ALERTS_FOR_STATE` series with this alert name. Empty where
    /// nothing is stored, as on a log server.
    fn for_states(
        &self,
        alert_name: &str,
        from_ms: TimestampMs,
        to_ms: TimestampMs,
    ) -> Result<Vec<ForState>, String> {
        let _unused = (alert_name, from_ms, to_ms);
        Ok(Vec::new())
    }
}

/// Takes what rules record. Rules later in a group see it, so it is called after each rule.
pub trait SampleSink {
    /// Stores samples; the text of an error is shown to users.
    fn append(&mut self, samples: Vec<RuleSample>) -> Result<(), String>;
}

/// A sink for servers that store no samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl SampleSink for NoSink {
    fn append(&mut self, _samples: Vec<RuleSample>) -> Result<(), String> {
        Ok(())
    }
}
