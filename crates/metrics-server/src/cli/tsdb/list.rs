//! `tsdb list`.

use std::path::Path;

use ::tsdb::BlockInfo;
use model::{TimestampMs, format_rfc3339_ns};
use service::Failure;

use super::open_blocks;
use crate::cli::console::{go_duration, print};

pub(super) fn run(dir: &Path, human_readable: bool) -> Result<(), Failure> {
    let blocks: Vec<BlockInfo> = open_blocks(dir)?.iter().map(::tsdb::StoredBlock::info).collect();
    print(&table(&blocks, true, human_readable))
}

/// Blocks in columns, as promtool prints them.
pub(super) fn table(blocks: &[BlockInfo], has_head: bool, human_readable: bool) -> String {
    /// The least width of a column, and the least gap between two.
    const WIDTH_MIN: usize = 13;
    const GAP: usize = 2;
    let head =
        ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"];
    let mut rows: Vec<[String; 8]> = Vec::new();
    if has_head {
        rows.push(head.map(str::to_owned));
    }
    rows.extend(blocks.iter().map(|block| {
        [
            block.ulid.clone(),
            time(block.min_time, human_readable),
            time(block.max_time, human_readable),
            go_duration(block.max_time - block.min_time),
            block.samples.to_string(),
            block.chunks.to_string(),
            block.series.to_string(),
            size(block.bytes, human_readable),
        ]
    }));
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        (longest + GAP).max(WIDTH_MIN)
    });
    let mut out = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(widths) {
            out.push_str(&format!("{cell:width$}"));
        }
        out.push_str(&format!("{}\n", row[7]));
    }
    out
}

fn time(ms: TimestampMs, human_readable: bool) -> String {
    if !human_readable {
        return ms.to_string();
    }
    let text = format_rfc3339_ns(ms.div_euclid(1000).saturating_mul(1_000_000_000));
    text.replace('T', " ").replace('Z', " +0000 UTC")
}

fn size(bytes: u64, human_readable: bool) -> String {
    if !human_readable {
        return bytes.to_string();
    }
    let mut parts = Vec::new();
    let mut rest = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if !rest.is_multiple_of(1024) || bytes == 0 {
            parts.push(format!("{}{unit}", rest % 1024));
        }
        rest /= 1024;
        if rest == 0 {
            break;
        }
    }
    parts.reverse();
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_all_their_units() {
        for (bytes, text) in [(0, "0B"), (875, "875B"), (1024, "1KiB"), (1_049_601, "1MiB1KiB1B")] {
            assert_eq!(size(bytes, true), text);
        }
    }
}
