//! Taking lines in: from what a client sent to what the store keeps.

mod decode;
mod level;
mod otlp;
mod protobuf;
mod rate;
mod stream_cache;
mod validate;

use std::sync::Arc;

use http::StatusCode;
use log_storage_api::{AppendOutcome, BatchEntry, EntryRejection, LogBatch, LogStore, StreamEntries};
use model::{ByteSize, ErrorCode, Labels, LogEntry, format_rfc3339_ns};
use resources::RequestContext;
use sys::Clock;

use crate::config::Limits;
use crate::error::ApiError;
use crate::live::LiveHub;
use crate::metrics::Metrics;

pub(crate) use decode::{decode_json, from_proto};
pub(crate) use otlp::{OtlpForm, otlp_status, otlp_streams, parse_otlp};
pub(crate) use protobuf::decode_proto;
pub(crate) use rate::RateLimiter;
pub(crate) use stream_cache::StreamCache;

/// The most rejections that an answer lists.
const LISTED_MAX: usize = 10;

/// A stream as sent.
#[derive(Clone, Debug)]
pub(crate) struct IncomingStream<'a> {
    pub(crate) labels: IncomingLabels<'a>,
    pub(crate) entries: Vec<BatchEntry<'a>>,
}

/// A stream's labels as sent.
#[derive(Clone, Debug)]
pub(crate) enum IncomingLabels<'a> {
    /// `{a="b"}`
    Text(&'a str),
    Pairs(Vec<(String, String)>),
}

/// What became of a push.
#[derive(Clone, Debug, Default)]
pub(crate) struct PushOutcome {
    /// Why entries were refused: the first few.
    pub(crate) messages: Vec<String>,
    /// How many were refused.
    pub(crate) rejected: u64,
    /// Whether some were refused because their stream came too fast: these may be sent again later.
    too_fast: bool,
}

/// Everything that takes lines in.
#[derive(Debug)]
pub(crate) struct Ingester {
    pub(crate) store: Arc<dyn LogStore>,
    pub(crate) live: LiveHub,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) rates: RateLimiter,
    pub(crate) known_streams: StreamCache,
}

impl Ingester {
    /// Stores what is valid of a push. Blocks until it is durable.
    pub(crate) fn push(
        &self,
        ctx: &RequestContext,
        limits: &Arc<Limits>,
        streams: Vec<IncomingStream<'_>>,
    ) -> Result<PushOutcome, ApiError> {
        if streams.iter().all(|stream| stream.entries.is_empty()) {
            return Err(ApiError::new(
                ErrorCode::Unprocessable,
                "error at least one valid stream is required for ingestion",
            ));
        }
        let (lines, bytes) = totals(&streams);
        if self.is_blocked(ctx, limits, lines)? {
            return Ok(PushOutcome::default());
        }
        self.check_rate(ctx, limits, lines, bytes)?;
        let mut outcome = PushOutcome::default();
        let mut batch = LogBatch::default();
        for stream in streams {
            let count = stream.entries.len() as u64;
            match self.known_streams.resolve(&ctx.tenant, limits, &stream.labels)? {
                Ok(known) => {
                    let mut entries = stream.entries;
                    self.sift(ctx, limits, &known.labels, &mut entries, &mut outcome);
                    validate::enrich(known.level, &mut entries, limits);
                    let labels = known.labels;
                    batch.streams.push(StreamEntries { labels, entries, ..StreamEntries::default() });
                }
                Err(invalid) => {
                    self.discard(ctx, invalid.reason, count);
                    outcome.reject(count, invalid.message);
                }
            }
        }
        if !batch.streams.is_empty() {
            self.metrics.received_lines.with(&[ctx.tenant.as_str()]).add(lines);
            self.metrics.received_bytes.with(&[ctx.tenant.as_str()]).add(bytes);
            let appended = self.append(ctx, &batch)?;
            for (labels, entry, rejection) in &appended.rejections {
                outcome.reject(0, rejection_text(labels, entry, rejection));
            }
            outcome.rejected += appended.outcome.rejected;
        }
        Ok(outcome)
    }

