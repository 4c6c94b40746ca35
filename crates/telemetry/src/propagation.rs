//! W3C trace context in and out of HTTP headers and gRPC metadata (which is a header map too).

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// Writes `traceparent` (and `tracestate`) of the current span into `headers`; nothing where tracing is off. For tonic:
/// `inject_trace(request.metadata_mut().as_mut())`.
pub fn inject_trace(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Headers(headers));
}

/// Makes `span` a child of the span that `headers` name, if they do.
pub fn set_parent_from(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&ReadHeaders(headers));
    if parent.span().span_context().is_valid() {
        // It fails only where no OpenTelemetry layer is installed: then there is no parent to set.
        span.set_parent(parent).ok();
    }
}

/// The current span's `traceparent`, for messages that have no headers of their own; empty where tracing is off.
pub fn current_traceparent() -> String {
    let mut headers = HeaderMap::new();
    inject_trace(&mut headers);
    headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Makes `span` a child of the span that a `traceparent` of a message names; nothing where it names none.
pub fn set_parent(span: &Span, traceparent: &str) {
    if let Ok(value) = HeaderValue::from_str(traceparent) {
        set_parent_from(span, &HeaderMap::from_iter([(HeaderName::from_static(TRACEPARENT), value)]));
    }
}

/// The current span's trace id, where traces are on: for error answers and logs.
pub fn current_trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let id = span.span_context();
    id.is_valid().then(|| id.trace_id().to_string())
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            self.0.insert(name, value);
        }
    }
}

struct ReadHeaders<'a>(&'a HeaderMap);

impl Extractor for ReadHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
