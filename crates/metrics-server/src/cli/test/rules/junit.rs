//! Results as JUnit's XML, which build servers read.

use model::format_rfc3339_ns;

use crate::cli::console::now_ms;

/// The tests of a file.
#[derive(Clone, Debug)]
pub(super) struct Suite {
    name: String,
    started: String,
    aborted: Option<String>,
    cases: Vec<(String, Vec<String>)>,
}

impl Suite {
    pub(super) fn new(name: &str) -> Self {
        let started = format_rfc3339_ns(now_ms() / 1000 * 1_000_000_000).trim_end_matches('Z').to_owned();
        Self { name: name.to_owned(), started, aborted: None, cases: Vec::new() }
    }

    /// The file could not be run.
    pub(super) fn abort(&mut self, error: &str) {
        self.aborted = Some(error.to_owned());
    }

    pub(super) fn case(&mut self, name: &str, failures: &[String]) {
        self.cases.push((name.to_owned(), failures.to_vec()));
    }
}

pub(super) fn render(suites: &[Suite]) -> String {
    let mut out = "<testsuites>".to_owned();
    for suite in suites {
        let failures: usize = suite.cases.iter().map(|(_, failures)| failures.len()).sum();
        let tests = suite.cases.len() + usize::from(suite.aborted.is_some());
        out.push_str(&format!(
            "<testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{}\" timestamp=\"{}\">",
            escaped(&suite.name),
            usize::from(suite.aborted.is_some()),
            suite.started
        ));
        for (name, failures) in &suite.cases {
            out.push_str(&format!("<testcase name=\"{}\">", escaped(name)));
            for failure in failures {
                out.push_str(&format!("<failure>{}</failure>", escaped(failure)));
            }
            out.push_str("</testcase>");
        }
        if let Some(error) = &suite.aborted {
            out.push_str(&format!("<testcase name=\"load\"><error>{}</error></testcase>", escaped(error)));
        }
        out.push_str("</testsuite>");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\n' => out.push_str("&#xA;"),
            '\t' => out.push_str("&#x9;"),
            // What XML cannot hold.
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut suite = Suite::new("a\"b");
        suite.case("<one>", &["x & y\u{1}".to_owned()]);
        let xml = render(&[suite]);
        assert!(xml.contains("name=\"a&#34;b\" tests=\"1\" failures=\"1\" errors=\"0\""), "{xml}");
        assert!(xml.contains("<testcase name=\"&lt;one&gt;\"><failure>x &amp; y\u{fffd}</failure>"), "{xml}");
    }
}
