//! A checked, compiled rule and how it is applied.

use go_regex::Regex;
use model::LabelsBuilder;

use crate::md5::md5;
use crate::{Action, NameScheme, RelabelError, RuleSpec};

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

/// A rule ready to be applied.
#[derive(Clone, Debug)]
pub struct Rule {
    spec: RuleSpec,
    scheme: NameScheme,
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    modulus: u64,
    target_label: String,
    replacement: String,
}

/// Rules are equal where they were written alike.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.scheme == other.scheme
    }
}

/// Applies rules in order. `false` where one of them drops the label set; it is then not to be used.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    /// Checks and compiles a rule.
    ///
    /// # Errors
    /// Where a key is missing, invalid or not taken by the action, or where the regex does not compile.
    pub fn new(spec: RuleSpec, scheme: NameScheme) -> Result<Self, RelabelError> {
        let action = match spec.action.as_deref() {
            None => Action::default(),
            Some(name) => {
                Action::parse(name).ok_or_else(|| RelabelError::UnknownAction { action: name.to_owned() })?
            }
        };
        let rule = Self {
            action,
            scheme,
            source_labels: spec.source_labels.clone().unwrap_or_default(),
            separator: or_default(spec.separator.as_ref(), DEFAULT_SEPARATOR),
            regex: Regex::anchored(spec.regex.as_deref().unwrap_or(DEFAULT_REGEX))?,
            modulus: spec.modulus.unwrap_or(0),
            target_label: or_default(spec.target_label.as_ref(), ""),
            replacement: or_default(spec.replacement.as_ref(), DEFAULT_REPLACEMENT),
            spec,
        };
        rule.check()?;
        Ok(rule)
    }

    /// The rule as it was written.
    pub fn spec(&self) -> &RuleSpec {
        &self.spec
    }

    /// What the rule does.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Applies the rule; `false` where it drops the label set.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        match self.action {
            Action::LabelMap => self.map_names(labels),
            Action::LabelDrop => {
                labels.retain(|name, _| !self.regex.is_match(name));
            }
            Action::LabelKeep => {
                labels.retain(|name, _| self.regex.is_match(name));
            }
            _ => return self.apply_to_sources(labels),
        }
        true
    }

    fn apply_to_sources(&self, labels: &mut LabelsBuilder) -> bool {
        let joined = self.join_sources(labels);
        let target = self.target_label.as_str();
        match self.action {
            Action::Keep => return self.regex.is_match(&joined),
            Action::Drop => return !self.regex.is_match(&joined),
            Action::KeepEqual => return labels.get(target).unwrap_or("") == joined,
            Action::DropEqual => return labels.get(target).unwrap_or("") != joined,
            Action::HashMod => {
                let digest = md5(joined.as_bytes());
                let hash = digest[8..].iter().fold(0u64, |hash, byte| hash << 8 | u64::from(*byte));
                labels.set(target, &(hash % self.modulus).to_string());
            }
            Action::Lowercase => {
                labels.set(target, &joined.to_lowercase());
            }
            Action::Uppercase => {
                labels.set(target, &joined.to_uppercase());
            }
            Action::Replace => self.replace(labels, &joined),
            // These look at names alone.
            Action::LabelMap | Action::LabelDrop | Action::LabelKeep => {}
        }
        true
    }

    fn replace(&self, labels: &mut LabelsBuilder, joined: &str) {
        let Some(captures) = self.regex.inner().captures(joined) else {
            return;
        };
        let mut value = String::new();
        captures.expand(&self.replacement, &mut value);
        if !self.target_label.contains('$') {
            labels.set(&self.target_label, &value);
            return;
        }
        let mut target = String::new();
        captures.expand(&self.target_label, &mut target);
        if self.scheme.is_valid(&target) {
            labels.set(&target, &value);
        }
    }

    fn map_names(&self, labels: &mut LabelsBuilder) {
        let mut copies = Vec::new();
        for (name, value) in labels.iter() {
            if let Some(captures) = self.regex.inner().captures(name) {
                let mut copy = String::new();
                captures.expand(&self.replacement, &mut copy);
                copies.push((copy, value.to_owned()));
            }
        }
        for (name, value) in copies {
            labels.set(&name, &value);
        }
    }

    fn join_sources(&self, labels: &LabelsBuilder) -> String {
        let mut joined = String::new();
        for (idx, name) in self.source_labels.iter().enumerate() {
            if idx > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name).unwrap_or(""));
        }
        joined
    }

    fn check(&self) -> Result<(), RelabelError> {
        let action = self.action.as_str();
        if self.action == Action::HashMod && self.modulus == 0 {
            return Err(RelabelError::Missing { action, key: "a modulus above 0" });
        }
        if self.action.needs_target() {
            if self.target_label.is_empty() {
                return Err(RelabelError::Missing { action, key: "target_label" });
            }
            let valid = match self.action {
                Action::Replace => self.scheme.is_valid_template(&self.target_label),
                _ => self.scheme.is_valid(&self.target_label),
            };
            if !valid {
                let value = self.target_label.clone();
                return Err(RelabelError::InvalidName { action, key: "target_label", value });
            }
        }
        match self.action {
            Action::LabelMap if !self.scheme.is_valid_template(&self.replacement) => {
                let value = self.replacement.clone();
                Err(RelabelError::InvalidName { action, key: "replacement", value })
            }
            Action::Lowercase | Action::Uppercase => {
                self.refuse(&["replacement"], "source_labels, separator and target_label")
            }
            Action::KeepEqual | Action::DropEqual => self
                .refuse(&["regex", "modulus", "separator", "replacement"], "source_labels and target_label"),
            Action::LabelDrop | Action::LabelKeep => self
                .refuse(&["source_labels", "target_label", "modulus", "separator", "replacement"], "regex"),
            _ => Ok(()),
        }
    }

    /// Refuses those of `keys` that are set to something else than their default.
    fn refuse(&self, keys: &[&'static str], takes: &'static str) -> Result<(), RelabelError> {
        for key in keys {
            let set = match *key {
                "source_labels" => self.spec.source_labels.is_some(),
                "target_label" => !self.target_label.is_empty(),
                "modulus" => self.modulus != 0,
                "separator" => self.separator != DEFAULT_SEPARATOR,
                "replacement" => self.replacement != DEFAULT_REPLACEMENT,
                _ => self.regex.as_str() != DEFAULT_REGEX,
            };
            if set {
                return Err(RelabelError::NotTaken { action: self.action.as_str(), key, takes });
            }
        }
        Ok(())
    }
}

fn or_default(value: Option<&String>, default: &str) -> String {
    value.map_or_else(|| default.to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests;
