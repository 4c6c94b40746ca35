//! Kernel and machine names.

use super::{CollectError, HostContext};
use crate::files::read_trimmed;
use crate::page::{Kind, Page};

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let system = rustix::system::uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    let nodename = match ctx.nodename.lock().clone() {
        Some(name) => name,
        // In a container uname tells the container's name, not the machine's.
        None if ctx.roots.is_container() => {
            read_trimmed(&ctx.roots.host_path("etc/hostname")).unwrap_or_else(|| text(system.nodename()))
        }
        None => text(system.nodename()),
    };
    let domain =
        read_trimmed(&ctx.roots.proc("sys/kernel/domainname")).unwrap_or_else(|| "(none)".to_owned());
    page.family("node_uname_info", Kind::Gauge, "Kernel and machine names as uname(2) tells them.").add(
        &[
            ("domainname", &domain),
            ("machine", &text(system.machine())),
            ("nodename", &nodename),
            ("release", &text(system.release())),
            ("sysname", &text(system.sysname())),
            ("version", &text(system.version())),
        ],
        1.0,
    );
    Ok(())
}