    /// Whether the tenant may send nothing now and must not see that; an error where it is told.
    fn is_blocked(&self, ctx: &RequestContext, limits: &Limits, lines: u64) -> Result<bool, ApiError> {
        let Some(until) = limits.blocked_until.filter(|until| self.clock.now_ns() < *until) else {
            return Ok(false);
        };
        self.discard(ctx, "blocked_ingestion", lines);
        let status = StatusCode::from_u16(limits.blocked_status).unwrap_or(StatusCode::FORBIDDEN);
        if status == StatusCode::OK {
            return Ok(true);
        }
        let until = format_rfc3339_ns(until);
        let message = format!(
            "ingestion blocked for user {} until '{until}' with status code '{}'",
            ctx.tenant,
            status.as_u16()
        );
        Err(ApiError::new(ErrorCode::PermissionDenied, message).with_status(status))
    }

    /// Takes out what a stream must not have: metadata that the limits refuse, and what comes too fast.
    fn sift(
        &self,
        ctx: &RequestContext,
        limits: &Limits,
        labels: &Labels,
        entries: &mut Vec<BatchEntry<'_>>,
        outcome: &mut PushOutcome,
    ) {
        entries.retain(|entry| match validate::metadata(labels, entry, limits) {
            Ok(()) => true,
            Err(invalid) => {
                self.discard(ctx, invalid.reason, 1);
                outcome.reject(1, invalid.message);
                false
            }
        });
        let Some(rate) = limits.stream_rate else { return };
        let sent = entries.len();
        let now = self.clock.monotonic();
        let (count, bytes) = self.rates.thin_out(&ctx.tenant, labels, rate, entries, now);
        if count == 0 {
            return;
        }
        self.discard(ctx, "per_stream_rate_limit", count);
        outcome.too_fast = true;
        outcome.reject(
            count,
            format!(
                "Per stream rate limit exceeded (limit: {}/sec) while attempting to ingest for stream '{labels}' totaling \
                 {}, consider splitting a stream via additional labels or raise limits_config.per_stream_rate_limit, \
                 total ignored: {count} out of {sent}",
                ByteSize(rate.bytes as u64),
                ByteSize(bytes)
            ),
        );
    }

    /// Appends a batch, shows it to tails and counts what was refused. Blocks.
    pub(crate) fn append(&self, ctx: &RequestContext, batch: &LogBatch<'_>) -> Result<Appended, ApiError> {
        let outcome = self.store.append(ctx, batch)?;
        let mut rejections = Vec::new();
        for (stream, entry, rejection) in &outcome.rejections {
            self.discard(ctx, rejection_reason(rejection), 1);
            if let Some(stream) = batch.streams.get(*stream)
                && let Some(entry) = stream.entries.get(*entry)
            {
                rejections.push((stream.labels.clone(), entry.to_entry(), rejection.clone()));
            }
        }
        if self.live.has_tails() {
            self.live.publish(&ctx.tenant, batch, &outcome);
        }
        Ok(Appended { outcome, rejections })
    }

    /// Refuses what comes faster than the tenant may send; nothing of it is stored.
    pub(crate) fn check_rate(
        &self,
        ctx: &RequestContext,
        limits: &Limits,
        lines: u64,
        bytes: u64,
    ) -> Result<(), ApiError> {
        if self.rates.take(&ctx.tenant, limits, bytes, self.clock.monotonic()) {
            return Ok(());
        }
        self.discard(ctx, "rate_limited", lines);
        Err(ApiError::new(
            ErrorCode::LimitExceeded,
            format!(
                "ingestion rate limit exceeded for user {} (limit: {} bytes/sec) while attempting to ingest \
                 '{lines}' lines totaling '{bytes}' bytes, reduce log volume or raise \
                 limits_config.ingestion_rate_mb and ingestion_burst_size_mb",
                ctx.tenant, limits.ingestion_rate_bytes as u64
            ),
        ))
    }

