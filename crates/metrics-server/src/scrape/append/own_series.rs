//! The series that a scrape says of itself: `up`, `scrape_duration_seconds` and the others.

use std::time::Duration;

use metric_storage_api::{AppendRejection, Appender};
use model::{Labels, LabelsBuilder, METRIC_NAME_LABEL, STALE_NAN, TimestampMs};

use super::super::cache::SeriesCache;
use super::{AppendEnv, Counts};

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
    let names: Vec<&'static str> = cache.own.iter().map(|(name, _)| *name).collect();
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
    let known = cache.own.iter().position(|(own, _)| *own == name);
    if let Some(place) = known {
        // Two targets with the same labels: the first one's sample counts.
        if appender.append(cache.own[place].1, at, value) != Err(AppendRejection::UnknownSeries) {
            return;
        }
    }
    let Ok(series) = appender.resolve(&[], &mut || Ok(own_labels(env, name))) else { return };
    appender.append(series, at, value).ok();
    match known {
        Some(place) => cache.own[place].1 = series,
        None => cache.own.push((name, series)),
    }
}

fn own_labels(env: &AppendEnv, name: &str) -> Labels {
    let mut labels = LabelsBuilder::from_labels(&env.target.labels);
    labels.set(METRIC_NAME_LABEL, name);
    labels.build()
}
