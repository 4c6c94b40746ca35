//! Opening a directory: lock, leftovers, blocks, head.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use parking_lot::{Mutex, RwLock};
use sys::Fs;

use super::{Db, Environment};
use crate::block::Block;
use crate::block::ulid::is_ulid;
use crate::head::Head;
use crate::head::append_buffers::BufferPool;
use crate::head::chunk_files::ChunkFiles;
use crate::head::replay::{FoundChunks, Replay, ReplayContext, set_aside};
use crate::metrics::{Count, Counters};
use crate::options::DbOptions;
use crate::wal::log::Log;
use crate::wal::writer::create_dir_durably;
use crate::{Error, Result};

/// Damaged files are kept here; no reader looks into it.
pub(crate) const ASIDE_DIR: &str = "x-damaged";
pub(super) const LOCK_FILE: &str = "lock";
/// Directories with these ends were being made or deleted when the process ended.
const LEFTOVERS: [&str; 3] = [".tmp-for-creation", ".tmp-for-deletion", ".tmp"];

pub(super) fn open(dir: &Path, options: DbOptions, environment: Environment) -> Result<Db> {
    open_with_blocks(dir, None, options, environment)
}

/// The same with the blocks of another directory, which is left as it is.
pub(crate) fn open_with_blocks(
    dir: &Path,
    blocks_dir: Option<&Path>,
    options: DbOptions,
    environment: Environment,
) -> Result<Db> {
    options.validate()?;
    let Environment { fs, clock, counters, progress } = environment;
    let started = clock.monotonic();
    create_dir_durably(&*fs, dir)?;
    let lock_path = dir.join(LOCK_FILE);
    let clean_start = !fs.exists(&lock_path);
    let lock = match options.no_lock_file {
        true => None,
        false => Some(fs.lock(&lock_path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => Error::Locked { path: lock_path.clone() },
            _ => Error::io("lock", &lock_path)(error),
        })?),
    };
    remove_leftovers(&*fs, dir)?;
    let aside = dir.join(ASIDE_DIR);
    let blocks = match blocks_dir {
        Some(blocks_dir) => list_blocks(&*fs, blocks_dir, &counters)?.0,
        None => open_blocks(&*fs, dir, &counters)?,
    };
    // Blocks of late samples overlap the head, so they say nothing of where it begins.
    let in_order = blocks.iter().filter(|block| !block.meta.is_late());
    let min_valid_time = in_order.map(|block| block.meta.max_time).max().unwrap_or(i64::MIN);
    let mut found = FoundChunks::default();
    let files = ChunkFiles::open(
        Arc::clone(&fs),
        &dir.join("chunks_head"),
        |chunk| found.add(chunk),
        |path, offset, reason| {
            counters.head_chunk_corruptions.add(1);
            tracing::warn!(path = %path.display(), offset, reason, "head chunk file is damaged; the log has the samples");
            if let Err(error) = set_aside(&*fs, path, &aside) {
                tracing::warn!(error = %error, "damaged file could not be kept");
            }
        },
    )?;
    let head = Head::new(&options, files, min_valid_time);
    head.reserve_refs(found.max_ref());
    let context = ReplayContext { fs: &*fs, dir, counters: &counters, progress: &progress, aside: &aside };
    let summary = Replay::new(&head, &context, found).run()?;
    let wal = Log::open(Arc::clone(&fs), &dir.join("wal"), options.wal_segment_bytes, Arc::clone(&counters))?;
    let replay_ms = clock.monotonic().saturating_sub(started).as_millis() as u64;
    tracing::info!(
        series = head.series_count(),
        samples = summary.samples,
        blocks = blocks.len(),
        duration_ms = replay_ms,
        "database opened"
    );
    Ok(Db {
        dir: dir.to_owned(),
        out_of_order_window_ms: AtomicI64::new(options.out_of_order_window_ms),
        retention_ms: AtomicI64::new(options.retention_ms),
        retention_bytes: AtomicU64::new(options.retention_bytes),
        options,
        fs,
        clock,
        counters,
        head,
        append_buffers: BufferPool::default(),
        wal,
        late_log: Mutex::default(),
        late_waiting: Mutex::default(),
        blocks: RwLock::new(blocks),
        maintenance: Mutex::default(),
        deleted_series: Mutex::default(),
        closed: AtomicBool::new(false),
        replay_ms,
        clean_start,
        lock: Mutex::new(lock),
    })
}

fn remove_leftovers(fs: &dyn Fs, dir: &Path) -> Result<()> {
    for parent in [dir.to_owned(), dir.join("wal")] {
        let entries = match fs.read_dir(&parent) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(Error::io("list", &parent))?,
        };
        for entry in entries {
            if entry.is_dir && LEFTOVERS.iter().any(|end| entry.name.ends_with(end)) {
                let path = parent.join(&entry.name);
                fs.remove_dir_all(&path).map_err(Error::io("remove", &path))?;
            }
        }
    }
    Ok(())
}

/// Opens all blocks in order of time. One that cannot be opened stays where it is, is counted and told.
pub(crate) fn open_blocks(fs: &dyn Fs, dir: &Path, counters: &Counters) -> Result<Vec<Arc<Block>>> {
    let (blocks, superseded) = list_blocks(fs, dir, counters)?;
    for block in superseded {
        fs.remove_dir_all(&block.dir).map_err(Error::io("remove", &block.dir))?;
    }
    Ok(blocks)
}

/// Blocks in use in order of time, and those whose deletion did not come about.
type Listed = (Vec<Arc<Block>>, Vec<Arc<Block>>);

fn list_blocks(fs: &dyn Fs, dir: &Path, counters: &Counters) -> Result<Listed> {
    let mut blocks = Vec::new();
    for entry in fs.read_dir(dir).map_err(Error::io("list", dir))? {
        if !entry.is_dir || !is_ulid(&entry.name) {
            continue;
        }
        let path = dir.join(&entry.name);
        match Block::open(fs, &path) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(error) => {
                counters.block_corruptions.add(1);
                tracing::error!(block = %entry.name, error = %error, "block cannot be opened; the rest is served");
            }
        }
    }
    // A block that another one was made of is superseded: its deletion did not come about.
    let parents: Vec<String> = blocks
        .iter()
        .flat_map(|block: &Arc<Block>| block.meta.compaction.parents.iter().map(|p| p.ulid.clone()))
        .collect();
    let (gone, mut blocks): (Vec<_>, Vec<_>) = blocks
        .into_iter()
        .partition(|block| parents.contains(&block.meta.ulid) || block.meta.compaction.deletable);
    blocks.sort_by_key(|block| (block.meta.min_time, block.meta.max_time));
    Ok((blocks, gone))
}
