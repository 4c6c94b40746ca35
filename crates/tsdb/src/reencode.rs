//! Columns back into chunks.

use chunk_encoding::{CounterResetHeader, DecodeError, ENCODING_XOR, HistogramAppender, XorState};
use metric_storage_api::{EncodedChunk, SampleColumns};

use crate::chunk_handle::api_encoding;

/// Samples of a chunk that is written anew.
const SAMPLES_PER_CHUNK: usize = 120;

/// Encodes all samples, in chunks of about 120.
pub(crate) fn chunks(columns: &SampleColumns) -> Result<Vec<EncodedChunk>, DecodeError> {
    let mut out = Vec::new();
    let mut idx = 0;
    while idx < columns.len() {
        let (chunk, next) = match columns.histograms.get(idx).is_some_and(Option::is_some) {
            true => histogram_chunk(columns, idx)?,
            false => float_chunk(columns, idx),
        };
        let (min_time, max_time) = (columns.timestamps[idx], columns.timestamps[next - 1]);
        let encoding = api_encoding(chunk.0).ok_or(DecodeError::Invalid("chunk encoding"))?;
        out.push(EncodedChunk { min_time, max_time, encoding, data: chunk.1.into() });
        idx = next;
    }
    Ok(out)
}

fn float_chunk(columns: &SampleColumns, from: usize) -> ((u8, Vec<u8>), usize) {
    let mut data = Vec::new();
    let mut state = XorState::start(&mut data);
    let mut idx = from;
    while idx < columns.len()
        && idx < from + SAMPLES_PER_CHUNK
        && !columns.histograms.get(idx).is_some_and(Option::is_some)
    {
        state.append(&mut data, columns.timestamps[idx], columns.values[idx]);
        idx += 1;
    }
    ((ENCODING_XOR, data), idx)
}

fn histogram_chunk(columns: &SampleColumns, from: usize) -> Result<((u8, Vec<u8>), usize), DecodeError> {
    let get = |idx: usize| columns.histograms.get(idx).cloned().flatten();
    let first = get(from).ok_or(DecodeError::Invalid("histogram column"))?;
    let header = CounterResetHeader::Unknown;
    let mut appender = HistogramAppender::start(header, columns.timestamps[from], &first)?;
    let mut idx = from + 1;
    while idx < from + SAMPLES_PER_CHUNK
        && let Some(histogram) = get(idx)
    {
        if appender.append(columns.timestamps[idx], &histogram).is_err() {
            break;
        }
        idx += 1;
    }
    Ok(((appender.kind().encoding(), appender.bytes().to_vec()), idx))
}
