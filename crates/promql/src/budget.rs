//! What a query may hold: samples and memory.

use std::sync::atomic::{AtomicU64, Ordering};

use resources::{RequestContext, Reservation};

use crate::QueryError;
use crate::series::{Series, Steps};

/// The flag that raises the limit on samples.
const SETTING: &str = "--query.max-samples";

/// Counts the samples that a query holds, against its limit.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    ctx: &'a RequestContext,
    samples_max: u64,
    samples: AtomicU64,
    peak: AtomicU64,
}

/// Samples and memory that are held; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    budget: &'a Budget<'a>,
    samples: u64,
    _memory: Reservation,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(ctx: &'a RequestContext, samples_max: u64) -> Self {
        Self { ctx, samples_max, samples: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    /// Takes room for samples and bytes.
    pub(crate) fn take(&'a self, samples: u64, bytes: u64) -> Result<Held<'a>, QueryError> {
        let memory = self.ctx.memory.reserve(bytes)?;
        let now = self.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        // Made before the check, so that what was added is taken off again.
        let held = Held { budget: self, samples, _memory: memory };
        if now > self.samples_max {
            return Err(QueryError::TooManySamples { limit: self.samples_max, setting: SETTING });
        }
        self.peak.fetch_max(now, Ordering::Relaxed);
        Ok(held)
    }

    /// Refuses more steps than samples are allowed: each of them is at least one.
    pub(crate) fn check_steps(&self, steps: Steps) -> Result<(), QueryError> {
        if steps.count as u64 > self.samples_max {
            return Err(QueryError::TooManySamples { limit: self.samples_max, setting: SETTING });
        }
        Ok(())
    }

    /// Takes memory for columns of this many series, before they are known to hold anything.
    pub(crate) fn columns(&'a self, series: usize, steps: Steps) -> Result<Held<'a>, QueryError> {
        self.take(0, (series as u64).saturating_mul(steps.count as u64 * 8))
    }

    /// Takes room for series.
    pub(crate) fn hold(&'a self, series: &[Series]) -> Result<Held<'a>, QueryError> {
        let samples = series.iter().map(|series| series.points.sample_count()).sum();
        let bytes = series
            .iter()
            .map(|series| series.points.heap_bytes() + series.labels.heap_bytes() as u64 + 80)
            .sum();
        self.take(samples, bytes)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.samples.fetch_sub(self.samples, Ordering::Relaxed);
    }
}
