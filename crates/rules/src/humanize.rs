//! Numbers as people read them.

use go_template::{Value, sprintf};

fn four_digits(value: f64) -> String {
    sprintf("%.4g", &[Value::Float(value)])
}

/// `1.235M`, `12m`: SI prefixes.
pub(crate) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let mut scaled = value;
    let mut prefix = "";
    if value.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if scaled.abs() < 1000.0 {
                break;
            }
            prefix = next;
            scaled /= 1000.0;
        }
    } else {
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if scaled.abs() >= 1.0 {
                break;
            }
            prefix = next;
            scaled *= 1000.0;
        }
    }
    format!("{}{prefix}", four_digits(scaled))
}

/// `1.5ki`: powers of 1024.
pub(crate) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    let mut scaled = value;
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if scaled.abs() < 1024.0 {
            break;
        }
        prefix = next;
        scaled /= 1024.0;
    }
    format!("{}{prefix}", four_digits(scaled))
}

/// `1d 2h 3m 4s`, `12.5ms`: seconds.
pub(crate) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    let magnitude = value.abs();
    if magnitude < 1.0 {
        let mut scaled = value;
        let mut prefix = "";
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if scaled.abs() >= 1.0 {
                break;
            }
            prefix = next;
            scaled *= 1000.0;
        }
        return format!("{}{prefix}s", four_digits(scaled));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = magnitude as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(magnitude))
    }
}

/// `12.34%` of a ratio.
pub(crate) fn humanize_percentage(value: f64) -> String {
    format!("{}%", four_digits(value * 100.0))
}
