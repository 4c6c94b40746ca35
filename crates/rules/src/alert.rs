//! One alert of a rule: its state and when it is to be sent.

use model::{Labels, TimestampMs};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Resolved: kept for a while so that the resolution is sent again.
    Inactive,
    /// There, but not for as long as `for` asks.
    Pending,
    /// Firing.
    Firing,
}

impl AlertState {
    /// The word that the API and `ALERTS` show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An alert of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Where it stands.
    pub state: AlertState,
    /// What identifies it.
    pub labels: Labels,
    /// Its annotations, rendered at the last evaluation.
    pub annotations: Labels,
    /// The expression's value at the last evaluation that had it.
    pub value: f64,
    /// Since when there is a result.
    pub active_at: TimestampMs,
    /// Since when it fires.
    pub fired_at: Option<TimestampMs>,
    /// When it was resolved.
    pub resolved_at: Option<TimestampMs>,
    /// When it was last handed out for sending.
    pub last_sent_at: Option<TimestampMs>,
    /// Until when a receiver is to believe it without hearing again.
    pub valid_until: TimestampMs,
    /// Since when it fires without a result.
    pub keep_firing_since: Option<TimestampMs>,
}

impl Alert {
    pub(crate) fn pending(labels: Labels, annotations: Labels, value: f64, at: TimestampMs) -> Self {
        Self {
            state: AlertState::Pending,
            labels,
            annotations,
            value,
            active_at: at,
            fired_at: None,
            resolved_at: None,
            last_sent_at: None,
            valid_until: 0,
            keep_firing_since: None,
        }
    }

    fn needs_sending(&self, now: TimestampMs, resend_delay_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        match self.last_sent_at {
            None => true,
            Some(sent) => {
                self.resolved_at.is_some_and(|resolved| resolved > sent) || sent + resend_delay_ms < now
            }
        }
    }

    /// Gives the alert out if it is due, and notes that.
    pub(crate) fn take_for_sending(&mut self, sending: &Sending<'_>) -> Option<OutgoingAlert> {
        let now = sending.now;
        if !self.needs_sending(now, sending.resend_delay_ms) {
            return None;
        }
        self.last_sent_at = Some(now);
        // Two failed sends in a row must not resolve the alert at the receiver.
        self.valid_until = now + 4 * sending.resend_delay_ms.max(sending.interval_ms);
        Some(OutgoingAlert {
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            starts_at: self.fired_at.unwrap_or(self.active_at),
            ends_at: self.resolved_at.unwrap_or(self.valid_until),
            is_resolved: self.resolved_at.is_some(),
            expr: sending.expr.to_owned(),
        })
    }
}

/// What decides whether an alert is due.
pub(crate) struct Sending<'e> {
    pub(crate) now: TimestampMs,
    pub(crate) resend_delay_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) expr: &'e str,
}

/// An alert to be sent to the alert managers.
#[derive(Clone, Debug, PartialEq)]
pub struct OutgoingAlert {
    /// Its labels, without external labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Since when it fires, in ms since the epoch.
    pub starts_at: TimestampMs,
    /// When it was resolved; else until when it is valid without being sent again.
    pub ends_at: TimestampMs,
    /// Whether it is resolved.
    pub is_resolved: bool,
    /// The rule's expression; [`crate::table_link`] makes the generator URL of it.
    pub expr: String,
}
