//! Keeping segments within what they may take on disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::DiskLogStore;
use super::maintain::MaintainReport;
use crate::error::Result;
use crate::segment::Segment;
use crate::tenant::Tenant;

impl DiskLogStore {
    /// Deletes the segments with the oldest entries, whoever's they are, until the others take no more than they may. The
    /// newest one stays, however large it is.
    pub(super) fn shrink(&self, report: &mut MaintainReport) -> Result<()> {
        let Some(bytes_max) = self.options.disk_bytes_max else { return Ok(()) };
        let mut segments: Vec<(Arc<Tenant>, Arc<Segment>)> = Vec::new();
        for tenant in self.all_tenants() {
            let of_tenant = tenant.segments();
            segments.extend(of_tenant.iter().map(|segment| (Arc::clone(&tenant), Arc::clone(segment))));
        }
        let mut bytes: u64 = segments.iter().map(|(_, segment)| segment.len).sum();
        segments.sort_by_key(|(_, segment)| (segment.max, segment.id));
        segments.pop();
        for (tenant, segment) in &segments {
            if bytes <= bytes_max {
                break;
            }
            self.replace_segments(tenant, std::slice::from_ref(segment), None)?;
            bytes -= segment.len;
            self.counts.segments_expired.fetch_add(1, Ordering::Relaxed);
            report.segments_expired += 1;
            tracing::info!(
                tenant = tenant.id.as_str(),
                segment = %segment.path.display(),
                bytes = segment.len,
                bytes_max,
                "segment deleted: the data are larger than they may be"
            );
        }
        Ok(())
    }
}
