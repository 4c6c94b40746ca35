//! Recording and alerting rules: groups, pending and firing state, restore, sending decisions.
//!
//! A group is a state machine without I/O, tasks or a clock of its own: its owner asks [`Group::next_slot`] when it is due,
//! calls [`Group::evaluate`] on a thread that may compute, and sends the alerts that come back. What a group needs of the
//! outside it gets through [`Engine`] (queries) and [`SampleSink`] (what rules record), so that the same group evaluates
//! PromQL and LogQL. The crate knows neither language, no store, no YAML and no HTTP.

#![warn(missing_docs)]

mod alert;
mod alerting;
mod engine;
mod error;
mod functions;
mod group;
mod humanize;
mod links;
mod metrics;
mod outcome;
mod recording;
mod restore;
mod rule_file;
mod schedule;
mod template;
mod transition;

pub use alert::{Alert, AlertState, OutgoingAlert};
pub use alerting::AlertingRule;
pub use engine::{Engine, ForState, NoSink, RuleSample, RuleValue, SampleSink};
pub use error::{EvaluationError, RuleFileError};
pub use group::{Evaluation, Group, GroupOptions, Retired, Rule};
pub use links::{graph_link, table_link};
pub use metrics::Metrics;
pub use outcome::{Health, RuleStatus};
pub use recording::RecordingRule;
pub use rule_file::{GroupSpec, RuleFile, RuleSpec, validate};
pub use template::{TemplateContext, check_template};
pub use transition::Transition;
