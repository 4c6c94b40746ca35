//! One series of the head: its open chunk, its closed chunks, and when chunks are cut.

use chunk_encoding::{
    CounterResetHeader, ENCODING_XOR, HistogramAppender, XorState, decode_histograms, decode_xor_until,
};
use metric_storage_api::AppendRejection;
use model::{FloatHistogram, MetricMetadata};

use super::chunk_files::{ChunkFiles, ClosedChunk};
use super::label_index::PairId;
use crate::Result;

/// Cut an XOR chunk before it passes this, whatever it holds: about a page of a query's reading.
const XOR_BYTES_MAX: usize = 1024 - 19;
/// The same for histogram chunks, which have at least so many samples.
const HISTOGRAM_BYTES_MAX: usize = 1024;
const HISTOGRAM_SAMPLES_MIN: u16 = 10;
/// Neighbours this near leave no gap that a query with the usual lookback would see.
const EVEN_GAP_MAX_MS: i64 = 5 * 60_000;
/// An open chunk grows by so many bytes.
const OPEN_GROWTH_BYTES: usize = 64;
/// Samples of an out-of-order chunk.
pub(crate) const OUT_OF_ORDER_SAMPLES_MAX: usize = 32;

/// A series and its samples that are in no block yet.
#[derive(Debug)]
pub(crate) struct Series {
    /// The series' number in the WAL and in head chunk files.
    pub(crate) wal_ref: u64,
    pub(crate) pairs: Box<[PairId]>,
    /// The newest sample in order; `i64::MIN` before the first.
    pub(crate) last_time: i64,
    /// The open chunk's first sample.
    open_min: i64,
    /// A sample from here on opens a new chunk.
    next_at: i64,
    state: XorState,
    /// The open XOR chunk; empty where there is none.
    open: Vec<u8>,
    pub(crate) closed: Vec<ClosedChunk>,
    /// What few series have.
    pub(crate) extra: Option<Box<Extra>>,
    /// The collection epoch in which an appender last looked at the series.
    pub(crate) touched: u32,
    /// Whether no sample of the open XOR chunk is a staleness marker or far behind its predecessor.
    even: bool,
}

/// What few series have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) histogram: Option<HistogramAppender>,
    pub(crate) metadata: Option<MetricMetadata>,
    /// Out-of-order samples in order of time, not yet in a chunk.
    pub(crate) late: Vec<(i64, f64)>,
    /// Chunks of out-of-order samples.
    pub(crate) late_closed: Vec<ClosedChunk>,
    /// Deleted ranges; both ends belong to them.
    pub(crate) tombstones: Vec<(i64, i64)>,
}

/// What is the same for all series while samples are applied.
#[derive(Debug)]
pub(crate) struct ApplyContext<'a> {
    pub(crate) files: &'a ChunkFiles,
    /// Chunks never cross a multiple of this.
    pub(crate) chunk_range_ms: i64,
    pub(crate) samples_per_chunk: u16,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Stored; whether a chunk was cut for it.
    Stored { cut: bool },
    /// Was there already.
    Same,
    /// Not newer than the newest.
    OutOfOrder,
}

/// The end of the range of `width` that holds `time`.
pub(crate) fn range_end(time: i64, width: i64) -> i64 {
    (time.div_euclid(width) + 1).saturating_mul(width)
}

impl Series {
    pub(crate) fn new(wal_ref: u64, pairs: Box<[PairId]>) -> Self {
        Self {
            wal_ref,
            pairs,
            last_time: i64::MIN,
            open_min: 0,
            next_at: 0,
            state: XorState::start(&mut Vec::new()),
            open: Vec::new(),
            closed: Vec::new(),
            extra: None,
            touched: 0,
            even: true,
        }
    }

    /// Whether a float sample may be added, before it is added. `Ok(false)` where it is there already.
    fn check(&self, timestamp: i64, value: f64) -> std::result::Result<bool, AppendRejection> {
        check_float(self.last_time, self.last_float(), timestamp, value)
    }

