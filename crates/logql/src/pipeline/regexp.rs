//! `| regexp`: named groups become labels.

use go_regex::Regex;

use super::sanitize_into;
use crate::LogqlError;
use crate::line_labels::LineLabels;

/// `| regexp`, compiled.
#[derive(Debug)]
pub(super) struct RegexpStage {
    regex: Regex,
    /// Groups by index, with the label that each becomes.
    groups: Vec<(usize, String)>,
}

impl RegexpStage {
    pub(super) fn new(text: &str) -> Result<Self, LogqlError> {
        let regex = Regex::new(text).map_err(|error| LogqlError::Invalid(error.to_string()))?;
        let mut groups: Vec<(usize, String)> = Vec::new();
        for (idx, name) in regex.inner().capture_names().enumerate() {
            let Some(name) = name else { continue };
            let mut label = String::new();
            sanitize_into(&mut label, name);
            if groups.iter().any(|(_, found)| *found == label) {
                return Err(LogqlError::Invalid(format!("duplicate extracted label name '{label}'")));
            }
            groups.push((idx, label));
        }
        if groups.is_empty() {
            return Err(LogqlError::Invalid("at least one named capture must be supplied".to_owned()));
        }
        Ok(Self { regex, groups })
    }

    pub(super) fn run(&self, line: &str, labels: &mut LineLabels) {
        let Some(captures) = self.regex.inner().captures(line) else { return };
        for (idx, label) in &self.groups {
            labels.extract(label, captures.get(*idx).map_or("", |group| group.as_str()));
        }
    }
}
