//! One scrape's samples into the store, with staleness and the target's own series. Blocks.

mod labels;
mod own_series;
mod resolution;

use std::sync::Arc;
use std::time::Duration;

use exposition::{Entry, ExemplarEntry, Format, MetadataKind, ParseOptions, Parser, SampleEntry, SeriesText};
use metric_storage_api::{AppendRejection, Appender, MetricStore, SeriesRef, SeriesSample, StorageError};
use model::{Exemplar, FloatHistogram, LabelsBuilder, MetricType, STALE_NAN, TimestampMs};
use resources::RequestContext;

use super::buffers::BodyBuffers;
use super::cache::{SeriesCache, Stored};
use super::metrics::Metrics;
use super::target::Target;
use crate::config::ScrapeConfig;

pub(crate) use resolution::Resolution;

/// Samples that go to the store in one call.
const BLOCK: usize = 512;

/// What a target's loop appends with.
#[derive(Clone, Debug)]
pub(crate) struct AppendEnv {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) ctx: RequestContext,
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) target: Arc<Target>,
    pub(crate) metrics: Metrics,
    pub(crate) store_exemplars: bool,
    pub(crate) buffers: Arc<BodyBuffers>,
}

/// A body, expanded.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) format: Format,
}

/// What the target's own series say of a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    scraped: u64,
    after_relabel: u64,
    added: u64,
    body_bytes: i64,
}

/// Stores a scrape: its samples, or that it failed. `took` is asked when the rest is done.
///
/// # Errors
/// Why the scrape counts as failed; what is to be known of that is stored nevertheless.
pub(crate) fn store_scrape(
    env: &AppendEnv,
    cache: &mut SeriesCache,
    fetched: Result<&Body, String>,
    at: TimestampMs,
    took: &dyn Fn() -> Duration,
) -> Result<(), String> {
    let failure = match fetched {
        Ok(body) => match store_body(env, cache, body, at, took) {
            Ok(()) => return Ok(()),
            Err(reason) => reason,
        },
        Err(reason) => reason,
    };
    if let Err(error) = store_failure(env, cache, at, took) {
        return Err(format!("{failure}; storing that failed, too: {error}"));
    }
    Err(failure)
}

/// Marks all series of a target as stale, its own included.
///
/// # Errors
/// Where the store refuses.
pub(crate) fn store_end(
    env: &AppendEnv,
    cache: &mut SeriesCache,
    at: TimestampMs,
) -> Result<(), StorageError> {
    let mut appender = env.db.appender(&env.ctx)?;
    mark_stale(&mut *appender, cache.all_vanish(), at);
    own_series::end(&mut *appender, env, cache, at);
    appender.commit().map(drop)
}

fn store_failure(
    env: &AppendEnv,
    cache: &mut SeriesCache,
    at: TimestampMs,
    took: &dyn Fn() -> Duration,
) -> Result<(), StorageError> {
    let mut appender = env.db.appender(&env.ctx)?;
    mark_stale(&mut *appender, cache.all_vanish(), at);
    own_series::report(
        &mut *appender,
        env,
        cache,
        &own_series::Report { up: false, counts: Counts::default(), took: took() },
        at,
    );
    appender.commit().map(drop)
}

fn store_body(
    env: &AppendEnv,
    cache: &mut SeriesCache,
    body: &Body,
    at: TimestampMs,
    took: &dyn Fn() -> Duration,
) -> Result<(), String> {
    let storage = |error: StorageError| service::error_chain(&error);
    let mut appender = env.db.appender(&env.ctx).map_err(storage)?;
    cache.begin();
    let options = ParseOptions {
        native_histograms: env.config.scrape.native_histograms,
        keep_classic: env.config.scrape.keep_classic_histograms,
    };
    let mut parser = Parser::new(&body.bytes, body.format, options);
    let mut sink = Sink {
        env,
        cache,
        appender: &mut *appender,
        counts: Counts { body_bytes: body.bytes.len() as i64, ..Counts::default() },
        scratch: LabelsBuilder::new(),
        waiting: Waiting::default(),
        at,
    };
    while let Some(entry) =
        parser.next_entry_like(sink.cache.expected()).map_err(|error| error.to_string())?
    {
        match entry {
            Entry::Metadata { family, kind } => note_metadata(sink.cache, &family, kind),
            Entry::Sample(sample) => sink.sample(&sample)?,
            Entry::Histogram(entry) => sink.histogram(entry.series, entry.histogram, entry.timestamp)?,
        }
    }
    sink.flush()?;
    let counts = sink.counts;
    mark_stale(&mut *appender, cache.vanished(), at);
    own_series::report(
        &mut *appender,
        env,
        cache,
        &own_series::Report { up: true, counts, took: took() },
        at,
    );
    appender.commit().map_err(storage)?;
    if std::mem::take(&mut cache.metadata_changed) {
        *env.target.metadata.lock() = Arc::new(cache.metadata.clone());
    }
    Ok(())
}