    /// The same for a histogram.
    pub(crate) fn check_histogram(
        &self,
        timestamp: i64,
        histogram: &FloatHistogram,
    ) -> std::result::Result<bool, AppendRejection> {
        if timestamp > self.last_time {
            return Ok(true);
        }
        if timestamp < self.last_time {
            return Err(AppendRejection::OutOfOrder);
        }
        match self.open_histogram() {
            Some(open) if same_histogram(open.last(), histogram) => Ok(false),
            _ => Err(AppendRejection::DuplicateTimestamp),
        }
    }

    /// The newest sample's value, where it is a float in the open chunk.
    pub(crate) fn last_float(&self) -> Option<f64> {
        (!self.open.is_empty()).then(|| self.state.value())
    }

    /// The bytes of the open XOR chunk that appending looks at.
    #[inline]
    pub(crate) fn open_ends(&self) -> u8 {
        self.open.first().copied().unwrap_or(0) ^ self.open.last().copied().unwrap_or(0)
    }

    /// Adds a float sample.
    #[inline]
    pub(crate) fn append(&mut self, timestamp: i64, value: f64, ctx: &ApplyContext<'_>) -> Applied {
        if timestamp <= self.last_time {
            return match self.check(timestamp, value) {
                Ok(_) => Applied::Same,
                Err(_) => Applied::OutOfOrder,
            };
        }
        if self.open_histogram().is_some() {
            self.close(ctx);
        }
        let cut = self.open.is_empty() || self.must_cut(timestamp, ctx);
        if cut {
            self.close(ctx);
            self.open_xor(timestamp, ctx);
        } else if self.state.count() == ctx.samples_per_chunk / 4 {
            // Spread the rest of the range evenly over chunks of about the wanted size.
            self.next_at = self.spread(ctx);
        }
        if self.open.capacity() - self.open.len() < XorState::SAMPLE_BYTES_MAX {
            // By a line, not doubled: open chunks are half of the head's memory.
            self.open.reserve_exact(OPEN_GROWTH_BYTES);
        }
        self.even &= (cut || timestamp - self.last_time <= EVEN_GAP_MAX_MS) && !model::is_stale_nan(value);
        self.state.append(&mut self.open, timestamp, value);
        self.last_time = timestamp;
        Applied::Stored { cut }
    }

    /// Adds a histogram.
    pub(crate) fn append_histogram(
        &mut self,
        timestamp: i64,
        histogram: &FloatHistogram,
        ctx: &ApplyContext<'_>,
    ) -> Result<Applied> {
        if timestamp <= self.last_time {
            return Ok(match self.check_histogram(timestamp, histogram) {
                Ok(_) => Applied::Same,
                Err(_) => Applied::OutOfOrder,
            });
        }
        let next_at = self.next_at;
        let mut header = CounterResetHeader::Unknown;
        if let Some(open) = self.extra.as_mut().and_then(|extra| extra.histogram.as_mut()) {
            let full = open.count() >= HISTOGRAM_SAMPLES_MIN && open.bytes().len() >= HISTOGRAM_BYTES_MAX;
            if full || timestamp >= next_at {
                // Whether the counters went on is seen only by comparing, which the reader does.
                header = CounterResetHeader::Unknown;
            } else {
                match open.append(timestamp, histogram) {
                    Ok(()) => {
                        self.last_time = timestamp;
                        return Ok(Applied::Stored { cut: false });
                    }
                    Err(reason) => header = reason.0,
                }
            }
        }
        self.close(ctx);
        let appender = start_histogram(self.wal_ref, header, timestamp, histogram)?;
        self.extra.get_or_insert_default().histogram = Some(appender);
        self.open_min = timestamp;
        self.next_at = range_end(timestamp, ctx.chunk_range_ms);
        self.last_time = timestamp;
        Ok(Applied::Stored { cut: true })
    }

