//! `| unpack`: a JSON object of strings whose `_entry` is the line.

use super::json::{Scanner, unescape_into};
use crate::line_labels::{LineLabels, error_kind};

/// Takes labels out of the object and returns the line that was packed in it, if there is one.
pub(super) fn run(line: &str, labels: &mut LineLabels) -> Option<String> {
    if line.is_empty() {
        return None;
    }
    match strings(line) {
        Ok(mut pairs) => {
            let at = pairs.iter().position(|(name, _)| name == "_entry")?;
            let entry = pairs.remove(at).1;
            for (name, value) in &pairs {
                labels.extract(name, value);
            }
            Some(entry)
        }
        Err(reason) => {
            labels.set_error(error_kind::JSON, &reason);
            None
        }
    }
}

/// The members of the object that are strings.
fn strings(line: &str) -> Result<Vec<(String, String)>, String> {
    let mut scanner = Scanner::new(line);
    let mut pairs = Vec::new();
    scanner.skip_blanks();
    if scanner.peek() != Some(b'{') {
        return Err("expecting a JSON object".to_owned());
    }
    scanner.expect(b'{')?;
    scanner.skip_blanks();
    if scanner.take(b'}') {
        return Ok(pairs);
    }
    loop {
        scanner.skip_blanks();
        let (mut name, mut value) = (String::new(), String::new());
        let is_valid = unescape_into(&mut name, scanner.string()?);
        scanner.skip_blanks();
        scanner.expect(b':')?;
        scanner.skip_blanks();
        if scanner.peek() == Some(b'"') {
            if unescape_into(&mut value, scanner.string()?) && is_valid {
                pairs.push((name, value));
            }
        } else {
            scanner.value(0)?;
        }
        scanner.skip_blanks();
        if scanner.take(b'}') {
            return Ok(pairs);
        }
        scanner.expect(b',')?;
    }
}
