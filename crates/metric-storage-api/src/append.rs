//! Writing: a batch of samples, committed or rolled back as a whole.

use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, MetricMetadata, TimestampMs};

use crate::StorageError;

/// A series of a store, stable while the series lives; 0 is never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// Why one sample of a batch was refused. The others are kept: what to answer is the protocol's business.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendRejection {
    /// Older than the series' newest sample, and no out-of-order window is set.
    #[error("out of order sample")]
    OutOfOrder,
    /// Older than what the store still takes.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// The same timestamp with another value.
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// A histogram whose parts do not fit each other.
    #[error("invalid native histogram: {0}")]
    InvalidHistogram(Arc<str>),
    /// A label set without a name, with a repeated name, or with an invalid one.
    #[error("invalid labels: {0}")]
    InvalidLabels(Arc<str>),
    /// A limit on series or labels; existing series keep flowing.
    #[error("{limit} limit reached: {detail}; raise {setting}")]
    LimitReached {
        /// Which limit.
        limit: Arc<str>,
        /// What met it, such as the metric's name.
        detail: Arc<str>,
        /// The flag or key that raises it.
        setting: Arc<str>,
    },
    /// The series is not (or no longer) known: resolve it again.
    #[error("unknown series reference")]
    UnknownSeries,
    /// An exemplar that is older than, or the same as, the series' newest.
    #[error("out of order or duplicate exemplar")]
    ExemplarOutOfOrder,
}

/// A float sample and the key of its series.
#[derive(Clone, Copy, Debug)]
pub struct KeyedSample<'a> {
    /// As in [`Appender::resolve`].
    pub key: &'a [u8],
    /// When.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: f64,
}

/// A float sample of a series that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesSample {
    /// The series.
    pub series: SeriesRef,
    /// When.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: f64,
}

/// Why [`Appender::append_keyed`] has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyedStop {
    /// The key is not known, and no labels were made for it.
    UnknownKey,
    /// The labels or the sample were refused.
    Rejected(AppendRejection),
}

/// What a commit has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitSummary {
    /// Float samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// Series that were created.
    pub series_created: u64,
}

/// A batch being written. Dropping it without commit rolls it back: no sample of it becomes visible or durable
/// (series that it created may stay, empty, until they are collected).
pub trait Appender: Send {
    /// Finds or creates a series. `key` is any byte string that always means the same label set to this caller, such as the
    /// label bytes of a remote-write message; `make_labels` is called only where the key is not known yet. Two keys that
    /// make the same label set resolve to the same series. An empty key is never cached.
    fn resolve(
        &mut self,
        key: &[u8],
        make_labels: &mut dyn FnMut() -> Result<Labels, AppendRejection>,
    ) -> Result<SeriesRef, AppendRejection>;

    /// Adds a float sample. The same timestamp with the same value as the newest is fine and stores nothing.
    fn append(
        &mut self,
        series: SeriesRef,
        timestamp: TimestampMs,
        value: f64,
    ) -> Result<(), AppendRejection>;

    /// Adds float samples in their order, each to the series of its key; what many samples in one go allow makes this cheaper
    /// than one by one. `make_labels` is asked with a sample's index where its key is not known; it may say that the key is
    /// none (`Ok(None)`).
    ///
    /// # Errors
    /// Stops at the first sample that cannot be added, and returns its index. Those before it are added.
    fn append_keyed(
        &mut self,
        samples: &[KeyedSample<'_>],
        make_labels: &mut dyn FnMut(usize) -> Result<Option<Labels>, AppendRejection>,
    ) -> Result<(), (usize, KeyedStop)> {
        for (idx, sample) in samples.iter().enumerate() {
            let mut is_key = true;
            let resolved = self.resolve(sample.key, &mut || {
                let made = make_labels(idx)?;
                is_key = made.is_some();
                made.ok_or_else(|| AppendRejection::InvalidLabels("not a key".into()))
            });
            let added = resolved.and_then(|series| self.append(series, sample.timestamp, sample.value));
            added.map_err(|rejection| {
                (idx, if is_key { KeyedStop::Rejected(rejection) } else { KeyedStop::UnknownKey })
            })?;
        }
        Ok(())
    }

    /// Adds float samples in their order; what many samples in one go allow makes this cheaper than one by one. `refused` is
    /// told the index of each that is not added, and why.
    fn append_many(&mut self, samples: &[SeriesSample], refused: &mut dyn FnMut(usize, AppendRejection)) {
        for (idx, sample) in samples.iter().enumerate() {
            if let Err(rejection) = self.append(sample.series, sample.timestamp, sample.value) {
                refused(idx, rejection);
            }
        }
    }

    /// Adds a native histogram.
    fn append_histogram(
        &mut self,
        series: SeriesRef,
        timestamp: TimestampMs,
        histogram: &FloatHistogram,
    ) -> Result<(), AppendRejection>;

    /// Adds an exemplar.
    fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendRejection>;

    /// Sets a series' metadata.
    fn update_metadata(
        &mut self,
        series: SeriesRef,
        metadata: &MetricMetadata,
    ) -> Result<(), AppendRejection>;

    /// Adds a sample at which the series' counting started (0), where it is before the series' newest sample nothing happens.
    fn append_start(&mut self, series: SeriesRef, start: TimestampMs) -> Result<(), AppendRejection>;

    /// Writes the batch to the log (and syncs it where the store is set so), then makes it visible. After an error nothing
    /// of the batch is acknowledged.
    fn commit(self: Box<Self>) -> Result<CommitSummary, StorageError>;
}
