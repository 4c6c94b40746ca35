//! The series that a scrape says of itself: `up`, `scrape_duration_seconds` and the others.

use std::time::Duration;

use metric_storage_api::{AppendRejection, Appender};
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, STALE_NAN, TimestampMs};

use super::super::cache::{SeriesCache, Stored};
use super::{AppendEnv, Counts, series_ref};

const ALWAYS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
const EXTRA: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// What a scrape says of itself.
pub(super) struct Report {
    pub(super) up: bool,
    pub(super) counts: Counts,
    pub(super) took: Duration,
}

/// Adds the series of a scrape.
pub(super) fn report(
    appender: &mut dyn Appender,
    env: &AppendEnv,
    cache: &mut SeriesCache,
    report: &Report,
    at: TimestampMs,
) {
    let counts = &report.counts;
    let values = [
        f64::from(u8::from(report.up)),
        report.took.as_secs_f64(),
        counts.scraped as f64,
        counts.after_relabel as f64,
        counts.added as f64,
    ];
    for (name, value) in ALWAYS.into_iter().zip(values) {
        append(appender, env, cache, name, at, value);
    }
    if env.config.scrape.extra_metrics {
        let limits = env.config.scrape.limits;
        let values = [env.target.timeout.as_secs_f64(), limits.samples as f64, counts.body_bytes as f64];
        for (name, value) in EXTRA.into_iter().zip(values) {
            append(appender, env, cache, name, at, value);
        }
    }
}

/// Marks them stale: the target is gone.
pub(super) fn end(appender: &mut dyn Appender, env: &AppendEnv, cache: &mut SeriesCache, at: TimestampMs) {
    let names: Vec<&'static str> = cache.own.keys().copied().collect();
    for name in names {
        append(appender, env, cache, name, at, f64::from_bits(STALE_NAN));
    }
}

fn append(
    appender: &mut dyn Appender,
    env: &AppendEnv,
    cache: &mut SeriesCache,
    name: &'static str,
    at: TimestampMs,
    value: f64,
) {
    let (labels, series) = cache.own.entry(name).or_insert_with(|| (own_labels(env, name), None)).clone();
    let mut stored = Stored { labels, series, tracked: true };
    for _attempt in 0..2 {
        let outcome = series_ref(appender, &mut stored).and_then(|series| appender.append(series, at, value));
        match outcome {
            Err(AppendRejection::UnknownSeries) => stored.series = None,
            // Two targets with the same labels: the first one's sample counts.
            _ => break,
        }
    }
    cache.own.insert(name, (stored.labels, stored.series));
}

fn own_labels(env: &AppendEnv, name: &str) -> Labels {
    let mut labels = LabelsBuilder::from_labels(&env.target.labels);
    labels.set(METRIC_NAME_LABEL, name);
    labels.build()
}
