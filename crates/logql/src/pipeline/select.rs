//! `| drop` and `| keep`.

use go_regex::CompiledMatcher;
use logql_syntax::LabelSelection;

use crate::LogqlError;
use crate::line_labels::LineLabels;
use crate::selector::compile_matchers;

/// `| drop` or `| keep`, compiled.
#[derive(Debug)]
pub(super) struct SelectStage {
    selections: Vec<(String, Option<CompiledMatcher>)>,
    keeps: bool,
}

impl SelectStage {
    pub(super) fn drop(selections: &[LabelSelection]) -> Result<Self, LogqlError> {
        Ok(Self { selections: compile(selections)?, keeps: false })
    }

    pub(super) fn keep(selections: &[LabelSelection]) -> Result<Self, LogqlError> {
        Ok(Self { selections: compile(selections)?, keeps: true })
    }

    pub(super) fn run(&self, labels: &mut LineLabels) {
        if self.keeps {
            let selected = |name: &str, value: &str| {
                self.selections.iter().any(|(wanted, matcher)| {
                    wanted == name && matcher.as_ref().is_none_or(|matcher| matcher.matches(value))
                })
            };
            labels.retain(selected);
            return;
        }
        for (name, matcher) in &self.selections {
            if matcher.as_ref().is_none_or(|matcher| matcher.matches(labels.value_or_error(name))) {
                labels.remove(name);
            }
        }
    }
}

fn compile(selections: &[LabelSelection]) -> Result<Vec<(String, Option<CompiledMatcher>)>, LogqlError> {
    selections
        .iter()
        .map(|selection| {
            let matcher = match selection {
                LabelSelection::Name(_) => None,
                LabelSelection::Matching(matcher) => compile_matchers(std::slice::from_ref(matcher))?.pop(),
            };
            Ok((selection.name().to_owned(), matcher))
        })
        .collect()
}
