//! `| decolorize`: takes ANSI escape sequences out of a line.

/// The line without escape sequences; `None` where it has none.
pub(super) fn strip(line: &str) -> Option<String> {
    let is_start = |c: char| c == '\u{1b}' || c == '\u{9b}';
    line.find(is_start)?;
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(is_start) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        let is_csi = match chars.next() {
            Some('\u{9b}') => true,
            _ => match chars.clone().next() {
                Some('[') => {
                    chars.next();
                    true
                }
                Some(']') => {
                    rest = after_operating_system_command(chars.as_str());
                    continue;
                }
                _ => false,
            },
        };
        if is_csi {
            // Parameters, then one byte that says what is done.
            let body = chars.as_str();
            let end = body.find(|c: char| ('@'..='~').contains(&c));
            rest = end.map_or("", |end| &body[end + 1..]);
        } else {
            chars.next();
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    Some(out)
}

/// What follows the bell or the string terminator.
fn after_operating_system_command(body: &str) -> &str {
    let bell = body.find('\u{7}').map(|at| at + 1);
    let terminator = body.find("\u{1b}\\").map(|at| at + 2);
    match (bell, terminator) {
        (Some(bell), Some(terminator)) => &body[bell.min(terminator)..],
        (Some(end), None) | (None, Some(end)) => &body[end..],
        (None, None) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn sequences_go_and_text_stays() {
        for (line, plain) in [
            ("plain", None),
            ("\u{1b}[31mred\u{1b}[0m", Some("red")),
            ("a\u{1b}[1;32;40mb\u{9b}0mc", Some("abc")),
            ("x\u{1b}]0;title\u{7}y", Some("xy")),
            ("end\u{1b}", Some("end")),
            ("cut\u{1b}[31", Some("cut")),
        ] {
            assert_eq!(strip(line).as_deref(), plain, "{line:?}");
        }
    }
}
