//! A log query as a test of single entries, for what is not read through a scan: delete requests.

use std::borrow::Cow;

use log_storage_api::LineFilter;
use logql_syntax::LogExpr;
use model::{Labels, TimestampNs};

use crate::LogqlError;
use crate::line_labels::LineLabels;
use crate::scan::ScanPlan;

/// What of a log query stands behind its selector.
#[derive(Debug)]
pub struct EntryQuery {
    plan: ScanPlan,
}

impl EntryQuery {
    /// Compiles a query. `now` is what templates see as the present.
    ///
    /// # Errors
    /// Where a pattern, a regular expression or a template is none.
    pub fn new(expr: &LogExpr, now: TimestampNs) -> Result<Self, LogqlError> {
        Ok(Self { plan: ScanPlan::unbound(expr, now)? })
    }

    /// The filters on lines that a store can apply by itself, before anything else.
    pub fn line_filters(&self) -> &[LineFilter] {
        &self.plan.line_filters
    }

    /// Whether the line filters are all that the query says.
    pub fn is_line_filters_alone(&self) -> bool {
        self.plan.pipeline.is_empty()
    }

    /// Whether an entry passes all stages.
    pub fn takes(
        &self,
        stream: &Labels,
        timestamp: TimestampNs,
        line: &str,
        metadata: &[(String, String)],
    ) -> bool {
        if !self.plan.passes_line_filters(line) {
            return false;
        }
        if self.plan.pipeline.is_empty() {
            return true;
        }
        let mut labels = LineLabels::default();
        labels.reset(stream, metadata);
        self.plan.pipeline.run(timestamp, Cow::Borrowed(line), &mut labels).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_pass_all_stages_or_do_not() {
        let stream = Labels::from_pairs([("app", "a")]);
        let metadata = [("pod".to_owned(), "p1".to_owned())];
        for (query, line, takes, alone) in [
            ("{app=\"a\"}", "x", true, true),
            ("{app=\"a\"} |= \"x\" !~ \"y+\"", "x", true, true),
            ("{app=\"a\"} |= \"x\" !~ \"y+\"", "xyy", false, true),
            ("{app=\"a\"} | json | code >= 500", r#"{"code":503}"#, true, false),
            ("{app=\"a\"} | json | code >= 500", r#"{"code":200}"#, false, false),
            ("{app=\"a\"} | logfmt | user=\"eve\" | pod=\"p1\"", "user=eve", true, false),
            ("{app=\"a\"} | pod=\"p2\"", "x", false, false),
            ("{app=\"a\"} |= ip(\"10.0.0.0/8\")", "from 10.1.2.3", true, false),
            ("{app=\"a\"} | line_format \"{{.app}}!\" |= \"a!\"", "x", true, false),
        ] {
            let expr = logql_syntax::parse_log(query).expect(query);
            let test = EntryQuery::new(&expr, 0).expect(query);
            assert_eq!(test.takes(&stream, 1, line, &metadata), takes, "{query}: {line}");
            assert_eq!(test.is_line_filters_alone(), alone, "{query}");
        }
    }
}