fn note_metadata(cache: &mut SeriesCache, family: &str, kind: MetadataKind<'_>) {
    if !cache.metadata.contains_key(family) {
        cache.metadata.insert(family.to_owned(), model::MetricMetadata::default());
        cache.metadata_changed = true;
    }
    let Some(metadata) = cache.metadata.get_mut(family) else { return };
    let changed = match kind {
        MetadataKind::Help(help) if metadata.help != help => {
            metadata.help = help.into_owned();
            true
        }
        MetadataKind::Unit(unit) if metadata.unit != unit => {
            metadata.unit = unit.into_owned();
            true
        }
        MetadataKind::Type(kind) if metadata.kind != kind => {
            metadata.kind = kind;
            true
        }
        MetadataKind::Help(_) | MetadataKind::Unit(_) | MetadataKind::Type(_) => false,
    };
    cache.metadata_changed |= changed;
}

fn mark_stale(appender: &mut dyn Appender, series: Vec<SeriesRef>, at: TimestampMs) {
    for series in series {
        // A series with a newer sample, or one that is gone from the store, needs no marker.
        appender.append(series, at, f64::from_bits(STALE_NAN)).ok();
    }
}

/// Samples of known series that are not with the store yet, and the places of their series in the cache.
#[derive(Debug, Default)]
struct Waiting {
    samples: Vec<SeriesSample>,
    places: Vec<u32>,
}

/// What one scrape's samples need to be stored.
struct Sink<'a> {
    env: &'a AppendEnv,
    cache: &'a mut SeriesCache,
    appender: &'a mut dyn Appender,
    counts: Counts,
    scratch: LabelsBuilder,
    waiting: Waiting,
    at: TimestampMs,
}