    /// Adds a sample that is older than the newest; `None` where there is one of its time already. With it the chunk that
    /// had to be closed to make room.
    pub(crate) fn append_late(
        &mut self,
        timestamp: i64,
        value: f64,
        ctx: &ApplyContext<'_>,
    ) -> Option<Option<ClosedChunk>> {
        let wal_ref = self.wal_ref;
        let extra = self.extra.get_or_insert_default();
        let at = extra.late.binary_search_by_key(&timestamp, |sample| sample.0).err()?;
        if extra.late.len() < OUT_OF_ORDER_SAMPLES_MAX {
            extra.late.insert(at, (timestamp, value));
            return Some(None);
        }
        let chunk = close_late(&extra.late, wal_ref, ctx.files);
        extra.late_closed.push(chunk);
        extra.late.clear();
        extra.late.push((timestamp, value));
        Some(Some(chunk))
    }

    /// Adds a histogram that is older than the newest sample, in a chunk of its own: they are few, and merged with others
    /// when they go into a block. `None` where one of its time came that way already.
    pub(crate) fn append_late_histogram(
        &mut self,
        timestamp: i64,
        histogram: &FloatHistogram,
        ctx: &ApplyContext<'_>,
    ) -> Result<Option<ClosedChunk>> {
        let extra = self.extra.get_or_insert_default();
        if extra.late_closed.iter().any(|chunk| chunk.is_histogram_at(timestamp)) {
            return Ok(None);
        }
        let appender = start_histogram(self.wal_ref, CounterResetHeader::Unknown, timestamp, histogram)?;
        let (encoding, range) = (appender.kind().encoding(), (timestamp, timestamp));
        let chunk = ctx.files.append(self.wal_ref, range, encoding, true, appender.bytes());
        extra.late_closed.push(chunk);
        Ok(Some(chunk))
    }

    /// Closes the open chunk and hands it to the chunk files.
    pub(crate) fn close(&mut self, ctx: &ApplyContext<'_>) {
        let range = (self.open_min, self.last_time);
        if !self.open.is_empty() {
            let chunk = ctx.files.append(self.wal_ref, range, ENCODING_XOR, false, &self.open);
            self.push_closed(chunk);
            self.open.clear();
        }
        if let Some(open) = self.extra.as_mut().and_then(|extra| extra.histogram.take()) {
            let chunk = ctx.files.append(self.wal_ref, range, open.kind().encoding(), false, open.bytes());
            self.push_closed(chunk);
        }
    }

    /// The open chunk: its first and last sample, its encoding and its bytes so far.
    pub(crate) fn open_chunk(&self) -> Option<(i64, i64, u8, &[u8])> {
        if !self.open.is_empty() {
            return Some((self.open_min, self.last_time, ENCODING_XOR, &self.open));
        }
        let open = self.open_histogram()?;
        Some((self.open_min, self.last_time, open.kind().encoding(), open.bytes()))
    }

    /// The open chunk's first sample, and whether its samples are so close to each other, and none of them a staleness
    /// marker, that each window of this width within it has one to show. `None` where there is no open XOR chunk.
    #[inline]
    pub(crate) fn open_xor_span(&self, width: i64) -> Option<(i64, bool)> {
        (!self.open.is_empty()).then_some((self.open_min, self.even && width >= EVEN_GAP_MAX_MS))
    }

    /// Takes up a chunk found at start. Those of one series come in order.
    pub(crate) fn restore_closed(&mut self, chunk: ClosedChunk) -> bool {
        if chunk.min_time <= self.last_time {
            return false;
        }
        self.last_time = chunk.max_time;
        self.push_closed(chunk);
        true
    }

