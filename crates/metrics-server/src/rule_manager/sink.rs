//! What rules record, into the store.

use metric_storage_api::{AppendRejection, Appender, MetricStore};
use resources::RequestContext;
use rules::{RuleSample, RuleValue, SampleSink};

/// Stores a rule's results as one batch.
pub(super) struct StoreSink<'a> {
    pub(super) db: &'a tsdb::Db,
    pub(super) ctx: &'a RequestContext,
}

impl SampleSink for StoreSink<'_> {
    fn append(&mut self, samples: Vec<RuleSample>) -> Result<(), String> {
        let mut appender = self.db.appender(self.ctx).map_err(|error| service::error_chain(&error))?;
        for sample in &samples {
            match store(&mut *appender, sample) {
                // After a restart or a reload the same slot may come twice.
                Ok(())
                | Err(
                    AppendRejection::OutOfOrder
                    | AppendRejection::DuplicateTimestamp
                    | AppendRejection::TooOld,
                ) => {}
                Err(rejection) => return Err(rejection.to_string()),
            }
        }
        appender.commit().map(drop).map_err(|error| service::error_chain(&error))
    }
}

fn store(appender: &mut dyn Appender, sample: &RuleSample) -> Result<(), AppendRejection> {
    let series = appender.resolve(&[], &mut || Ok(sample.labels.clone()))?;
    match &sample.value {
        RuleValue::Float(value) => appender.append(series, sample.timestamp, *value),
        RuleValue::Histogram(histogram) => appender.append_histogram(series, sample.timestamp, histogram),
    }
}
