//! Making blocks: from the head, and from smaller blocks.

pub(crate) mod from_blocks;
pub(crate) mod from_head;
pub(crate) mod plan;

use metric_storage_api::{ChunkEncoding, SampleColumns};

use crate::block::writer::{BlockWriter, ChunkToWrite};
use crate::chunk_handle::ChunkHandle;
use crate::head::series::decode_chunk;
use crate::select::{keep, merge_columns};
use crate::{Error, Result, intervals, reencode};

/// A chunk with what is deleted from it.
pub(crate) type ChunkWithHoles<'a> = (&'a ChunkHandle, &'a [(i64, i64)]);

/// Writes a series' samples in `min..=max`: chunks that can stay as they are are copied, the others written anew.
pub(crate) fn write_series(
    writer: &mut BlockWriter,
    labels: &model::Labels,
    mut chunks: Vec<ChunkWithHoles<'_>>,
    (min, max): (i64, i64),
) -> Result<()> {
    let damaged = |error: chunk_encoding::DecodeError| Error::corrupt(format!("a chunk of {labels}"), error);
    chunks.retain(|(chunk, _)| chunk.min_time <= max && min <= chunk.max_time);
    chunks.sort_by_key(|(chunk, _)| (chunk.min_time, chunk.max_time));
    let mut out: Vec<(i64, i64, u8, Vec<u8>)> = Vec::new();
    let mut idx = 0;
    while idx < chunks.len() {
        // A run of chunks that overlap one another becomes one run of samples.
        let mut end = idx + 1;
        let mut run_max = chunks[idx].0.max_time;
        while end < chunks.len() && chunks[end].0.min_time <= run_max {
            run_max = run_max.max(chunks[end].0.max_time);
            end += 1;
        }
        let run = &chunks[idx..end];
        idx = end;
        if let [(chunk, holes)] = run
            && is_whole(chunk, holes, min, max)
        {
            let mut buf = Vec::new();
            let (encoding, data) = chunk.load(&mut buf)?;
            out.push((chunk.min_time, chunk.max_time, encoding, data.to_vec()));
            continue;
        }
        let mut columns = SampleColumns::default();
        for (chunk, holes) in run {
            let mut buf = Vec::new();
            let (encoding, data) = chunk.load(&mut buf)?;
            let mut one = SampleColumns::default();
            decode_chunk(encoding, data, i64::MAX, &mut one).map_err(damaged)?;
            let kept = keep(&one, |_, time| (min..=max).contains(&time) && !intervals::contains(holes, time));
            columns = merge_columns(columns, &kept);
        }
        for chunk in reencode::chunks(&columns).map_err(damaged)? {
            let encoding = encoding_byte(chunk.encoding);
            out.push((chunk.min_time, chunk.max_time, encoding, chunk.data.to_vec()));
        }
    }
    let chunks: Vec<ChunkToWrite<'_>> = out
        .iter()
        .map(|(min_time, max_time, encoding, data)| ChunkToWrite {
            min_time: *min_time,
            max_time: *max_time,
            encoding: *encoding,
            data,
        })
        .collect();
    writer.add_series(labels, &chunks)
}

fn is_whole(chunk: &ChunkHandle, holes: &[(i64, i64)], min: i64, max: i64) -> bool {
    min <= chunk.min_time
        && chunk.max_time <= max
        && !holes.iter().any(|hole| hole.0 <= chunk.max_time && chunk.min_time <= hole.1)
}

pub(crate) fn encoding_byte(encoding: ChunkEncoding) -> u8 {
    match encoding {
        ChunkEncoding::Xor => chunk_encoding::ENCODING_XOR,
        ChunkEncoding::Histogram => chunk_encoding::ENCODING_HISTOGRAM,
        ChunkEncoding::FloatHistogram => chunk_encoding::ENCODING_FLOAT_HISTOGRAM,
    }
}