    /// Drops closed chunks that end before `time` and returns how many.
    pub(crate) fn truncate(&mut self, time: i64) -> usize {
        let before = self.chunk_count();
        self.closed.retain(|chunk| chunk.max_time >= time);
        if let Some((_, last, ..)) = self.open_chunk()
            && last < time
        {
            self.open = Vec::new();
            if let Some(extra) = &mut self.extra {
                extra.histogram = None;
            }
        }
        if let Some(extra) = &mut self.extra
            && extra.late.is_empty()
            && extra.late_closed.is_empty()
        {
            extra.tombstones.retain(|hole| hole.1 >= time);
        }
        before - self.chunk_count()
    }

    /// Closed and open chunks, late ones included.
    pub(crate) fn chunk_count(&self) -> usize {
        let late = self
            .extra
            .as_ref()
            .map_or(0, |extra| extra.late_closed.len() + usize::from(!extra.late.is_empty()));
        self.closed.len() + usize::from(self.open_chunk().is_some()) + late
    }

    /// The first sample that is in no block.
    pub(crate) fn first_time(&self) -> Option<i64> {
        let first = self.closed.first().map(|chunk| chunk.min_time);
        first.or_else(|| self.open_chunk().map(|(first, ..)| first))
    }

    /// The first and the last sample that are in no block, late ones included.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let closed = self.closed.iter().map(|chunk| (chunk.min_time, chunk.max_time));
        let open = self.open_chunk().map(|(first, last, ..)| (first, last));
        let extra = self.extra.as_ref();
        let late_closed = extra.map_or(&[][..], |extra| &extra.late_closed);
        let late_closed = late_closed.iter().map(|chunk| (chunk.min_time, chunk.max_time));
        let late = extra.and_then(|extra| Some((extra.late.first()?.0, extra.late.last()?.0)));
        let all = closed.chain(open).chain(late_closed).chain(late);
        all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Hands late samples to a closed chunk, so that all that is late so far is in chunks.
    pub(crate) fn close_late(&mut self, files: &ChunkFiles) -> &[ClosedChunk] {
        let wal_ref = self.wal_ref;
        let Some(extra) = &mut self.extra else { return &[] };
        if !extra.late.is_empty() {
            let chunk = close_late(&extra.late, wal_ref, files);
            extra.late_closed.push(chunk);
            extra.late = Vec::new();
        }
        &extra.late_closed
    }

    /// Whether the newest sample is the staleness marker.
    pub(crate) fn is_stale(&self) -> bool {
        match self.open_histogram() {
            Some(open) => model::is_stale_nan(open.last().sum),
            None => self.last_float().is_some_and(model::is_stale_nan),
        }
    }

    /// Whether the newest sample is a native histogram.
    pub(crate) fn open_histogram(&self) -> Option<&HistogramAppender> {
        self.extra.as_ref()?.histogram.as_ref()
    }

    /// The heap bytes that the series holds.
    pub(crate) fn heap_bytes(&self) -> usize {
        let histogram = self.open_histogram().map_or(0, HistogramAppender::heap_bytes);
        self.pairs.len() * 4
            + self.open.capacity()
            + self.closed.capacity() * size_of::<ClosedChunk>()
            + histogram
    }

    fn push_closed(&mut self, chunk: ClosedChunk) {
        // Grown one by one, not doubled: chunks are closed seldom, and this is a sixth of a series' memory otherwise.
        if self.closed.len() == self.closed.capacity() {
            self.closed.reserve_exact(1);
        }
        self.closed.push(chunk);
    }

    fn must_cut(&self, timestamp: i64, ctx: &ApplyContext<'_>) -> bool {
        timestamp >= self.next_at
            || self.open.len() > XOR_BYTES_MAX
            || self.state.count() >= ctx.samples_per_chunk.saturating_mul(2)
    }

    fn open_xor(&mut self, timestamp: i64, ctx: &ApplyContext<'_>) {
        self.state = XorState::start(&mut self.open);
        self.even = true;
        self.open_min = timestamp;
        self.next_at = range_end(timestamp, ctx.chunk_range_ms);
    }

