//! How a rule fared, as the API shows it.

use std::time::Duration;

use model::TimestampMs;

use crate::EvaluationError;

/// Whether a rule's last evaluation worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// Worked.
    Ok,
    /// Failed.
    Err,
}

impl Health {
    /// The word that the API shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// A rule's last evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleStatus {
    /// Whether it worked.
    pub health: Health,
    /// Why it did not.
    pub last_error: Option<EvaluationError>,
    /// When it was done; `None` before the first.
    pub last_evaluation: Option<TimestampMs>,
    /// How long it took.
    pub evaluation_time: Duration,
}

impl RuleStatus {
    pub(crate) fn record(&mut self, at: TimestampMs, took: Duration, error: Option<EvaluationError>) {
        self.health = if error.is_some() { Health::Err } else { Health::Ok };
        self.last_error = error;
        self.last_evaluation = Some(at);
        self.evaluation_time = took;
    }
}
