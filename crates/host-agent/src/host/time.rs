//! The machine's clock and its source.

use super::{CollectError, HostContext};
use crate::files::{names_in, read_trimmed};
use crate::page::{Kind, Page};

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let now = ctx.clock.now_ns() as f64 / 1e9;
    page.gauge("node_time_seconds", "The machine's clock, as Unix time.", now);
    render_zone(ctx, page);
    let base = ctx.roots.sys("devices/system/clocksource");
    for name in names_in(&base).unwrap_or_default() {
        let Some(device) = name.strip_prefix("clocksource") else { continue };
        let dir = base.join(&name);
        for source in
            read_trimmed(&dir.join("available_clocksource")).unwrap_or_default().split_ascii_whitespace()
        {
            let help = "A clock source that the machine has.";
            page.family("node_time_clocksource_available_info", Kind::Gauge, help)
                .add(&[("clocksource", source), ("device", device)], 1.0);
        }
        if let Some(source) = read_trimmed(&dir.join("current_clocksource")) {
            let help = "The clock source in use.";
            page.family("node_time_clocksource_current_info", Kind::Gauge, help)
                .add(&[("clocksource", &source), ("device", device)], 1.0);
        }
    }
    Ok(())
}

/// The machine's zone; from within a container that of its /etc/localtime.
fn render_zone(ctx: &HostContext, page: &mut Page) {
    let content = std::fs::read(ctx.roots.host_path("etc/localtime"));
    let zone = content.ok().and_then(|tzif| jiff::tz::TimeZone::tzif("localtime", &tzif).ok());
    // A machine without the file has UTC.
    let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
    let Ok(now) = jiff::Timestamp::from_millisecond(ctx.clock.now_ms()) else { return };
    let info = zone.to_offset_info(now);
    let offset = f64::from(info.offset().seconds());
    page.family("node_time_zone_offset_seconds", Kind::Gauge, "The offset of the machine's zone to UTC.")
        .add(&[("time_zone", info.abbreviation())], offset);
}
