//! Taking delete requests and carrying them out.

use std::sync::Arc;

use log_storage_api::LogStorageError;
use model::{Labels, TenantId, TimestampNs};

use super::DiskLogStore;
use super::maintain::MaintainReport;
use super::merge::Keep;
use crate::block::OpenBlock;
use crate::deletes::{DeleteRequest, DeleteSpec, Deletion, PENDING_LIMIT, has_room};
use crate::error::{BlockError, Result, io_error};
use crate::page::Row;
use crate::segment::Segment;
use crate::tenant::Tenant;

impl DiskLogStore {
    /// Takes a request to delete entries and returns its id. The entries are hidden from now on, those that are still to come
    /// as well, and removed for good by [`DiskLogStore::maintain`] after `spec.apply_after`.
    pub fn request_delete(&self, tenant: &TenantId, spec: DeleteSpec) -> Result<u64> {
        let created = self.clock.now_ns();
        let tenant = self.tenant_or_new(tenant);
        tenant.deletes.update(&*self.fs, &tenant.dir, |deletions| {
            if !has_room(deletions) {
                return Err(LogStorageError::LimitReached {
                    limit: "delete requests",
                    detail: format!("{PENDING_LIMIT} requests are waiting"),
                    setting: "compaction_interval: requests are carried out in the background",
                });
            }
            let id = deletions.iter().map(|deletion| deletion.request.id).max().unwrap_or(0) + 1;
            let request = DeleteRequest { id, spec, created, done: false };
            deletions.push(tenant.deletes.ready(request)?);
            Ok(id)
        })
    }

    /// The requests of a tenant that are waiting, and those done lately.
    pub fn delete_requests(&self, tenant: &TenantId) -> Vec<DeleteRequest> {
        let Some(tenant) = self.tenant(tenant) else { return Vec::new() };
        tenant.deletes.all().iter().map(|deletion| deletion.request.clone()).collect()
    }

    /// Takes a request back, so that its entries show again; false where there is none that is not done.
    pub fn cancel_delete(&self, tenant: &TenantId, id: u64) -> Result<bool> {
        let Some(tenant) = self.tenant(tenant) else { return Ok(false) };
        // Not while a request is being carried out: it would be done in part.
        let _maintenance = self.maintenance.lock();
        tenant.deletes.update(&*self.fs, &tenant.dir, |deletions| {
            let before = deletions.len();
            deletions.retain(|deletion| deletion.request.id != id || deletion.request.done);
            Ok(deletions.len() < before)
        })
    }

    /// Carries out one request that is due.
    pub(super) fn delete_step(&self, report: &mut MaintainReport) -> Result<()> {
        let now = self.clock.now_ns();
        for tenant in self.all_tenants() {
            let due = |deletion: &&Arc<Deletion>| {
                !deletion.request.done && deletion.request.spec.apply_after <= now
            };
            let Some(deletion) = tenant.deletes.all().iter().find(due).cloned() else { continue };
            // What is in memory goes to segments first, where it is then removed.
            self.flush()?;
            for segment in tenant.segments().iter() {
                if self.has_deleted(segment, &deletion)? {
                    self.rewrite(&tenant, std::slice::from_ref(segment), &Without(&deletion))?;
                    report.segments_rewritten += 1;
                }
            }
            self.mark_done(&tenant, deletion.request.id)?;
            report.more = true;
            return Ok(());
        }
        Ok(())
    }

    fn mark_done(&self, tenant: &Tenant, id: u64) -> Result<()> {
        tenant.deletes.update(&*self.fs, &tenant.dir, |deletions| {
            for deletion in deletions.iter_mut().filter(|deletion| deletion.request.id == id) {
                let request = DeleteRequest { done: true, ..deletion.request.clone() };
                *deletion = tenant.deletes.ready(request)?;
            }
            Ok(())
        })
    }

    /// Whether a segment holds entries that are meant.
    fn has_deleted(&self, segment: &Segment, deletion: &Deletion) -> Result<bool> {
        for stream in &segment.streams {
            for block in &stream.blocks {
                let (min, max) = (block.meta.min, block.meta.max);
                if block.is_damaged() || !deletion.touches(&stream.info.labels, min, max) {
                    continue;
                }
                match holds(&segment.open_block(block), &stream.info.labels, deletion) {
                    Ok(false) => {}
                    Ok(true) => return Ok(true),
                    Err(BlockError::Io(error)) => return Err(io_error("read", &segment.path, error)),
                    Err(BlockError::Damaged(reason)) => self.report_damage(segment, block, reason),
                }
            }
        }
        Ok(false)
    }
}

fn holds(block: &OpenBlock, labels: &Labels, deletion: &Deletion) -> std::result::Result<bool, BlockError> {
    let mut stats = log_storage_api::ScanStats::default();
    let times = block.timestamps()?;
    for row in block.lines()?.select_all(0..times.len(), &deletion.filters, &mut stats)? {
        let row = row as usize;
        if deletion.takes(labels, times[row], &block.line(row)?, &block.metadata()?.row(row)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Everything but what a request deletes.
struct Without<'a>(&'a Deletion);

impl Keep for Without<'_> {
    fn block(&self, labels: &Labels, min: TimestampNs, max: TimestampNs) -> Option<bool> {
        if !self.0.touches(labels, min, max) {
            return Some(true);
        }
        self.0.covers(min, max).then_some(false)
    }

    fn row(&self, labels: &Labels, row: Row<'_>) -> bool {
        let touched = self.0.touches(labels, row.timestamp, row.timestamp);
        !(touched && self.0.takes(labels, row.timestamp, row.line, row.metadata))
    }
}
