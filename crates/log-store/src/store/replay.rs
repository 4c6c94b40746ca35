//! Taking the write-ahead log's entries into memory at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use model::TenantId;

use crate::checkpoint::Checkpoint;
use crate::page::Row;
use crate::record::{Part, decode};
use crate::stream::Stream;
use crate::tenant::{Tenant, TenantEnv, tenant_dir};

/// Tenants as they come back.
#[derive(Debug)]
pub(super) struct Replay {
    dir: PathBuf,
    env: TenantEnv,
    pub(super) tenants: HashMap<TenantId, Arc<Tenant>>,
    /// Entries of records up to here are in segments, in all partitions.
    flushed_seq: u64,
    partition_seqs: HashMap<TenantId, HashMap<i64, u64>>,
    pub(super) partition_ns: i64,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) unknown_records: u64,
}

impl Replay {
    pub(super) fn new(
        dir: &Path,
        tenants: HashMap<TenantId, Arc<Tenant>>,
        checkpoint: Checkpoint,
        partition_ns: i64,
        env: &TenantEnv,
    ) -> Self {
        let seqs = tenants.iter().map(|(id, tenant)| (id.clone(), tenant.flushed_seqs())).collect();
        let mut replay = Self {
            dir: dir.to_owned(),
            env: env.clone(),
            tenants,
            flushed_seq: checkpoint.flushed_seq,
            partition_seqs: seqs,
            partition_ns,
            entries: 0,
            bytes: 0,
            unknown_records: 0,
        };
        for (id, marks) in checkpoint.marks {
            let tenant = replay.tenant(&id);
            for (source, mark) in marks {
                tenant.positions.advance(&source, mark);
            }
        }
        replay
    }

    fn tenant(&mut self, id: &TenantId) -> Arc<Tenant> {
        let (dir, env) = (&self.dir, &self.env);
        let make = || Arc::new(Tenant::new(id.clone(), tenant_dir(dir, id), env));
        Arc::clone(self.tenants.entry(id.clone()).or_insert_with(make))
    }

    /// Takes a record of the log.
    pub(super) fn take(&mut self, seq: u64, record: &[u8]) {
        let mut stream: Option<Arc<Stream>> = None;
        let decoded = decode(record, |id, part| match part {
            Part::Stream(labels) => stream = Some(self.tenant(id).stream(&labels)),
            Part::Entry { timestamp, line, metadata } => {
                if let Some(stream) = &stream {
                    let row = Row { timestamp, line, metadata: &metadata };
                    self.take_entry(seq, id, stream, row);
                }
            }
            Part::Mark(source, mark) => self.tenant(id).positions.advance(&source, mark),
        });
        if let Err(error) = decoded {
            self.unknown_records += 1;
            tracing::error!(seq, %error, "record of the write-ahead log cannot be understood");
        }
    }

    fn take_entry(&mut self, seq: u64, id: &TenantId, stream: &Stream, row: Row<'_>) {
        let partition = row.timestamp.div_euclid(self.partition_ns);
        let partition_seq = self.partition_seqs.get(id).and_then(|seqs| seqs.get(&partition));
        if seq <= self.flushed_seq.max(partition_seq.copied().unwrap_or(0)) {
            return;
        }
        let mut head = stream.head.lock();
        // Two appends of the same entry may have raced to the log; and what a lost checkpoint makes look new may be in a
        // segment.
        let known = head.contains(stream.info.id, &[], row);
        if !matches!(known, Ok(true)) {
            self.bytes += head.push(row);
            self.entries += 1;
        }
    }
}
