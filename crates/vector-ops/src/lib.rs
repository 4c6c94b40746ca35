//! Which series combine: grouping for aggregations and matching for binary operators, shared by PromQL and LogQL.
//!
//! Invariants: only labels are looked at, never values: each language does its own arithmetic over the plans made here.
//! Plans are deterministic: groups are numbered in order of first appearance.
//!
//! - [`Grouping`] turns a label set into its group's label set; [`GroupPlan`] numbers the groups of many series at once.
//! - [`Matching`] turns a label set into what two sides have to share; [`MatchPlan`] numbers the shared keys of both sides.
//! - [`result_labels`] makes the label set of a binary operation's result.

#![warn(missing_docs)]

mod grouping;
mod matching;

pub use grouping::{GroupPlan, Grouping};
pub use matching::{Include, MatchPlan, Matching, result_labels};
