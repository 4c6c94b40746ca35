//! One scrape's samples into the store, with staleness and the target's own series. Blocks.

mod labels;
mod own_series;

use std::sync::Arc;
use std::time::Duration;

use exposition::{Entry, ExemplarEntry, Format, MetadataKind, ParseOptions, Parser, SampleEntry, SeriesText};
use metric_storage_api::{AppendRejection, Appender, MetricStore, SeriesRef, StorageError};
use model::{Exemplar, FloatHistogram, LabelsBuilder, STALE_NAN, TimestampMs};
use resources::RequestContext;

use super::cache::{SeriesCache, Stored};
use super::metrics::Metrics;
use super::target::Target;
use crate::config::ScrapeConfig;

/// What a target's loop appends with.
#[derive(Clone, Debug)]
pub(crate) struct AppendEnv {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) ctx: RequestContext,
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) target: Arc<Target>,
    pub(crate) metrics: Metrics,
    pub(crate) store_exemplars: bool,
}

/// A body as fetched.
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
    let mut counts = Counts { body_bytes: body.bytes.len() as i64, ..Counts::default() };
    let mut scratch = LabelsBuilder::new();
    while let Some(entry) = parser.next_entry().map_err(|error| error.to_string())? {
        let mut sink =
            Sink { env, cache, appender: &mut *appender, counts: &mut counts, scratch: &mut scratch, at };
        match entry {
            Entry::Metadata { family, kind } => note_metadata(cache, &family, kind),
            Entry::Sample(sample) => sink.sample(&sample)?,
            Entry::Histogram(entry) => sink.histogram(entry.series, entry.histogram, entry.timestamp)?,
        }
    }
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

fn mark_stale(appender: &mut dyn Appender, series: Vec<Stored>, at: TimestampMs) {
    for mut stored in series {
        // A series with a newer sample, or one that is gone from the store, needs no marker.
        let Ok(series) = series_ref(appender, &mut stored) else { continue };
        if appender.append(series, at, f64::from_bits(STALE_NAN)) == Err(AppendRejection::UnknownSeries) {
            stored.series = None;
            if let Ok(series) = series_ref(appender, &mut stored) {
                appender.append(series, at, f64::from_bits(STALE_NAN)).ok();
            }
        }
    }
}

fn series_ref(appender: &mut dyn Appender, stored: &mut Stored) -> Result<SeriesRef, AppendRejection> {
    if let Some(series) = stored.series {
        return Ok(series);
    }
    let labels = &stored.labels;
    let series = appender.resolve(&[], &mut || Ok(labels.clone()))?;
    stored.series = Some(series);
    Ok(series)
}

/// Adds one sample to a series.
type Append<'a> = dyn Fn(&mut dyn Appender, SeriesRef, TimestampMs) -> Result<(), AppendRejection> + 'a;

/// What one sample needs to be stored.
struct Sink<'a> {
    env: &'a AppendEnv,
    cache: &'a mut SeriesCache,
    appender: &'a mut dyn Appender,
    counts: &'a mut Counts,
    scratch: &'a mut LabelsBuilder,
    at: TimestampMs,
}

impl Sink<'_> {
    fn sample(&mut self, sample: &SampleEntry<'_>) -> Result<(), String> {
        let value = sample.value;
        let exemplar = sample.exemplar.filter(|_| self.env.store_exemplars);
        self.store(
            sample.series,
            sample.timestamp,
            &|appender, series, at| appender.append(series, at, value),
            exemplar,
        )
    }

    fn histogram(
        &mut self,
        series: SeriesText<'_>,
        histogram: &FloatHistogram,
        timestamp: Option<TimestampMs>,
    ) -> Result<(), String> {
        self.store(
            series,
            timestamp,
            &|appender, series, at| appender.append_histogram(series, at, histogram),
            None,
        )
    }

    fn store(
        &mut self,
        series: SeriesText<'_>,
        timestamp: Option<TimestampMs>,
        append: &Append<'_>,
        exemplar: Option<ExemplarEntry<'_>>,
    ) -> Result<(), String> {
        let config = &self.env.config;
        let timestamp = timestamp.filter(|_| config.honor_timestamps);
        let at = timestamp.unwrap_or(self.at);
        self.counts.scraped += 1;
        let (text, kind) = (series.as_bytes(), series.kind());
        if self.cache.see(text, kind).is_none() {
            let tracked = timestamp.is_none() || config.track_timestamps_staleness;
            let stored = self.parse(series)?.map(|labels| Stored { labels, series: None, tracked });
            self.counts.added += u64::from(stored.is_some());
            self.cache.add(text, kind, stored);
        }
        let Some(stored) = self.cache.see(text, kind).and_then(|entry| entry.stored.as_mut()) else {
            return Ok(());
        };
        self.counts.after_relabel += 1;
        let limit = config.scrape.limits.samples;
        if limit > 0 && self.counts.after_relabel > limit as u64 {
            self.env.metrics.exceeded_samples.inc();
            return Err(format!("sample limit exceeded: more than {limit} samples (sample_limit)"));
        }
        let mut outcome =
            series_ref(self.appender, stored).and_then(|series| append(self.appender, series, at));
        if outcome == Err(AppendRejection::UnknownSeries) {
            stored.series = None;
            outcome = series_ref(self.appender, stored).and_then(|series| append(self.appender, series, at));
        }
        let series = stored.series;
        self.count(outcome)?;
        match (exemplar, series) {
            (Some(exemplar), Some(series)) => self.exemplar(series, &exemplar, at),
            _ => Ok(()),
        }
    }

    /// The labels that a new series is stored with; `None` where rules drop it.
    fn parse(&mut self, series: SeriesText<'_>) -> Result<Option<model::Labels>, String> {
        series.labels(self.scratch).map_err(|error| error.to_string())?;
        let config = &self.env.config;
        labels::merge(self.scratch, &self.env.target.labels, config.honor_labels);
        if !relabel::apply(&config.metric_relabel, self.scratch) {
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
        entry.labels.labels(self.scratch).map_err(|error| error.to_string())?;
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
