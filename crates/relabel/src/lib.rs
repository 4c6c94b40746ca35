//! Relabel rules, as Prometheus' `relabel_configs` have them: they edit a label set or drop it.
//!
//! A [`RuleSpec`] is what a configuration says; [`Rule::new`] checks it and compiles it. Rules know no YAML and no target.

#![warn(missing_docs)]

mod action;
mod error;
mod md5;
mod rule;
mod spec;

pub use action::Action;
pub use error::RelabelError;
pub use rule::{Rule, apply};
pub use spec::{NameScheme, RuleSpec};
