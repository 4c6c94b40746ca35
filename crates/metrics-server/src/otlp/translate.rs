//! From metrics to series.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use model::{
    BUCKET_LABEL, BucketSpan, CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Exemplar, FloatHistogram, Labels,
    LabelsBuilder, METRIC_NAME_LABEL, MetricMetadata, MetricType, QUANTILE_LABEL, STALE_NAN, TimestampMs,
};

use wire::otlp::{KeyValue, Resource};

use super::message::{
    self, CUMULATIVE, DELTA, Data, ExemplarValue, ExponentialPoint, ExportRequest, HistogramPoint, Metric,
    NO_RECORDED_VALUE, Number, NumberPoint, ScopeMetrics, SummaryPoint,
};
use super::naming::{Named, Strategy, unit_words};

const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];
const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;
const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;
/// Characters of an exemplar's labels.
const EXEMPLAR_CHARACTERS_MAX: usize = 128;
/// `target_info` samples of one resource in one request.
const TARGET_INFO_MAX: i64 = 1000;

/// The `otlp` block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) strategy: Strategy,
    /// Resource attributes that become labels of every series.
    pub(crate) promoted: Vec<String>,
    /// All of them do, but for those in `ignored`.
    pub(crate) promote_all: bool,
    pub(crate) ignored: Vec<String>,
    pub(crate) keep_identifying: bool,
    pub(crate) histograms_to_custom_buckets: bool,
    pub(crate) promote_scope: bool,
    pub(crate) sanitize_underscore: bool,
    /// Points of delta temporality are stored as they are.
    pub(crate) allow_delta: bool,
    /// Half of it is the distance of `target_info` samples, in ms.
    pub(crate) lookback_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            promoted: Vec::new(),
            promote_all: false,
            ignored: Vec::new(),
            keep_identifying: false,
            histograms_to_custom_buckets: false,
            promote_scope: false,
            sanitize_underscore: true,
            allow_delta: false,
            lookback_ms: 300_000,
        }
    }
}

/// A sample or a histogram of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) labels: Labels,
    pub(crate) timestamp: TimestampMs,
    pub(crate) value: PointValue,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) metadata: Arc<MetricMetadata>,
}

/// What a point holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PointValue {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

/// What has become of a request.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    pub(crate) points: Vec<Point>,
    pub(crate) errors: Vec<String>,
    /// Names that fell together when they were escaped.
    pub(crate) collisions: u64,
    /// Metrics without points.
    pub(crate) empty: u64,
}

/// Turns a request into points. CPU work.
pub(crate) fn translate(request: &ExportRequest, settings: &Settings) -> Translated {
    let mut translation = Translation { settings, out: Translated::default(), seen_info: HashSet::new() };
    for resource in &request.resource_metrics {
        let empty = Resource::default();
        let from = translation.out.points.len();
        let attributes = &resource.resource.as_ref().unwrap_or(&empty).attributes;
        let context = Context::of(attributes, settings);
        for scope in &resource.scope_metrics {
            let scoped = context.with_scope(scope, settings);
            scope.metrics.iter().for_each(|metric| translation.metric(metric, &scoped));
        }
        translation.target_info(attributes, &context, from);
    }
    translation.out
}

/// Labels that all series of a resource and scope have.
#[derive(Clone, Debug)]
struct Context {
    /// Where the point has no such label itself.
    promoted: Vec<(String, String)>,
    job: String,
    instance: String,
    /// In place of the point's own.
    scope: Vec<(String, String)>,
}

impl Context {
    fn of(attributes: &[KeyValue], settings: &Settings) -> Self {
        let find = |key: &str| {
            let found = attributes.iter().find(|pair| pair.key == key);
            found.map(KeyValue::value_text).unwrap_or_default()
        };
        let (namespace, name) = (find(IDENTIFYING[0]), find(IDENTIFYING[1]));
        let job = if namespace.is_empty() || name.is_empty() { name } else { format!("{namespace}/{name}") };
        let has = |list: &[String], key: &str| list.iter().any(|one| one == key);
        let is_promoted = |pair: &&KeyValue| match settings.promote_all {
            true => !has(&settings.ignored, &pair.key),
            false => has(&settings.promoted, &pair.key),
        };
        let promoted =
            attributes.iter().filter(is_promoted).map(|pair| labelled(pair, "", settings)).collect();
        Self { promoted, job, instance: find(IDENTIFYING[2]), scope: Vec::new() }
    }

    fn with_scope(&self, metrics: &ScopeMetrics, settings: &Settings) -> Self {
        let mut context = self.clone();
        if settings.promote_scope
            && let Some(scope) = &metrics.scope
        {
            context.scope =
                scope.attributes.iter().map(|pair| labelled(pair, "otel_scope_", settings)).collect();
            context.scope.extend([
                ("otel_scope_name".to_owned(), scope.name.clone()),
                ("otel_scope_version".to_owned(), scope.version.clone()),
                ("otel_scope_schema_url".to_owned(), metrics.schema_url.clone()),
            ]);
        }
        context
    }
}

