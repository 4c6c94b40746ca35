//! The table of texts of a 2.0 request.

use std::collections::HashMap;

use crate::wire_format::put_bytes;

/// Texts in the order of their first use; the first is empty.
#[derive(Debug)]
pub(super) struct Symbols {
    references: HashMap<String, u64>,
    fields: Vec<String>,
}

impl Symbols {
    pub(super) fn new() -> Self {
        Self { references: HashMap::from([(String::new(), 0)]), fields: vec![String::new()] }
    }

    /// The number that stands for `text`.
    pub(super) fn reference(&mut self, text: &str) -> u64 {
        if let Some(reference) = self.references.get(text) {
            return *reference;
        }
        let reference = self.fields.len() as u64;
        self.references.insert(text.to_owned(), reference);
        self.fields.push(text.to_owned());
        reference
    }

    /// All texts as a repeated field.
    pub(super) fn into_fields(self, field: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for text in &self.fields {
            put_bytes(&mut out, field, text.as_bytes());
        }
        out
    }
}
