//! LogQL as the store's delete requests use it.

use std::sync::Arc;

use log_store::{EntryQueries, EntryTest};
use logql::EntryQuery;
use model::{Labels, TimestampNs};

/// Makes tests of LogQL queries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogqlEntryQueries;

#[derive(Debug)]
struct LogqlTest(EntryQuery);

impl EntryQueries for LogqlEntryQueries {
    fn compile(&self, query: &str) -> Result<Arc<dyn EntryTest>, String> {
        let expr = logql_syntax::parse_log(query).map_err(|error| error.to_string())?;
        // The same at each start: what a request takes must not depend on when it is looked at.
        let test = EntryQuery::new(&expr, 0).map_err(|error| error.to_string())?;
        Ok(Arc::new(LogqlTest(test)))
    }
}

impl EntryTest for LogqlTest {
    fn takes(
        &self,
        labels: &Labels,
        timestamp: TimestampNs,
        line: &str,
        metadata: &[(String, String)],
    ) -> bool {
        self.0.takes(labels, timestamp, line, metadata)
    }
}
