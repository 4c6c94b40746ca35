//! `meta.json` of a block.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sys::Fs;

use crate::{Error, Result};

const FILE: &str = "meta.json";
const BYTES_MAX: u64 = 64 << 20;
const VERSION: u32 = 1;

/// What a block says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BlockMeta {
    pub(crate) ulid: String,
    /// The first millisecond.
    #[serde(rename = "minTime")]
    pub(crate) min_time: i64,
    /// The first millisecond after the block.
    #[serde(rename = "maxTime")]
    pub(crate) max_time: i64,
    #[serde(default)]
    pub(crate) stats: BlockStats,
    #[serde(default)]
    pub(crate) compaction: BlockCompaction,
    pub(crate) version: u32,
    /// Sections of others, such as Thanos': kept as they are.
    #[serde(flatten)]
    pub(crate) other: serde_json::Map<String, serde_json::Value>,
}

/// How much is in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BlockStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_float_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_histogram_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_series: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_chunks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_tombstones: u64,
}

/// What a block was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BlockCompaction {
    pub(crate) level: u32,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub(crate) sources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub(crate) parents: Vec<BlockParent>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deletable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) failed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub(crate) hints: Vec<String>,
}

/// A block that went into another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockParent {
    pub(crate) ulid: String,
    #[serde(rename = "minTime")]
    pub(crate) min_time: i64,
    #[serde(rename = "maxTime")]
    pub(crate) max_time: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn null_as_empty<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Marks a block of late samples.
pub(crate) const HINT_LATE: &str = "from-out-of-order";

impl BlockMeta {
    /// Whether the block holds samples that came late, beside others of its time.
    pub(crate) fn is_late(&self) -> bool {
        self.compaction.hints.iter().any(|hint| hint == HINT_LATE)
    }

    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let content = fs.read(&path, BYTES_MAX).map_err(Error::io("read", &path))?;
        let meta: Self = serde_json::from_slice(&content)
            .map_err(|error| Error::corrupt(path.display().to_string(), error))?;
        if meta.version != VERSION || meta.min_time > meta.max_time {
            let reason = "not a block of version 1 with a time range";
            return Err(Error::corrupt(path.display().to_string(), reason));
        }
        Ok(meta)
    }

    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        let mut content = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::corrupt(path.display().to_string(), error))?;
        content.push(b'\n');
        fs.write_atomic(&path, &content).map_err(Error::io("write", &path))
    }
}
