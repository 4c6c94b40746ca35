//! What a registry gathers when it is rendered.

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Quantiles computed here.
    Summary,
}

impl Kind {
    /// The kind's name in the text formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// The value of one label combination.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// Upper bound (the last one +Inf) and cumulative count.
        buckets: Vec<(f64, u64)>,
        /// Sum of the observations.
        sum: f64,
    },
    /// Of a summary.
    Summary {
        /// Quantile (0 to 1) and value.
        quantiles: Vec<(f64, f64)>,
        /// Sum of the observations.
        sum: f64,
        /// How many there were.
        count: u64,
    },
}

/// A metric family with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// The full name, `_total` included.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// The kind.
    pub kind: Kind,
    /// Label pairs and value.
    pub samples: Vec<(Vec<(String, String)>, Sample)>,
}

/// Where a callback registered with [`crate::Registry::collector`] puts what it knows at the moment of the scrape.
#[derive(Debug, Default)]
pub struct Collector {
    pub(crate) families: Vec<Collected>,
}

impl Collector {
    /// Adds a value of a counter. Values of the same name come together whatever the order of the calls.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, help, Kind::Counter, labels, Sample::Number(value));
    }

    /// Adds a value of a gauge.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, help, Kind::Gauge, labels, Sample::Number(value));
    }

    /// Adds a value of any kind.
    pub fn sample(&mut self, name: &str, help: &str, kind: Kind, labels: &[(&str, &str)], sample: Sample) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // The last family is the usual one: callbacks add the values of a name one after the other.
        if let Some(family) = self.families.iter_mut().rev().find(|family| family.name == name) {
            family.samples.push((labels, sample));
            return;
        }
        let (name, help) = (name.to_owned(), help.to_owned());
        self.families.push(Collected { name, help, kind, samples: vec![(labels, sample)] });
    }
}