impl Sink<'_> {
    fn sample(&mut self, sample: &SampleEntry<'_>) -> Result<(), String> {
        let Some((place, timestamp)) = self.place(sample.series, sample.timestamp)? else { return Ok(()) };
        let Some(stored) = self.cache.stored(place) else { return Ok(()) };
        let (series, value) = (stored.series, sample.value);
        self.waiting.samples.push(SeriesSample { series, timestamp, value });
        self.waiting.places.push(place);
        if self.waiting.samples.len() == BLOCK {
            self.flush()?;
        }
        match &sample.exemplar {
            Some(exemplar) if self.env.store_exemplars => self.exemplar(series, exemplar, timestamp),
            _ => Ok(()),
        }
    }

    fn histogram(
        &mut self,
        series: SeriesText<'_>,
        histogram: &FloatHistogram,
        timestamp: Option<TimestampMs>,
    ) -> Result<(), String> {
        let Some((place, timestamp)) = self.place(series, timestamp)? else { return Ok(()) };
        let Some(stored) = self.cache.stored(place) else { return Ok(()) };
        let bounds = self.env.config.resolution;
        let Some(histogram) = resolution::fitted(histogram, bounds) else {
            self.env.metrics.exceeded_buckets.inc();
            let limit = bounds.buckets_max;
            return Err(format!(
                "a native histogram has more than {limit} buckets at the lowest resolution (native_histogram_bucket_limit)"
            ));
        };
        let histogram = &*histogram;
        let mut outcome = self.appender.append_histogram(stored.series, timestamp, histogram);
        if outcome == Err(AppendRejection::UnknownSeries) {
            let series = self.resolve_again(place)?;
            outcome = self.appender.append_histogram(series, timestamp, histogram);
        }
        self.count(outcome)
    }

    /// Where the cache has a sample's series, and the sample's time; `None` where rules drop it.
    #[inline]
    fn place(
        &mut self,
        series: SeriesText<'_>,
        timestamp: Option<TimestampMs>,
    ) -> Result<Option<(u32, TimestampMs)>, String> {
        let config = &self.env.config;
        let timestamp = timestamp.filter(|_| config.honor_timestamps);
        self.counts.scraped += 1;
        let place = match self.cache.see(series.as_bytes(), series.kind()) {
            Some(place) => place,
            None => self.add(series, timestamp.is_none() || config.track_timestamps_staleness)?,
        };
        if self.cache.stored(place).is_none() {
            return Ok(None);
        }
        self.counts.after_relabel += 1;
        let limit = config.scrape.limits.samples;
        if limit > 0 && self.counts.after_relabel > limit as u64 {
            self.env.metrics.exceeded_samples.inc();
            return Err(format!("sample limit exceeded: more than {limit} samples (sample_limit)"));
        }
        Ok(Some((place, timestamp.unwrap_or(self.at))))
    }

    /// Adds a series that the cache does not know; the place that it has there.
    fn add(&mut self, series: SeriesText<'_>, tracked: bool) -> Result<u32, String> {
        let stored = match self.parse(series)? {
            Some(labels) => Some(Stored { series: self.resolve(&labels)?, tracked }),
            None => None,
        };
        self.counts.added += u64::from(stored.is_some());
        Ok(self.cache.add(series.as_bytes(), series.kind(), stored))
    }

    fn resolve(&mut self, labels: &model::Labels) -> Result<SeriesRef, String> {
        let resolved = self.appender.resolve(&[], &mut || Ok(labels.clone()));
        resolved.map_err(|rejection| rejection.to_string())
    }

    /// A series whose reference the store does not know any more.
    fn resolve_again(&mut self, place: u32) -> Result<SeriesRef, String> {
        let (text, kind): (Vec<u8>, MetricType) = {
            let (text, kind) = self.cache.text(place);
            (text.to_vec(), kind)
        };
        let labels = self.parse(SeriesText::new(&text, kind))?;
        let labels = labels.ok_or("a series that is stored is dropped by its rules")?;
        let series = self.resolve(&labels)?;
        self.cache.set_series(place, series);
        Ok(series)
    }

    /// Hands the waiting samples to the store.
    fn flush(&mut self) -> Result<(), String> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut refused = Vec::new();
        self.appender.append_many(&waiting.samples, &mut |idx, rejection| refused.push((idx, rejection)));
        for (idx, rejection) in refused {
            let mut outcome = Err(rejection);
            if outcome == Err(AppendRejection::UnknownSeries) {
                let (sample, series) = (waiting.samples[idx], self.resolve_again(waiting.places[idx])?);
                outcome = self.appender.append(series, sample.timestamp, sample.value);
            }
            self.count(outcome)?;
        }
        waiting.samples.clear();
        waiting.places.clear();
        self.waiting = waiting;
        Ok(())
    }

    /// The labels that a new series is stored with; `None` where rules drop it.
    fn parse(&mut self, series: SeriesText<'_>) -> Result<Option<model::Labels>, String> {
        series.labels(&mut self.scratch).map_err(|error| error.to_string())?;
        let config = &self.env.config;
        labels::merge(&mut self.scratch, &self.env.target.labels, config.honor_labels);
        if !relabel::apply(&config.metric_relabel, &mut self.scratch) {
            return Ok(None);
        }
        let labels = self.scratch.build();
        if labels.metric_name().is_empty() {
            return Err(format!("missing metric name (__name__ label) in {labels}"));
        }
        labels::check_limits(&labels, config.scrape.limits)
            .inspect_err(|_| self.env.metrics.exceeded_labels.inc())?;
        Ok(Some(labels))
    }

    /// A sample that does not fit in time is left out and counted; anything else fails the scrape.
    fn count(&self, outcome: Result<(), AppendRejection>) -> Result<(), String> {
        let metrics = &self.env.metrics;
        match outcome {
            Ok(()) => {}
            Err(AppendRejection::OutOfOrder) => metrics.out_of_order.inc(),
            Err(AppendRejection::DuplicateTimestamp) => metrics.duplicate_timestamps.inc(),
            Err(AppendRejection::OutOfBounds | AppendRejection::TooOld) => metrics.out_of_bounds.inc(),
            Err(rejection) => return Err(rejection.to_string()),
        }
        Ok(())
    }

    fn exemplar(
        &mut self,
        series: SeriesRef,
        entry: &ExemplarEntry<'_>,
        at: TimestampMs,
    ) -> Result<(), String> {
        entry.labels.labels(&mut self.scratch).map_err(|error| error.to_string())?;
        let exemplar = Exemplar {
            labels: self.scratch.build(),
            value: entry.value,
            timestamp: entry.timestamp.unwrap_or(at),
        };
        if self.appender.append_exemplar(series, exemplar).is_err() {
            self.env.metrics.exemplars_out_of_order.inc();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
