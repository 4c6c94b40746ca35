//! Temperatures and cooling devices, from /sys/class/thermal.

use super::{CollectError, HostContext};
use crate::files::{names_in, read_number, read_trimmed};
use crate::page::{Kind, Page};

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let base = ctx.roots.sys("class/thermal");
    let Ok(names) = names_in(&base) else {
        return Err(CollectError::NoData { what: "no thermal zone".to_owned() });
    };
    for name in names {
        let dir = base.join(&name);
        let kind = read_trimmed(&dir.join("type")).unwrap_or_default();
        if let Some(zone) = name.strip_prefix("thermal_zone") {
            // A zone whose sensor sleeps answers with an error: it is left out, not 0.
            let Some(millidegrees) = read_number(&dir.join("temp")) else { continue };
            page.family("node_thermal_zone_temp", Kind::Gauge, "Temperature of a zone in degrees Celsius.")
                .add(&[("type", &kind), ("zone", zone)], millidegrees / 1000.0);
        } else if let Some(device) = name.strip_prefix("cooling_device") {
            let states = [
                ("cur_state", "node_cooling_device_cur_state", "Throttle state of a cooling device."),
                ("max_state", "node_cooling_device_max_state", "Largest throttle state of a cooling device."),
            ];
            for (file, metric, help) in states {
                let Some(state) = read_number(&dir.join(file)) else { continue };
                page.family(metric, Kind::Gauge, help).add(&[("name", device), ("type", &kind)], state);
            }
        }
    }
    Ok(())
}
