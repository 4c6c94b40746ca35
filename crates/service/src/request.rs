//! From headers to a [`RequestContext`] and back.
//!
//! The same headers serve HTTP and gRPC metadata: `X-Scope-OrgID`, `X-Watchbell-Principal`, `X-Watchbell-Query-Id`,
//! `X-Watchbell-Matchers` (JSON; they only narrow what is seen, so anyone may send them), `X-Watchbell-Timeout-Ms` or
//! gRPC's own `grpc-timeout`, and `traceparent`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use model::{ErrorCode, MatchOp, Matcher, TenantId};
use resources::{
    CancelReason, CancelToken, CpuClass, CpuPools, MemoryBudget, Principal, QueryId, RequestContext,
};

/// The tenant's header.
pub const TENANT_HEADER: &str = "x-scope-orgid";
const PRINCIPAL_HEADER: &str = "x-watchbell-principal";
const QUERY_ID_HEADER: &str = "x-watchbell-query-id";
const MATCHERS_HEADER: &str = "x-watchbell-matchers";
const TIMEOUT_HEADER: &str = "x-watchbell-timeout-ms";
const GRPC_TIMEOUT_HEADER: &str = "grpc-timeout";

/// Matchers that a request may bring.
const MATCHERS_MAX: usize = 100;

/// Whose data requests are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// There is one tenant; the header is ignored (Loki's `auth_enabled: false`).
    Single,
    /// Every request names its tenant.
    Multiple,
}

/// Why a request's headers were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No tenant, where one is needed.
    #[error("no org id")]
    NoTenant,
    /// A header that cannot be read.
    #[error("header {name} is not valid")]
    Header {
        /// The header.
        name: &'static str,
    },
}

impl RequestError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoTenant => ErrorCode::Unauthenticated,
            Self::Header { .. } => ErrorCode::InvalidArgument,
        }
    }
}

/// Makes contexts: what a service gives all its requests.
#[derive(Clone, Debug)]
pub struct Contexts {
    tenancy: Tenancy,
    memory: MemoryBudget,
    cpu: CpuPools,
    timeout_max: Option<Duration>,
    instance: Arc<str>,
    next_id: Arc<AtomicU64>,
}

impl Contexts {
    /// `memory` is what each request's memory is taken from, `timeout_max` bounds what a request may ask for (and is its
    /// time where it asks for none), `instance` begins each query id.
    pub fn new(
        tenancy: Tenancy,
        memory: MemoryBudget,
        cpu: CpuPools,
        timeout_max: Option<Duration>,
        instance: &str,
    ) -> Self {
        Self { tenancy, memory, cpu, timeout_max, instance: instance.into(), next_id: Arc::default() }
    }

    /// The context of a request with these headers (`request.metadata().as_ref()` for tonic). `principal` is what the
    /// listener authenticated: `request.extensions().get::<Principal>()`.
    pub fn from_headers(
        &self,
        headers: &HeaderMap,
        principal: Option<&Principal>,
        class: CpuClass,
    ) -> Result<RequestScope, RequestError> {
        let tenant = match (self.tenancy, header(headers, TENANT_HEADER)?) {
            (Tenancy::Single, _) => TenantId::anonymous(),
            (Tenancy::Multiple, None) => return Err(RequestError::NoTenant),
            (Tenancy::Multiple, Some(name)) => {
                TenantId::parse(name).ok_or(RequestError::Header { name: "X-Scope-OrgID" })?
            }
        };
        let forwarded = header(headers, PRINCIPAL_HEADER)?.map(|name| Principal::User(name.into()));
        let principal = match principal {
            Some(Principal::Anonymous) | None => forwarded.unwrap_or(Principal::Anonymous),
            Some(known) => known.clone(),
        };
        let query_id = match header(headers, QUERY_ID_HEADER)? {
            Some(id) if id.len() <= 100 => id.into(),
            _ => format!("{}-{}", self.instance, self.next_id.fetch_add(1, Ordering::Relaxed)).into(),
        };
        let context = RequestContext {
            tenant,
            principal,
            enforced_matchers: matchers(headers)?.into(),
            timeout: self.bounded(timeout(headers)?),
            cancel: CancelToken::new(),
            memory: self.memory.clone(),
            cpu_class: class,
            cpu: self.cpu.clone(),
            query_id: QueryId(query_id),
        };
        Ok(RequestScope { context })
    }

    fn bounded(&self, asked: Option<Duration>) -> Option<Duration> {
        match (asked, self.timeout_max) {
            (Some(asked), Some(max)) => Some(asked.min(max)),
            (asked, max) => asked.or(max),
        }
    }
}

/// A context with what ends it: the client's leaving (the scope or its guard is dropped) and the deadline.
#[derive(Debug)]
pub struct RequestScope {
    /// The context.
    pub context: RequestContext,
}

