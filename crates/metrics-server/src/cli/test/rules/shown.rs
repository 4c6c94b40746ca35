//! What a failed test shows.

use model::Labels;

use crate::cli::console::braced;

/// Alerts as a numbered list, as promtool shows them.
pub(super) fn alerts(alerts: &[(Labels, Labels)]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let rows: Vec<String> = alerts
        .iter()
        .enumerate()
        .map(|(nth, (labels, annotations))| {
            format!("{nth}:\n  Labels:{}\n  Annotations:{}", braced(labels), braced(annotations))
        })
        .collect();
    format!("[\n{}\n]", rows.join(",\n"))
}

/// All lines but the first moved to the right.
pub(super) fn indented(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// The lines that are only in one of two texts: `-` those expected, `+` those found.
pub(super) fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let mut lengths = vec![vec![0usize; found.len() + 1]; expected.len() + 1];
    for (i, left) in expected.iter().enumerate().rev() {
        for (j, right) in found.iter().enumerate().rev() {
            lengths[i][j] = match left == right {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < expected.len() || j < found.len() {
        if i < expected.len() && j < found.len() && expected[i] == found[j] {
            lines.push(format!("  {}", expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == found.len() || (i < expected.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            lines.push(format!("- {}", expected[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", found[j]));
            j += 1;
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_lines() {
        assert_eq!(difference("a\nb\nc", "a\nc\nd"), "  a\n- b\n  c\n+ d");
        assert_eq!(difference("", "x"), "+ x");
    }
}
