//! Logs to standard error and traces to an OTLP collector.

mod line;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, reload};

use crate::instruments::Counter;
use crate::registry::Registry;

use line::LineLayer;

/// The libraries whose own events only say something below warnings when one debugs them.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,rustls=warn,sled=warn,reqwest=warn,\
    opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=warn,pagecache=warn,tungstenite=warn";

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… level=info msg="…" key=value`
    #[default]
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The form of a line.
    pub format: LogFormat,
    /// The lowest level, `debug` to `error`, or tracing directives such as `info,tsdb=debug`.
    pub level: String,
    /// What the service calls itself in traces.
    pub service_name: String,
    /// Where traces go (`OTEL_EXPORTER_OTLP_ENDPOINT`, such as `http://localhost:4317`); `None` makes none.
    pub otlp_endpoint: Option<String>,
}

impl LogOptions {
    /// The defaults for a service: logfmt, `info`, traces where the environment asks for them.
    pub fn for_service(service_name: &str) -> Self {
        let endpoint = std::env::var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|_| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT"));
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
            service_name: std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| service_name.to_owned()),
            otlp_endpoint: endpoint.ok().filter(|endpoint| !endpoint.is_empty()),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The level is none.
    #[error(
        "log level {level:?} is not valid: use debug, info, warn or error, or directives such as info,tsdb=debug"
    )]
    Level {
        /// What was given.
        level: String,
    },
    /// The OTLP exporter could not be made.
    #[error("traces cannot be sent to {endpoint} (OTEL_EXPORTER_OTLP_ENDPOINT)")]
    Otlp {
        /// The endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Logging is set up already.
    #[error("logging is set up already")]
    Installed,
}

type SetFilter = Arc<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The set-up of a process: changes the level, shows counters, flushes traces.
#[derive(Clone)]
pub struct Logging {
    set_filter: SetFilter,
    counters: Arc<LevelCounters>,
    tracer: Option<SdkTracerProvider>,
}

/// Events by level, those held back as repeats included.
#[derive(Debug, Default)]
pub(crate) struct LevelCounters {
    pub(crate) error: Counter,
    pub(crate) warn: Counter,
    pub(crate) info: Counter,
    pub(crate) debug: Counter,
    pub(crate) suppressed: Counter,
}

impl Logging {
    /// Sets up logging for the whole process. Only a `main` calls this, once; with an OTLP endpoint it must be called
    /// within a tokio runtime.
    pub fn install(options: &LogOptions) -> Result<Self, LoggingError> {
        let (logging, dispatch) = Self::build(options, || Box::new(io::stderr()))?;
        tracing::dispatcher::set_global_default(dispatch).map_err(|_| LoggingError::Installed)?;
        Ok(logging)
    }

    /// The same without installing it: for tests, with [`tracing::dispatcher::with_default`].
    pub fn build(
        options: &LogOptions,
        writer: impl Fn() -> Box<dyn io::Write> + Send + Sync + 'static,
    ) -> Result<(Self, Dispatch), LoggingError> {
        let (filter, handle) = reload::Layer::new(parse_filter(&options.level)?);
        let counters = Arc::new(LevelCounters::default());
        let lines = LineLayer::new(options.format, Arc::clone(&counters), Box::new(writer));
        let tracer = match &options.otlp_endpoint {
            Some(endpoint) => Some(tracer_provider(&options.service_name, endpoint)?),
            None => None,
        };
        let traces = tracer.as_ref().map(|provider| {
            let own_events_only = Targets::new().with_default(LevelFilter::INFO).with_targets(
                ["h2", "hyper", "hyper_util", "tonic", "tower", "reqwest", "rustls"]
                    .map(|t| (t, LevelFilter::OFF)),
            );
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("watchbell"))
                .with_filter(own_events_only)
        });
        let subscriber = tracing_subscriber::registry().with(traces).with(lines.with_filter(filter));
        let set_filter: SetFilter = Arc::new(move |filter| handle.reload(filter).is_ok());
        Ok((Self { set_filter, counters, tracer }, Dispatch::new(subscriber)))
    }

    /// Changes the level while the process runs.
    pub fn set_level(&self, level: &str) -> Result<(), LoggingError> {
        let changed = (self.set_filter)(parse_filter(level)?);
        debug_assert!(changed, "the subscriber outlives its handle");
        Ok(())
    }

    /// Shows `log_messages_total{level}` and `log_messages_suppressed_total` in a service's registry.
    pub fn register_metrics(&self, registry: &Registry) {
        let counters = Arc::clone(&self.counters);
        registry.collector(move |out| {
            let LevelCounters { error, warn, info, debug, suppressed } = &*counters;
            for (level, counter) in [("error", error), ("warn", warn), ("info", info), ("debug", debug)] {
                let labels = [("level", level)];
                out.counter("log_messages_total", "Log events by level.", &labels, counter.get() as f64);
            }
            out.counter(
                "log_messages_suppressed_total",
                "Log events held back as repeats.",
                &[],
                suppressed.get() as f64,
            );
        });
    }

    /// Sends the traces that wait, for at most `timeout`. Blocks.
    pub fn shutdown(&self, timeout: Duration) {
        if let Some(tracer) = &self.tracer
            && let Err(error) = tracer.shutdown_with_timeout(timeout)
        {
            tracing::warn!(error = %error, "traces not sent before the end");
        }
    }
}

impl std::fmt::Debug for Logging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logging").field("traces", &self.tracer.is_some()).finish_non_exhaustive()
    }
}

fn parse_filter(level: &str) -> Result<EnvFilter, LoggingError> {
    let fail = || LoggingError::Level { level: level.to_owned() };
    let own = level.trim();
    let known = own.contains([',', '=']) || own.parse::<LevelFilter>().is_ok();
    if own.is_empty() || !known {
        return Err(fail());
    }
    EnvFilter::builder().parse(format!("{QUIET},{own}")).map_err(|_| fail())
}

fn tracer_provider(service_name: &str, endpoint: &str) -> Result<SdkTracerProvider, LoggingError> {
    use opentelemetry_otlp::WithExportConfig as _;
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| LoggingError::Otlp { endpoint: endpoint.to_owned(), source })?;
    let resource = Resource::builder().with_service_name(service_name.to_owned()).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
