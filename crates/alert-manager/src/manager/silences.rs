//! What silences ask for while they last: to end with their alerts, to warn before their end.

use model::Labels;

use super::Manager;
use crate::alert::{Alert, Fingerprint};
use crate::silences::SilenceState;

/// The alert that a silence is about to end.
const EXPIRING_ALERT: &str = "WatchbellSilenceExpiring";

impl Manager {
    pub(super) async fn look_after_silences(&self) {
        let now = self.now();
        let (mut over, mut warnings) = (Vec::new(), Vec::new());
        {
            let dispatcher = self.dispatcher();
            for (silence, matchers, wishes) in dispatcher.silences.with_wishes() {
                let warns = wishes.warn_before_ns.is_some_and(|before| silence.ends_at - before <= now);
                // Most wish for nothing: their alerts need not be counted.
                if silence.state(now) != SilenceState::Active || !(wishes.until_resolved || warns) {
                    continue;
                }
                let (firing, resolved) = dispatcher.count_matching(matchers, now);
                // Where nothing is known, as after a restart, nothing is concluded.
                if wishes.until_resolved && firing == 0 && resolved > 0 {
                    over.push(silence.id.clone());
                }
                if firing > 0 && warns {
                    warnings.push((silence.clone(), firing));
                }
            }
        }
        for id in over {
            match self.expire_silence(&id).await {
                Ok(()) => tracing::info!(id, "silence ended with its alerts"),
                Err(error) => tracing::error!(id, error = %error, "silence cannot be ended"),
            }
        }
        let alerts = warnings.into_iter().map(|(silence, firing)| {
            let labels = Labels::from_pairs([
                ("alertname", EXPIRING_ALERT),
                ("created_by", silence.created_by.as_str()),
                ("severity", "info"),
                ("silence", silence.id.as_str()),
            ]);
            let summary = format!("A silence that keeps {firing} alerts back is about to end.");
            Alert {
                fingerprint: Fingerprint::of(&labels),
                labels,
                annotations: Labels::from_pairs([
                    ("summary", summary.as_str()),
                    ("comment", silence.comment.as_str()),
                ]),
                starts_at: now,
                ends_at: silence.ends_at,
                updated_at: now,
                timeout: false,
                generator_url: format!("{}/#/silences/{}", self.0.settings.external_url, silence.id),
            }
        });
        let alerts: Vec<Alert> = alerts.collect();
        if !alerts.is_empty() {
            self.receive(alerts);
        }
    }
}
