//! What commands write, and how they end.

use std::io::Write;

use model::{Labels, Quoted, TimestampMs, parse_rfc3339_ns};
use service::Failure;

/// What promtool ends with where something is wrong.
pub(super) const FAILED: u8 = 1;
/// What promtool ends with where only style is wrong.
pub(super) const LINT: u8 = 3;

/// Writes to the standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::runtime)
}

/// Writes to the standard error.
pub(super) fn complain(text: &str) {
    // Where nobody reads errors the exit code still tells.
    std::io::stderr().write_all(text.as_bytes()).ok();
}

/// All of the standard input, at most `bytes_max` bytes.
pub(super) fn read_input(bytes_max: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let mut input = Vec::new();
    std::io::stdin().lock().take(bytes_max + 1).read_to_end(&mut input).map_err(Failure::runtime)?;
    if input.len() as u64 > bytes_max {
        return Err(Failure::runtime(format!("the input has more than {bytes_max} bytes")));
    }
    Ok(input)
}

/// Labels with the metric's name among them, `{__name__="a", b="c"}`, as promtool shows them.
pub(super) fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| match model::is_legacy_label_name(name) {
            true => format!("{name}={}", Quoted(value)),
            false => format!("{}={}", Quoted(name), Quoted(value)),
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Seconds since the epoch, or RFC 3339.
pub(super) fn parse_time(text: &str) -> Result<TimestampMs, Failure> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let ms = seconds.map(|seconds| (seconds * 1000.0).round() as TimestampMs);
    ms.or_else(|| parse_rfc3339_ns(text).map(|ns| ns.div_euclid(1_000_000)))
        .ok_or_else(|| Failure::runtime(format!("cannot parse {text:?} to a valid timestamp")))
}

/// `name=value` or `name:value`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let at = text.find(['=', ':']).ok_or_else(|| format!("expected NAME=VALUE, got {text:?}"))?;
    Ok((text[..at].to_owned(), text[at + 1..].to_owned()))
}

/// The clock of the machine, in ms since the epoch.
pub(super) fn now_ms() -> TimestampMs {
    sys::Clock::now_ms(&sys::SystemClock::new())
}

/// A duration as Go writes it: `1h0m0s`, `1.5s`, `100ms`.
pub(super) fn go_duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let seconds = (ms % 60_000) as f64 / 1000.0;
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (1500, "1.5s"),
            (60_000, "1m0s"),
            (-3_600_000, "-1h0m0s"),
            (3_661_000, "1h1m1s"),
        ] {
            assert_eq!(go_duration(ms), text);
        }
    }
}
