//! Series in memory, for tests and for rule unit tests.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use go_regex::CompiledMatcher;
use metric_storage_api::{
    EncodedChunk, ExemplarSeries, LabelQuery, MetricReader, SampleColumns, SelectRequest, SeriesReader,
    SeriesSet, StorageError,
};
use model::{FloatHistogram, Labels, MetricMetadata, TimeRange, TimestampMs};
use resources::RequestContext;

/// A store of series that lives in memory: what it is given is there at once and until it is cleared. No limits, no
/// durability, no exemplars and no metadata: for scripts and unit tests.
#[derive(Debug, Default)]
pub struct MemoryReader {
    series: BTreeMap<Labels, Arc<MemorySeries>>,
}

#[derive(Clone, Debug)]
struct MemorySeries {
    labels: Labels,
    columns: SampleColumns,
}

/// A sample's value, to be put into a [`MemoryReader`].
#[derive(Clone, Debug)]
pub enum MemoryValue {
    /// A float; may be the staleness marker.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl MemoryReader {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample; one at the same time is replaced. `start` is its start timestamp, 0 where none is known.
    pub fn add(&mut self, labels: &Labels, time: TimestampMs, value: &MemoryValue, start: TimestampMs) {
        let entry = self.series.entry(labels.clone()).or_insert_with(|| {
            Arc::new(MemorySeries { labels: labels.clone(), columns: SampleColumns::default() })
        });
        let columns = &mut Arc::make_mut(entry).columns;
        if columns.start_timestamps.is_empty() && start != 0 {
            columns.start_timestamps = vec![0; columns.len()];
        }
        let at = columns.timestamps.partition_point(|known| *known < time);
        let replaces = columns.timestamps.get(at) == Some(&time);
        let histogram = match value {
            MemoryValue::Float(_) => None,
            MemoryValue::Histogram(histogram) => Some(Arc::clone(histogram)),
        };
        if histogram.is_some() && columns.histograms.is_empty() {
            columns.histograms = vec![None; columns.len()];
        }
        let float = match value {
            MemoryValue::Float(value) => *value,
            MemoryValue::Histogram(histogram) => histogram.sum,
        };
        if replaces {
            columns.values[at] = float;
            if let Some(slot) = columns.histograms.get_mut(at) {
                *slot = histogram;
            }
            if let Some(slot) = columns.start_timestamps.get_mut(at) {
                *slot = start;
            }
            return;
        }
        if !columns.histograms.is_empty() || histogram.is_some() {
            columns.histograms.insert(at, histogram);
        }
        if !columns.start_timestamps.is_empty() || start != 0 {
            columns.start_timestamps.insert(at, start);
        }
        columns.timestamps.insert(at, time);
        columns.values.insert(at, float);
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    /// The samples of a series.
    pub fn samples(&self, labels: &Labels) -> Option<&SampleColumns> {
        self.series.get(labels).map(|series| &series.columns)
    }

    /// The labels of all series, in order.
    pub fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.series.keys()
    }

    fn matching<'a>(
        &'a self,
        ctx: &'a RequestContext,
        matchers: &'a [CompiledMatcher],
    ) -> Result<impl Iterator<Item = &'a Arc<MemorySeries>>, StorageError> {
        let enforced: Vec<CompiledMatcher> = ctx
            .enforced_matchers
            .iter()
            .map(|matcher| CompiledMatcher::new(matcher.clone()))
            .collect::<Result<_, _>>()
            .map_err(|error| StorageError::Unavailable { reason: error.to_string() })?;
        Ok(self.series.values().filter(move |series| {
            let holds = |matcher: &CompiledMatcher| matcher.matches(series.labels.value(matcher.name()));
            matchers.iter().all(holds) && enforced.iter().all(holds)
        }))
    }

    fn in_query<'a>(
        &'a self,
        ctx: &'a RequestContext,
        query: &LabelQuery<'a>,
    ) -> Result<Vec<&'a Arc<MemorySeries>>, StorageError> {
        let mut found: Vec<&Arc<MemorySeries>> = Vec::new();
        if query.selectors.is_empty() {
            found.extend(self.matching(ctx, &[])?);
        }
        for selector in query.selectors {
            found.extend(self.matching(ctx, selector)?);
        }
        found.retain(|series| !series.slice(query.range).is_empty());
        Ok(found)
    }
}

