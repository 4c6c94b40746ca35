//! Hardware sensors, from /sys/class/hwmon.

use std::path::{Path, PathBuf};

use super::{CollectError, HostContext};
use crate::files::{names_in, read_number, read_trimmed};
use crate::page::{Kind, Page, sanitize_name};

/// A sensor file's kind, property and metric, and what its value is divided by.
const PROPERTIES: [(&str, &str, &str, f64); 17] = [
    ("temp", "input", "node_hwmon_temp_celsius", 1000.0),
    ("temp", "max", "node_hwmon_temp_max_celsius", 1000.0),
    ("temp", "min", "node_hwmon_temp_min_celsius", 1000.0),
    ("temp", "crit", "node_hwmon_temp_crit_celsius", 1000.0),
    ("temp", "crit_alarm", "node_hwmon_temp_crit_alarm_celsius", 1000.0),
    ("fan", "input", "node_hwmon_fan_rpm", 1.0),
    ("fan", "min", "node_hwmon_fan_min_rpm", 1.0),
    ("in", "input", "node_hwmon_in_volts", 1000.0),
    ("in", "min", "node_hwmon_in_min_volts", 1000.0),
    ("in", "max", "node_hwmon_in_max_volts", 1000.0),
    ("curr", "input", "node_hwmon_curr_amps", 1000.0),
    ("curr", "max", "node_hwmon_curr_max_amps", 1000.0),
    ("power", "input", "node_hwmon_power_watt", 1e6),
    ("power", "average", "node_hwmon_power_average_watt", 1e6),
    ("power", "cap", "node_hwmon_power_cap_watt", 1e6),
    ("energy", "input", "node_hwmon_energy_joule_total", 1e6),
    ("pwm", "", "node_hwmon_pwm", 1.0),
];

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let base = ctx.roots.sys("class/hwmon");
    let Ok(names) = names_in(&base) else {
        return Err(CollectError::NoData { what: "no hardware sensor".to_owned() });
    };
    for name in names {
        let dir = base.join(&name);
        let chip = chip_label(&dir, &name);
        let chip_name = read_trimmed(&dir.join("name")).unwrap_or_default();
        page.family("node_hwmon_chip_names", Kind::Gauge, "The readable name of a chip.")
            .add(&[("chip", &chip), ("chip_name", &chip_name)], 1.0);
        for file in names_in(&dir).unwrap_or_default() {
            collect_sensor(&dir.join(&file), &file, &chip, page);
        }
    }
    Ok(())
}

fn collect_sensor(path: &Path, file: &str, chip: &str, page: &mut Page) {
    let Some((kind, number, property)) = split_sensor(file) else { return };
    let sensor = format!("{kind}{number}");
    if property == "label" {
        let label = read_trimmed(path).unwrap_or_default();
        page.family("node_hwmon_sensor_label", Kind::Gauge, "The label of a sensor.")
            .add(&[("chip", chip), ("label", &label), ("sensor", &sensor)], 1.0);
        return;
    }
    let known = PROPERTIES.iter().find(|entry| entry.0 == kind && entry.1 == property);
    let (Some((_, _, metric, divisor)), Some(value)) = (known, read_number(path)) else { return };
    let family_kind = if metric.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
    page.family(*metric, family_kind, "A value of a hardware sensor.")
        .add(&[("chip", chip), ("sensor", &sensor)], value / divisor);
}

/// `temp1_input` is a kind, a number and a property.
fn split_sensor(file: &str) -> Option<(&str, &str, &str)> {
    let digits = file.find(|c: char| c.is_ascii_digit())?;
    let (kind, rest) = file.split_at(digits);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, property) = rest.split_at(end);
    Some((kind, number, property.strip_prefix('_').unwrap_or(property)))
}

/// The device's place (`platform_coretemp_0`), which unlike `hwmon3` stays the same over restarts.
fn chip_label(dir: &Path, name: &str) -> String {
    let device: Option<PathBuf> = std::fs::canonicalize(dir.join("device")).ok();
    let Some(device) = device else {
        return read_trimmed(&dir.join("name")).map_or_else(|| name.to_owned(), |chip| sanitize_name(&chip));
    };
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let own = file_name(&device).unwrap_or_default();
    let parent = device.parent().and_then(file_name).unwrap_or_default();
    sanitize_name(&format!("{parent}_{own}")).trim_matches('_').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_files_are_split() {
        assert_eq!(split_sensor("temp12_crit_alarm"), Some(("temp", "12", "crit_alarm")));
        assert_eq!(split_sensor("pwm1"), Some(("pwm", "1", "")));
        assert_eq!(split_sensor("uevent"), None);
    }
}