impl RequestScope {
    /// Gives the request less time than it has: a `timeout` parameter.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        if let Some(timeout) = timeout {
            self.context.timeout = Some(self.context.timeout.map_or(timeout, |present| present.min(timeout)));
        }
        self
    }

    /// Drives `work`, which got a clone of the context. When the deadline passes the context is cancelled, and `work` ends
    /// with its own error; when this future is dropped, as it is where the client leaves, it is cancelled too.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        let guard = CancelGuard::new(&self.context);
        let mut work = std::pin::pin!(work);
        let output = match self.context.timeout {
            None => work.await,
            Some(timeout) => tokio::select! {
                output = &mut work => output,
                () = tokio::time::sleep(timeout) => {
                    self.context.cancel.cancel(CancelReason::TimedOut);
                    work.await
                }
            },
        };
        guard.disarm();
        output
    }

    /// For answers that are streamed after the handler returned: move the guard into the stream. The stream's producer
    /// watches the deadline by [`CancelGuard::timed_out`].
    pub fn into_guard(self) -> (RequestContext, CancelGuard) {
        let guard = CancelGuard::new(&self.context);
        (self.context, guard)
    }
}

/// Cancels its request when dropped, unless disarmed.
#[derive(Debug)]
pub struct CancelGuard {
    cancel: CancelToken,
    deadline: Option<tokio::time::Instant>,
    armed: bool,
}

impl CancelGuard {
    fn new(context: &RequestContext) -> Self {
        let deadline = context.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        Self { cancel: context.cancel.clone(), deadline, armed: true }
    }

    /// The work is done: dropping the guard has no effect any more.
    pub fn disarm(mut self) {
        self.armed = false;
    }

    /// Completes when the deadline has passed, having cancelled the request; never where there is none.
    pub async fn timed_out(&self) {
        match self.deadline {
            Some(deadline) => {
                tokio::time::sleep_until(deadline).await;
                self.cancel.cancel(CancelReason::TimedOut);
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if self.armed {
            self.cancel.cancel(CancelReason::Cancelled);
        }
    }
}

/// Writes a context into the headers (or gRPC metadata: `request.metadata_mut().as_mut()`) of a request to another
/// service, with the current trace. For gRPC also call `request.set_timeout(context.timeout)`.
pub fn inject_context(context: &RequestContext, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set(TENANT_HEADER, context.tenant.as_str());
    set(QUERY_ID_HEADER, &context.query_id.0);
    if let Principal::User(name) = &context.principal {
        set(PRINCIPAL_HEADER, name);
    }
    if let Some(timeout) = context.timeout {
        set(TIMEOUT_HEADER, &timeout.as_millis().to_string());
    }
    if !context.enforced_matchers.is_empty() {
        let triples: Vec<[&str; 3]> = context
            .enforced_matchers
            .iter()
            .map(|matcher| [matcher.name.as_str(), matcher.op.as_str(), matcher.value.as_str()])
            .collect();
        // Header values are ASCII: everything else is escaped.
        let json = ascii_json(&serde_json::to_string(&triples).unwrap_or_default());
        set(MATCHERS_HEADER, &json);
    }
    telemetry::inject_trace(headers);
}

fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, RequestError> {
    headers.get(name).map(|value| value.to_str().map_err(|_| RequestError::Header { name })).transpose()
}

fn matchers(headers: &HeaderMap) -> Result<Vec<Matcher>, RequestError> {
    let fail = RequestError::Header { name: "X-Watchbell-Matchers" };
    let Some(text) = header(headers, MATCHERS_HEADER)? else { return Ok(Vec::new()) };
    let triples: Vec<[String; 3]> = serde_json::from_str(text).map_err(|_| fail.clone())?;
    if triples.len() > MATCHERS_MAX {
        return Err(fail);
    }
    let parsed = triples.into_iter().map(|[name, op, value]| {
        let op = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]
            .into_iter()
            .find(|known| known.as_str() == op)?;
        Some(Matcher::new(name, op, value))
    });
    parsed.collect::<Option<_>>().ok_or(fail)
}

fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, RequestError> {
    let own = header(headers, TIMEOUT_HEADER)?
        .map(|text| text.parse().map(Duration::from_millis))
        .transpose()
        .map_err(|_| RequestError::Header { name: "X-Watchbell-Timeout-Ms" })?;
    let grpc = header(headers, GRPC_TIMEOUT_HEADER)?
        .map(|text| grpc_timeout(text).ok_or(RequestError::Header { name: GRPC_TIMEOUT_HEADER }))
        .transpose()?;
    Ok(match (own, grpc) {
        (Some(own), Some(grpc)) => Some(own.min(grpc)),
        (own, grpc) => own.or(grpc),
    })
}

/// gRPC's form: at most eight digits and one of `H M S m u n`.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let digits = text.get(..text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match text.as_bytes()[text.len() - 1] {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