fn labelled(pair: &KeyValue, prefix: &str, settings: &Settings) -> (String, String) {
    let name = settings.strategy.label_name(&format!("{prefix}{}", pair.key), settings.sanitize_underscore);
    (name, pair.value_text())
}

struct Translation<'a> {
    settings: &'a Settings,
    out: Translated,
    seen_info: HashSet<(Labels, TimestampMs)>,
}

/// A metric with what its points have in common.
struct Family<'a> {
    name: String,
    metadata: Arc<MetricMetadata>,
    context: &'a Context,
}

impl Translation<'_> {
    fn metric(&mut self, metric: &Metric, context: &Context) {
        let Some(data) = &metric.data else {
            self.out.errors.push(format!("unsupported type of metric {:?}", metric.name));
            return;
        };
        let (kind, temporality) = match data {
            Data::Gauge(_) => (MetricType::Gauge, CUMULATIVE),
            Data::Sum(sum) if sum.is_monotonic => (MetricType::Counter, sum.temporality),
            Data::Sum(sum) => (MetricType::Gauge, sum.temporality),
            Data::Histogram(histogram) => (MetricType::Histogram, histogram.temporality),
            Data::Exponential(histogram) => (MetricType::Histogram, histogram.temporality),
            Data::Summary(_) => (MetricType::Summary, CUMULATIVE),
        };
        let is_delta = temporality == DELTA && self.settings.allow_delta;
        if temporality != CUMULATIVE && !is_delta {
            let reason = "invalid temporality and type combination for metric";
            self.out.errors.push(format!("{reason} {:?}", metric.name));
            return;
        }
        let named = Named {
            name: &metric.name,
            unit: &metric.unit,
            is_counter: kind == MetricType::Counter,
            is_gauge: matches!(data, Data::Gauge(_)),
        };
        let Some(name) = self.settings.strategy.metric_name(named) else {
            self.out.errors.push(format!("metric {:?} has no valid name", metric.name));
            return;
        };
        let (unit, per) = unit_words(&metric.unit);
        let unit = if per.is_empty() { unit } else { format!("{unit}_per_{per}") };
        let kind = if is_delta { MetricType::Unknown } else { kind };
        let metadata = Arc::new(MetricMetadata { kind, unit, help: metric.description.clone() });
        let family = Family { name, metadata, context };
        let before = self.out.points.len();
        match data {
            Data::Gauge(gauge) => gauge.data_points.iter().for_each(|point| self.number(&family, point)),
            Data::Sum(sum) => sum.data_points.iter().for_each(|point| self.number(&family, point)),
            Data::Histogram(histogram) => {
                histogram.data_points.iter().for_each(|point| {
                    match self.settings.histograms_to_custom_buckets {
                        true => self.custom_buckets(&family, point, is_delta),
                        false => self.classic(&family, point),
                    }
                });
            }
            Data::Exponential(histogram) => {
                histogram.data_points.iter().for_each(|point| self.exponential(&family, point, is_delta));
            }
            Data::Summary(summary) => {
                summary.data_points.iter().for_each(|point| self.summary(&family, point))
            }
        }
        self.out.empty += u64::from(before == self.out.points.len());
    }

    fn number(&mut self, family: &Family<'_>, point: &NumberPoint) {
        let value = match point.value {
            Some(Number::Double(value)) => value,
            Some(Number::Int(value)) => value as f64,
            None => 0.0,
        };
        let base = self.base(family, &point.attributes);
        let exemplars = point.exemplars.iter().map(exemplar).collect();
        self.float(
            family,
            (&base, "", None),
            millis(point.time_ns),
            unless_absent(point.flags, value),
            exemplars,
        );
    }

    fn classic(&mut self, family: &Family<'_>, point: &HistogramPoint) {
        let (base, at) = (self.base(family, &point.attributes), millis(point.time_ns));
        let value = |value: f64| unless_absent(point.flags, value);
        if let Some(sum) = point.sum {
            self.float(family, (&base, "_sum", None), at, value(sum), Vec::new());
        }
        self.float(family, (&base, "_count", None), at, value(point.count as f64), Vec::new());
        let mut exemplars: Vec<Exemplar> = point.exemplars.iter().map(exemplar).collect();
        exemplars.sort_by(|a, b| a.value.total_cmp(&b.value));
        let mut exemplars = exemplars.into_iter().peekable();
        let mut count = 0u64;
        for (bound, bucket) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
            count = count.saturating_add(*bucket);
            let mut own = Vec::new();
            while let Some(exemplar) = exemplars.next_if(|exemplar| exemplar.value <= *bound) {
                own.push(exemplar);
            }
            let bound = bound.to_string();
            let label = Some((BUCKET_LABEL, bound.as_str()));
            self.float(family, (&base, "_bucket", label), at, value(count as f64), own);
        }
        let label = Some((BUCKET_LABEL, "+Inf"));
        self.float(family, (&base, "_bucket", label), at, value(point.count as f64), exemplars.collect());
    }

    fn custom_buckets(&mut self, family: &Family<'_>, point: &HistogramPoint, is_delta: bool) {
        let counts: Vec<f64> = point.bucket_counts.iter().map(|count| *count as f64).collect();
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values: point.explicit_bounds.clone(),
            ..FloatHistogram::default()
        };
        histogram.compact();
        self.native(
            family,
            &point.attributes,
            point.time_ns,
            (histogram, point.count, point.sum, point.flags),
            is_delta,
        );
        self.add_exemplars(&point.exemplars);
    }

    fn exponential(&mut self, family: &Family<'_>, point: &ExponentialPoint, is_delta: bool) {
        if point.scale < SCHEMA_MIN {
            self.out.errors.push(format!(
                "cannot convert exponential to native histogram: scale must be >= {SCHEMA_MIN}, was {}",
                point.scale
            ));
            return;
        }
        // There a bucket begins after its index' power, here it ends with it.
        let side = |buckets: Option<&message::Buckets>| {
            let Some(buckets) = buckets.filter(|buckets| !buckets.bucket_counts.is_empty()) else {
                return (Vec::new(), Vec::new());
            };
            let length = buckets.bucket_counts.len() as u32;
            let spans = vec![BucketSpan { offset: buckets.offset.saturating_add(1), length }];
            (spans, buckets.bucket_counts.iter().map(|count| *count as f64).collect())
        };
        let (positive_spans, positive_buckets) = side(point.positive.as_ref());
        let (negative_spans, negative_buckets) = side(point.negative.as_ref());
        let zero_threshold =
            if point.zero_threshold > 0.0 { point.zero_threshold } else { DEFAULT_ZERO_THRESHOLD };
        let mut histogram = FloatHistogram {
            schema: point.scale,
            zero_threshold,
            zero_count: point.zero_count as f64,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..FloatHistogram::default()
        };
        if point.scale > SCHEMA_MAX {
            histogram = histogram.to_schema(SCHEMA_MAX);
        }
        histogram.compact();
        self.native(
            family,
            &point.attributes,
            point.time_ns,
            (histogram, point.count, point.sum, point.flags),
            is_delta,
        );
        self.add_exemplars(&point.exemplars);
    }

    fn native(
        &mut self,
        family: &Family<'_>,
        attributes: &[KeyValue],
        time_ns: u64,
        (mut histogram, count, sum, flags): (FloatHistogram, u64, Option<f64>, u32),
        is_delta: bool,
    ) {
        let base = self.base(family, attributes);
        if flags & NO_RECORDED_VALUE != 0 {
            self.float(family, (&base, "", None), millis(time_ns), f64::from_bits(STALE_NAN), Vec::new());
            return;
        }
        histogram.count = count as f64;
        histogram.sum = sum.unwrap_or(0.0);
        if is_delta {
            histogram.counter_reset_hint = CounterResetHint::Gauge;
        }
        let value = PointValue::Histogram(Box::new(histogram));
        self.push(family, (&base, "", None), millis(time_ns), value, Vec::new());
    }

    fn add_exemplars(&mut self, exemplars: &[message::Exemplar]) {
        if let Some(point) = self.out.points.last_mut() {
            point.exemplars = exemplars.iter().map(exemplar).collect();
            point.exemplars.sort_by_key(|exemplar| exemplar.timestamp);
        }
    }

    fn summary(&mut self, family: &Family<'_>, point: &SummaryPoint) {
        let (base, at) = (self.base(family, &point.attributes), millis(point.time_ns));
        let value = |value: f64| unless_absent(point.flags, value);
        self.float(family, (&base, "_sum", None), at, value(point.sum), Vec::new());
        self.float(family, (&base, "_count", None), at, value(point.count as f64), Vec::new());
        for one in &point.quantiles {
            let quantile = one.quantile.to_string();
            let label = Some((QUANTILE_LABEL, quantile.as_str()));
            self.float(family, (&base, "", label), at, value(one.value), Vec::new());
        }
    }

    fn float(
        &mut self,
        family: &Family<'_>,
        series: (&LabelsBuilder, &str, Option<(&str, &str)>),
        timestamp: TimestampMs,
        value: f64,
        exemplars: Vec<Exemplar>,
    ) {
        self.push(family, series, timestamp, PointValue::Float(value), exemplars);
    }

    fn push(
        &mut self,
        family: &Family<'_>,
        (base, suffix, label): (&LabelsBuilder, &str, Option<(&str, &str)>),
        timestamp: TimestampMs,
        value: PointValue,
        exemplars: Vec<Exemplar>,
    ) {
        let mut labels = base.clone();
        labels.set(METRIC_NAME_LABEL, &format!("{}{suffix}", family.name));
        if let Some((name, value)) = label {
            labels.set(name, value);
        }
        let metadata = Arc::clone(&family.metadata);
        self.out.points.push(Point { labels: labels.build(), timestamp, value, exemplars, metadata });
    }

    /// A point's labels but for its name.
    fn base(&mut self, family: &Family<'_>, attributes: &[KeyValue]) -> LabelsBuilder {
        self.labels(attributes, family.context, &[])
    }

    fn labels(&mut self, attributes: &[KeyValue], context: &Context, left_out: &[&str]) -> LabelsBuilder {
        let texts: BTreeMap<&str, String> = attributes
            .iter()
            .filter(|pair| !left_out.contains(&pair.key.as_str()))
            .map(|pair| (pair.key.as_str(), pair.value_text()))
            .collect();
        let mut labels = LabelsBuilder::new();
        for (key, text) in texts {
            let name = self.settings.strategy.label_name(key, self.settings.sanitize_underscore);
            match labels.get(&name).map(|before| format!("{before};{text}")) {
                Some(joined) => {
                    self.out.collisions += 1;
                    labels.set(&name, &joined);
                }
                None => {
                    labels.set(&name, &text);
                }
            }
        }
        for (name, value) in &context.promoted {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        for (name, value) in [("job", &context.job), ("instance", &context.instance)] {
            if !value.is_empty() {
                labels.set(name, value);
            }
        }
        for (name, value) in &context.scope {
            labels.set(name, value);
        }
        labels
    }

    /// What is known of a resource, as a series of its own over the time of its points.
    fn target_info(&mut self, attributes: &[KeyValue], context: &Context, from: usize) {
        let times = self.out.points[from..].iter().map(|point| point.timestamp);
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { return };
        let identifies = |pair: &KeyValue| IDENTIFYING.contains(&pair.key.as_str());
        if attributes.iter().all(identifies) || (context.job.is_empty() && context.instance.is_empty()) {
            return;
        }
        let left_out: &[&str] = if self.settings.keep_identifying { &[] } else { &IDENTIFYING };
        let plain = Context { promoted: Vec::new(), scope: Vec::new(), ..context.clone() };
        let mut labels = self.labels(attributes, &plain, left_out);
        labels.set(METRIC_NAME_LABEL, "target_info");
        let labels = labels.build();
        let help = "Target metadata".to_owned();
        let metadata =
            Arc::new(MetricMetadata { kind: MetricType::Gauge, help, ..MetricMetadata::default() });
        let step = (self.settings.lookback_ms / 2).max((last - first) / TARGET_INFO_MAX).max(1);
        let between = (first..last).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        for timestamp in between.chain([last]) {
            if self.seen_info.insert((labels.clone(), timestamp)) {
                self.out.points.push(Point {
                    labels: labels.clone(),
                    timestamp,
                    value: PointValue::Float(1.0),
                    exemplars: Vec::new(),
                    metadata: Arc::clone(&metadata),
                });
            }
        }
    }
}