fn limited(values: BTreeSet<&str>, limit: usize) -> Vec<String> {
    let most = if limit == 0 { usize::MAX } else { limit };
    values.into_iter().take(most).map(str::to_owned).collect()
}

impl MetricReader for MemoryReader {
    fn select(&self, ctx: &RequestContext, request: &SelectRequest<'_>) -> Result<SeriesSet, StorageError> {
        ctx.check()?;
        let most = if request.hints.limit == 0 { usize::MAX } else { request.hints.limit };
        let series = self
            .matching(ctx, request.matchers)?
            .filter(|series| !series.slice(request.range).is_empty())
            .take(most)
            .map(|series| Arc::clone(series) as Arc<dyn SeriesReader>)
            .collect();
        Ok(SeriesSet { series, groups: None, warnings: Vec::new() })
    }

    fn label_names(&self, ctx: &RequestContext, query: &LabelQuery<'_>) -> Result<Vec<String>, StorageError> {
        let found = self.in_query(ctx, query)?;
        let names = found.iter().flat_map(|series| series.labels.iter().map(|(name, _)| name)).collect();
        Ok(limited(names, query.limit))
    }

    fn label_values(
        &self,
        ctx: &RequestContext,
        name: &str,
        query: &LabelQuery<'_>,
    ) -> Result<Vec<String>, StorageError> {
        let found = self.in_query(ctx, query)?;
        let values = found.iter().filter_map(|series| series.labels.get(name)).collect();
        Ok(limited(values, query.limit))
    }

    fn exemplars(
        &self,
        _: &RequestContext,
        _: &[Vec<CompiledMatcher>],
        _: TimeRange,
    ) -> Result<Vec<ExemplarSeries>, StorageError> {
        Ok(Vec::new())
    }

    fn metadata(
        &self,
        _: &RequestContext,
        _: Option<&str>,
    ) -> Result<Vec<(String, Vec<MetricMetadata>)>, StorageError> {
        Ok(Vec::new())
    }
}

impl MemorySeries {
    /// The indexes of the samples in a range.
    fn slice(&self, range: TimeRange) -> std::ops::Range<usize> {
        let times = &self.columns.timestamps;
        let low = times.partition_point(|time| *time < range.start);
        let high = times.partition_point(|time| *time <= range.end);
        low..high.max(low)
    }
}

impl SeriesReader for MemorySeries {
    fn labels(&self) -> Labels {
        self.labels.clone()
    }

    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        self.labels.get(name).map(Cow::Borrowed)
    }

    fn read(
        &self,
        ctx: &RequestContext,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), StorageError> {
        ctx.check()?;
        let slice = self.slice(range);
        let from = &self.columns;
        out.timestamps.extend_from_slice(&from.timestamps[slice.clone()]);
        out.values.extend_from_slice(&from.values[slice.clone()]);
        if !from.histograms.is_empty() {
            out.histograms.extend_from_slice(&from.histograms[slice.clone()]);
        }
        if !from.start_timestamps.is_empty() {
            out.start_timestamps.extend_from_slice(&from.start_timestamps[slice]);
        }
        Ok(())
    }

    fn chunks(&self, _: &RequestContext, _: TimeRange) -> Result<Vec<EncodedChunk>, StorageError> {
        // Samples are kept as columns: there are no chunks to ship.
        Err(StorageError::Unavailable { reason: "series in memory have no encoded chunks".to_owned() })
    }
}
