//! All that belongs to one tenant: streams in memory, segments, positions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use log_storage_api::StreamInfo;
use model::{Labels, TenantId, TimestampNs};
use parking_lot::{Mutex, RwLock};
use sys::Fs;

use crate::block::BlockEnv;
use crate::deletes::{Deletions, EntryQueries};
use crate::error::{Result, io_error};
use crate::positions::Positions;
use crate::registry::StreamRegistry;
use crate::segment::{OpenError, Segment, SegmentId, id_of};
use crate::stream::Stream;

/// What all tenants of a store share.
#[derive(Clone, Debug)]
pub(crate) struct TenantEnv {
    pub(crate) blocks: Arc<BlockEnv>,
    /// What delete requests are tested by.
    pub(crate) queries: Arc<dyn EntryQueries>,
}

/// A tenant's part of the store.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) dir: PathBuf,
    pub(crate) registry: StreamRegistry,
    pub(crate) streams: RwLock<HashMap<Labels, Arc<Stream>>>,
    segments: RwLock<Arc<[Arc<Segment>]>>,
    pub(crate) positions: Positions,
    pub(crate) deletes: Deletions,
    /// Segments that could be on disk although their writing failed: to be removed before anything else is written.
    pub(crate) orphans: Mutex<Vec<PathBuf>>,
}

/// What opening a tenant has found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TenantFindings {
    pub(crate) last_id: SegmentId,
    pub(crate) damaged_segments: u64,
}

impl Tenant {
    pub(crate) fn new(id: TenantId, dir: PathBuf, env: &TenantEnv) -> Self {
        Self {
            id,
            dir,
            registry: StreamRegistry::new(Arc::clone(&env.blocks)),
            streams: RwLock::default(),
            segments: RwLock::new(Arc::new([])),
            positions: Positions::default(),
            deletes: Deletions::new(Arc::clone(&env.queries)),
            orphans: Mutex::default(),
        }
    }

    /// Opens the tenant's segments: unfinished ones are removed, damaged ones set aside.
    pub(crate) fn open(
        fs: &dyn Fs,
        id: TenantId,
        dir: PathBuf,
        env: &TenantEnv,
    ) -> Result<(Self, TenantFindings)> {
        let tenant = Self::new(id, dir, env);
        let mut findings = TenantFindings::default();
        let mut segments: Vec<Arc<Segment>> = Vec::new();
        let entries = fs.read_dir(&tenant.dir).map_err(|error| io_error("list", &tenant.dir, error))?;
        for entry in entries {
            let path = tenant.dir.join(&entry.name);
            if entry.name.ends_with(".tmp") {
                fs.remove_file(&path).map_err(|error| io_error("remove", &path, error))?;
                continue;
            }
            let Some(segment_id) = id_of(&entry.name) else { continue };
            findings.last_id = findings.last_id.max(segment_id);
            match Segment::open(fs, &path, &tenant.registry) {
                Ok(segment) => segments.push(Arc::new(segment)),
                Err(OpenError::Damaged(reason)) => {
                    tracing::error!(segment = %path.display(), reason, "damaged segment set aside");
                    let aside = path.with_extension("damaged");
                    fs.rename(&path, &aside).map_err(|error| io_error("rename", &path, error))?;
                    findings.damaged_segments += 1;
                }
                Err(OpenError::Other(error)) => return Err(error),
            }
        }
        remove_replaced(fs, &mut segments)?;
        fs.sync_dir(&tenant.dir).map_err(|error| io_error("sync", &tenant.dir, error))?;
        tenant.deletes.load(fs, &tenant.dir)?;
        tenant.set_segments(segments);
        Ok((tenant, findings))
    }

    pub(crate) fn segments(&self) -> Arc<[Arc<Segment>]> {
        Arc::clone(&self.segments.read())
    }

    pub(crate) fn set_segments(&self, mut segments: Vec<Arc<Segment>>) {
        segments.sort_by_key(|segment| (segment.flushed_seq, segment.id));
        *self.segments.write() = segments.into();
    }

    /// The stream of a label set; made where it has no entries in memory yet.
    pub(crate) fn stream(&self, labels: &Labels) -> Arc<Stream> {
        if let Some(stream) = self.streams.read().get(labels) {
            return Arc::clone(stream);
        }
        let info = self.registry.intern(labels);
        let flushed_max = self.flushed_max(&info);
        let mut streams = self.streams.write();
        let entry = streams.entry(labels.clone()).or_insert_with(|| Arc::new(Stream::new(info, flushed_max)));
        Arc::clone(entry)
    }

    fn flushed_max(&self, info: &StreamInfo) -> TimestampNs {
        let segments = self.segments();
        let streams = segments.iter().filter_map(|segment| segment.stream(info.id));
        let blocks = streams.flat_map(|stream| &stream.blocks);
        blocks.map(|block| block.meta.max).max().unwrap_or(TimestampNs::MIN)
    }

    /// Up to which log record the entries of each partition are in segments.
    pub(crate) fn flushed_seqs(&self) -> HashMap<i64, u64> {
        let mut seqs = HashMap::new();
        for segment in self.segments().iter() {
            let seq: &mut u64 = seqs.entry(segment.partition).or_default();
            *seq = (*seq).max(segment.flushed_seq);
        }
        seqs
    }

    /// Removes what a failed write may have left. Nothing else may be written before this has succeeded.
    pub(crate) fn remove_orphans(&self, fs: &dyn Fs) -> Result<()> {
        let mut orphans = self.orphans.lock();
        while let Some(path) = orphans.last() {
            match fs.remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove", path, error));
                }
                _ => drop(orphans.pop()),
            }
        }
        Ok(())
    }
}

/// Removes segments whose content is in another one: a merge was cut short after that one was whole.
fn remove_replaced(fs: &dyn Fs, segments: &mut Vec<Arc<Segment>>) -> Result<()> {
    let replaced: Vec<SegmentId> = segments.iter().flat_map(|segment| segment.replaces.clone()).collect();
    let mut failed = None;
    segments.retain(|segment| {
        if !replaced.contains(&segment.id) {
            return true;
        }
        match fs.remove_file(&segment.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                failed = Some(io_error("remove", &segment.path, error));
            }
            _ => {}
        }
        false
    });
    failed.map_or(Ok(()), Err)
}

/// A tenant's directory.
pub(crate) fn tenant_dir(root: &Path, id: &TenantId) -> PathBuf {
    root.join("tenants").join(id.as_str())
}
