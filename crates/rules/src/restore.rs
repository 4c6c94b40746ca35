//! Pending time that survives a restart.

use model::{METRIC_NAME_LABEL, TimestampMs};

use crate::{AlertingRule, Engine, GroupOptions};

/// Gives a rule's alerts the time back that they were pending for before a restart.
pub(crate) fn restore(
    rule: &mut AlertingRule,
    now: TimestampMs,
    options: &GroupOptions,
    engine: &dyn Engine,
) -> Result<(), String> {
    let grace_ms = options.for_grace_period_ms;
    // A short `for` is over before restoring would pay.
    if rule.for_ms < grace_ms {
        return Ok(());
    }
    let for_ms = rule.for_ms;
    let stored = engine.for_states(&rule.name, now - options.outage_tolerance_ms, now)?;
    for alert in rule.alerts_mut() {
        let found = stored.iter().find(|state| {
            state.labels.iter().filter(|(name, _)| *name != METRIC_NAME_LABEL).eq(alert.labels.iter())
        });
        let Some(state) = found.filter(|state| state.active_at_seconds.is_finite()) else {
            continue;
        };
        let active_at = (state.active_at_seconds * 1000.0) as TimestampMs;
        let pending_before = state.timestamp - active_at;
        let remaining = for_ms - pending_before;
        alert.active_at = if remaining <= 0 {
            // It fired before; the next evaluation makes it fire again.
            active_at
        } else if remaining < grace_ms {
            now + grace_ms - for_ms
        } else {
            // The time that the server was down does not count.
            active_at + (now - state.timestamp)
        };
    }
    Ok(())
}
