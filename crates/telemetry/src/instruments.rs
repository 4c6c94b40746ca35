//! Handles that count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::collect::Sample;

/// A whole number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that only grows, such as seconds spent.
#[derive(Clone, Debug, Default)]
pub struct FloatCounter(Arc<AtomicU64>);

impl FloatCounter {
    /// Adds `amount`; a negative one or NaN is ignored.
    pub fn add(&self, amount: f64) {
        if amount > 0.0 {
            add_float(&self.0, amount);
        }
    }

    /// Adds a duration in seconds.
    pub fn add_duration(&self, duration: Duration) {
        self.add(duration.as_secs_f64());
    }

    /// The present value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds `amount`, which may be negative.
    pub fn add(&self, amount: f64) {
        add_float(&self.0, amount);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// Adds one until the guard is dropped.
    pub fn count(&self) -> GaugeGuard {
        self.inc();
        GaugeGuard(self.clone())
    }

    /// The present value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// One in a [`Gauge`], taken away when dropped.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Observations counted in buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: Box<[f64]>,
    /// One per bound and one for what is above them all; not cumulative.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram that no registry shows. Bounds are sorted upper bounds; `+Inf` is added by itself.
    pub fn detached(bounds: &[f64]) -> Self {
        debug_assert!(bounds.is_sorted(), "bucket bounds must grow");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds: bounds.into(), counts, sum: AtomicU64::new(0) }))
    }

    /// Counts an observation; NaN goes into the last bucket.
    pub fn observe(&self, value: f64) {
        let buckets = &*self.0;
        let idx = buckets.bounds.partition_point(|bound| *bound < value || value.is_nan());
        buckets.counts[idx].fetch_add(1, Ordering::Relaxed);
        add_float(&buckets.sum, value);
    }

    /// Counts a duration in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The sum of the observations.
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Ordering::Relaxed))
    }
}

fn add_float(cell: &AtomicU64, amount: f64) {
    let add = |bits: u64| Some((f64::from_bits(bits) + amount).to_bits());
    // The closure never refuses, so this never fails.
    cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok();
}

/// `count` bounds from `start`, each `width` above the last.
pub fn linear_buckets(start: f64, width: f64, count: usize) -> Vec<f64> {
    (0..count).map(|idx| start + width * idx as f64).collect()
}

/// `count` bounds from `start`, each `factor` times the last.
pub fn exponential_buckets(start: f64, factor: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(start), |bound| Some(bound * factor)).take(count).collect()
}

/// What a [`crate::Family`] can hold.
pub trait Instrument: Clone + Send + Sync + 'static {
    /// The present value.
    fn sample(&self) -> Sample;
}

impl Instrument for Counter {
    fn sample(&self) -> Sample {
        Sample::Number(self.get() as f64)
    }
}

impl Instrument for FloatCounter {
    fn sample(&self) -> Sample {
        Sample::Number(self.get())
    }
}

impl Instrument for Gauge {
    fn sample(&self) -> Sample {
        Sample::Number(self.get())
    }
}

impl Instrument for Histogram {
    fn sample(&self) -> Sample {
        let mut total = 0;
        let mut cumulative = |count: &AtomicU64| {
            total += count.load(Ordering::Relaxed);
            total
        };
        let buckets: Vec<(f64, u64)> = self
            .0
            .bounds
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .zip(self.0.counts.iter().map(&mut cumulative))
            .collect();
        Sample::Histogram { buckets, sum: self.sum() }
    }
}
