//! Where metrics are registered and rendered.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::collect::{Collected, Collector, Kind, Sample};
use crate::family::Family;
use crate::instruments::{Counter, FloatCounter, Gauge, Histogram, Instrument};
use crate::process;
use crate::render::{self, Format};

/// A service's metrics. Cheap to clone; clones share the metrics.
///
/// Registering a name again gives the same metric back, so that several instances of a part add up. Registering it as
/// another kind or with other labels is a defect of the program and panics at start.
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    entries: Mutex<BTreeMap<String, Entry>>,
    collectors: Mutex<Vec<Callback>>,
}

type Callback = Arc<dyn Fn(&mut Collector) + Send + Sync>;

struct Entry {
    help: String,
    kind: Kind,
    /// The `Family<T>`, for who registers the name again.
    family: Box<dyn Any + Send>,
    samples: Samples,
}

type Samples = Arc<dyn Fn() -> Vec<(Vec<(String, String)>, Sample)> + Send + Sync>;

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter of whole numbers.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.counter_family(name, help, &[]).with(&[])
    }

    /// A counter of fractions, such as seconds.
    pub fn float_counter(&self, name: &str, help: &str) -> FloatCounter {
        self.float_counter_family(name, help, &[]).with(&[])
    }

    /// A gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.gauge_family(name, help, &[]).with(&[])
    }

    /// A histogram with these sorted upper bounds (`+Inf` is added by itself).
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.histogram_family(name, help, &[], bounds).with(&[])
    }

    /// Counters by label values. Label values come from enums or configuration, never from requests.
    pub fn counter_family(&self, name: &str, help: &str, labels: &[&str]) -> Family<Counter> {
        self.family(name, help, Kind::Counter, labels, Counter::default)
    }

    /// Counters of fractions by label values.
    pub fn float_counter_family(&self, name: &str, help: &str, labels: &[&str]) -> Family<FloatCounter> {
        self.family(name, help, Kind::Counter, labels, FloatCounter::default)
    }

    /// Gauges by label values.
    pub fn gauge_family(&self, name: &str, help: &str, labels: &[&str]) -> Family<Gauge> {
        self.family(name, help, Kind::Gauge, labels, Gauge::default)
    }

    /// Histograms by label values.
    pub fn histogram_family(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> Family<Histogram> {
        let bounds = bounds.to_vec();
        self.family(name, help, Kind::Histogram, labels, move || Histogram::detached(&bounds))
    }

    /// A gauge whose value is asked for at each scrape. The last one registered under a name counts.
    pub fn gauge_fn(&self, name: &str, help: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.callback(name, help, Kind::Gauge, value);
    }

    /// A counter whose value is asked for at each scrape.
    pub fn counter_fn(&self, name: &str, help: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.callback(name, help, Kind::Counter, value);
    }

    /// A callback that adds whole families at each scrape. It must not block for long.
    pub fn collector(&self, collect: impl Fn(&mut Collector) + Send + Sync + 'static) {
        self.0.collectors.lock().push(Arc::new(collect));
    }

    /// Adds `process_*`: CPU seconds, memory, file descriptors, threads, start time.
    pub fn process_metrics(&self) {
        self.collector(process::collect);
    }

    /// A gauge that is always 1 and carries constant labels, such as `*_build_info`.
    pub fn info(&self, name: &str, help: &str, labels: &[(&str, &str)]) {
        let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = labels.iter().map(|(_, value)| *value).collect();
        self.gauge_family(name, help, &names).with(&values).set(1.0);
    }

    /// All families with their present values, sorted by name and labels.
    pub fn gather(&self) -> Vec<Collected> {
        let entries: Vec<(String, String, Kind, Samples)> = self
            .0
            .entries
            .lock()
            .iter()
            .map(|(name, entry)| (name.clone(), entry.help.clone(), entry.kind, Arc::clone(&entry.samples)))
            .collect();
        let collectors = self.0.collectors.lock().clone();
        let mut collector = Collector::default();
        for (name, help, kind, samples) in entries {
            collector.families.push(Collected { name, help, kind, samples: samples() });
        }
        for collect in collectors {
            collect(&mut collector);
        }
        let mut families = collector.families;
        families.retain(|family| !family.samples.is_empty());
        families.sort_by(|a, b| a.name.cmp(&b.name));
        for family in &mut families {
            family.samples.sort_by(|a, b| a.0.cmp(&b.0));
        }
        families
    }

    /// All metrics as text.
    pub fn render(&self, format: Format) -> String {
        render::render(&self.gather(), format)
    }

    fn callback(&self, name: &str, help: &str, kind: Kind, value: impl Fn() -> f64 + Send + Sync + 'static) {
        let samples: Samples = Arc::new(move || vec![(Vec::new(), Sample::Number(value()))]);
        let entry = Entry { help: help.to_owned(), kind, family: Box::new(()), samples };
        self.0.entries.lock().insert(name.to_owned(), entry);
    }

    fn family<T: Instrument>(
        &self,
        name: &str,
        help: &str,
        kind: Kind,
        labels: &[&str],
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Family<T> {
        debug_assert!(is_metric_name(name), "{name} is not a metric name");
        let mut entries = self.0.entries.lock();
        if let Some(entry) = entries.get(name) {
            let family = entry.family.downcast_ref::<Family<T>>();
            let same = family.filter(|family| {
                entry.kind == kind && family.names().iter().map(|name| &**name).eq(labels.iter().copied())
            });
            assert!(same.is_some(), "metric {name} is registered as another kind or with other labels");
            if let Some(family) = same {
                return family.clone();
            }
        }
        let family = Family::new(labels, make);
        let shown = family.clone();
        let samples: Samples = Arc::new(move || shown.samples());
        let entry = Entry { help: help.to_owned(), kind, family: Box::new(family.clone()), samples };
        entries.insert(name.to_owned(), entry);
        family
    }
}

fn is_metric_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} metrics)", self.0.entries.lock().len())
    }
}