    fn discard(&self, ctx: &RequestContext, reason: &str, entries: u64) {
        self.metrics.discarded_samples.with(&[reason, ctx.tenant.as_str()]).add(entries);
    }
}

/// Checks labels and adds what is added to streams and lines: for lines that come otherwise than by a push.
pub(crate) fn validated<'a>(
    labels: &[(String, String)],
    mut entries: Vec<BatchEntry<'a>>,
    limits: &Limits,
) -> Result<(Labels, Vec<BatchEntry<'a>>), String> {
    let labels = validate::labels(labels, limits).map_err(|invalid| invalid.message)?;
    validate::enrich(level::of_labels(&labels, &limits.level_fields), &mut entries, limits);
    Ok((labels, entries))
}

/// What the store did with a batch, with the entries that it refused.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) outcome: AppendOutcome,
    pub(crate) rejections: Vec<(Labels, LogEntry, EntryRejection)>,
}

impl PushOutcome {
    fn reject(&mut self, entries: u64, message: String) {
        self.rejected += entries;
        if self.messages.len() < LISTED_MAX {
            self.messages.push(message);
        }
    }

    /// The error that lists what was refused; none where all was stored.
    pub(crate) fn into_result(self) -> Result<(), ApiError> {
        if self.messages.is_empty() && self.rejected == 0 {
            return Ok(());
        }
        let mut message = self.messages.join("\n");
        if self.rejected > self.messages.len() as u64 {
            message.push_str(&format!("\ntotal ignored: {}", self.rejected));
        }
        let code = if self.too_fast { ErrorCode::LimitExceeded } else { ErrorCode::InvalidArgument };
        Err(ApiError::new(code, message))
    }
}

fn totals(streams: &[IncomingStream<'_>]) -> (u64, u64) {
    let entries = streams.iter().flat_map(|stream| &stream.entries);
    entries.fold((0, 0), |(lines, bytes), entry| (lines + 1, bytes + entry_bytes(entry)))
}

/// What counts against rates: the line and its structured metadata.
pub(crate) fn entry_bytes(entry: &BatchEntry<'_>) -> u64 {
    let metadata: usize =
        entry.structured_metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    (entry.line.len() + metadata) as u64
}

/// The reason as metrics name it.
pub(crate) fn rejection_reason(rejection: &EntryRejection) -> &'static str {
    match rejection {
        EntryRejection::TooFarBehind { .. } => "too_far_behind",
        EntryRejection::TooOld { .. } => "greater_than_max_sample_age",
        EntryRejection::TooNew => "too_far_in_future",
        EntryRejection::LineTooLong { .. } => "line_too_long",
        _ => "invalid",
    }
}

fn rejection_text(labels: &Labels, entry: &LogEntry, rejection: &EntryRejection) -> String {
    let at = format_rfc3339_ns(entry.timestamp);
    match rejection {
        EntryRejection::TooFarBehind { oldest_accepted } => format!(
            "entry with timestamp {at} ignored, reason: 'entry too far behind, entry timestamp is: {at}, \
             oldest acceptable timestamp is: {}', stream: {labels}",
            format_rfc3339_ns(*oldest_accepted)
        ),
        EntryRejection::TooOld { oldest_accepted } => format!(
            "entry for stream '{labels}' has timestamp too old: {at}, oldest acceptable timestamp is: {}",
            format_rfc3339_ns(*oldest_accepted)
        ),
        EntryRejection::TooNew => format!("entry for stream '{labels}' has timestamp too new: {at}"),
        EntryRejection::LineTooLong { limit } => format!(
            "max entry size '{limit}' bytes exceeded for stream '{labels}' while adding an entry with length '{}' bytes",
            entry.line.len()
        ),
        _ => format!("entry for stream '{labels}' was refused"),
    }
}

#[cfg(test)]
mod tests;