fn millis(time_ns: u64) -> TimestampMs {
    (time_ns / 1_000_000) as i64
}

/// A point may say only that there is none any more.
fn unless_absent(flags: u32, value: f64) -> f64 {
    if flags & NO_RECORDED_VALUE != 0 { f64::from_bits(STALE_NAN) } else { value }
}

fn exemplar(exemplar: &message::Exemplar) -> Exemplar {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut labels = LabelsBuilder::new();
    let mut left = EXEMPLAR_CHARACTERS_MAX;
    let own = exemplar.attributes.iter().map(|pair| (pair.key.clone(), pair.value_text()));
    // The ids first: they are what an exemplar is for.
    let ids =
        [("trace_id".to_owned(), hex(&exemplar.trace_id)), ("span_id".to_owned(), hex(&exemplar.span_id))];
    for (name, value) in ids.into_iter().chain(own).filter(|(_, value)| !value.is_empty()) {
        let characters = name.chars().count() + value.chars().count();
        if characters <= left {
            left -= characters;
            labels.set(&name, &value);
        }
    }
    let value = match exemplar.value {
        Some(ExemplarValue::Double(value)) => value,
        Some(ExemplarValue::Int(value)) => value as f64,
        None => 0.0,
    };
    Exemplar { labels: labels.build(), value, timestamp: millis(exemplar.time_ns) }
}