    /// Where the open chunk should end, judged by its first quarter.
    fn spread(&self, ctx: &ApplyContext<'_>) -> i64 {
        let end = range_end(self.open_min, ctx.chunk_range_ms).min(self.next_at);
        let quarter = (self.last_time - self.open_min).max(1);
        let chunks = (end - self.open_min) / (quarter.saturating_mul(4)).max(1);
        if chunks <= 1 {
            return end;
        }
        let width = (end - self.open_min) / chunks;
        // Series that start together would all be cut by the same batch: move each a little.
        let jitter = width / 16 * (self.wal_ref % 8) as i64 / 8;
        self.open_min + width - jitter
    }
}

/// Whether a float sample may follow a series' newest one. `Ok(false)` where it is that one.
#[inline]
pub(crate) fn check_float(
    last_time: i64,
    last_value: Option<f64>,
    timestamp: i64,
    value: f64,
) -> std::result::Result<bool, AppendRejection> {
    if timestamp > last_time {
        return Ok(true);
    }
    if timestamp < last_time {
        return Err(AppendRejection::OutOfOrder);
    }
    match last_value {
        Some(last) if last.to_bits() == value.to_bits() => Ok(false),
        _ => Err(AppendRejection::DuplicateTimestamp),
    }
}

fn start_histogram(
    wal_ref: u64,
    header: CounterResetHeader,
    timestamp: i64,
    histogram: &FloatHistogram,
) -> Result<HistogramAppender> {
    HistogramAppender::start(header, timestamp, histogram)
        .map_err(|error| crate::Error::corrupt(format!("a native histogram of series {wal_ref}"), error))
}

fn close_late(samples: &[(i64, f64)], wal_ref: u64, files: &ChunkFiles) -> ClosedChunk {
    let bytes = encode_late(samples);
    let range = (samples.first().map_or(0, |s| s.0), samples.last().map_or(0, |s| s.0));
    files.append(wal_ref, range, ENCODING_XOR, true, &bytes)
}

/// Out-of-order samples as an XOR chunk.
pub(crate) fn encode_late(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut state = XorState::start(&mut bytes);
    for (timestamp, value) in samples {
        state.append(&mut bytes, *timestamp, *value);
    }
    bytes
}

/// Bit by bit, so that staleness markers equal one another.
fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.sum.to_bits() == b.sum.to_bits()
        && FloatHistogram { sum: 0.0, counter_reset_hint: b.counter_reset_hint, ..a.clone() }
            == FloatHistogram { sum: 0.0, ..b.clone() }
}

/// Appends a chunk's samples to columns; those after `until` may be left out.
pub(crate) fn decode_chunk(
    encoding: u8,
    data: &[u8],
    until: i64,
    out: &mut metric_storage_api::SampleColumns,
) -> std::result::Result<(), chunk_encoding::DecodeError> {
    use chunk_encoding::{ENCODING_FLOAT_HISTOGRAM, ENCODING_HISTOGRAM, HistogramKind};
    let kind = match encoding {
        ENCODING_XOR if out.histograms.is_empty() => {
            return decode_xor_until(data, until, &mut out.timestamps, &mut out.values);
        }
        ENCODING_XOR => {
            decode_xor_until(data, until, &mut out.timestamps, &mut out.values)?;
            out.histograms.resize(out.timestamps.len(), None);
            return Ok(());
        }
        ENCODING_HISTOGRAM => HistogramKind::Integer,
        ENCODING_FLOAT_HISTOGRAM => HistogramKind::Float,
        _ => return Err(chunk_encoding::DecodeError::Invalid("chunk encoding")),
    };
    let (mut timestamps, mut histograms) = (Vec::new(), Vec::new());
    decode_histograms(kind, data, &mut timestamps, &mut histograms)?;
    for (timestamp, histogram) in timestamps.into_iter().zip(histograms) {
        out.push_histogram(timestamp, histogram);
    }
    Ok(())
}
