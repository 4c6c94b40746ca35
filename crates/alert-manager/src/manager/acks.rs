//! Taking alerts on.

use model::TimestampNs;

use super::{ChangeError, Manager};
use crate::acks::{Ack, link};
use crate::alert::{Alert, Fingerprint};
use crate::cluster::Change;
use crate::data::pairs;
use crate::history::Happening;
use crate::matchers::MatcherSet;

/// Which alerts are taken on.
#[derive(Debug)]
pub enum AckTarget {
    /// These.
    Fingerprints(Vec<Fingerprint>),
    /// Those that fire and match.
    Matching(MatcherSet),
    /// Those that a group had at a time.
    Group(String, TimestampNs),
}

/// Who takes them on, until when, and what is said about it.
#[derive(Clone, Debug)]
pub struct AckBy {
    /// Who.
    pub owner: String,
    /// What is said.
    pub comment: String,
    /// Until when.
    pub expires_at: TimestampNs,
}

impl Manager {
    /// Acknowledges the alerts that fire among those that are meant; gives what is now acknowledged.
    pub async fn acknowledge(&self, target: AckTarget, by: AckBy) -> Result<Vec<Ack>, ChangeError> {
        let _change = self.0.silence_changes.lock().await;
        let now = self.now();
        let ack = |alert: &Alert| Ack {
            fingerprint: alert.fingerprint.0,
            labels: pairs(&alert.labels),
            owner: by.owner.clone(),
            comment: by.comment.clone(),
            at: now,
            expires_at: by.expires_at,
            is_withdrawn: false,
        };
        let acks: Vec<Ack> = self.dispatcher().firing(&target, now).iter().map(|alert| ack(alert)).collect();
        let (state, stored) = (self.0.state.clone(), acks.clone());
        let storing = tokio::task::spawn_blocking(move || state.put_acks(&stored));
        store_outcome(storing.await)?;
        for ack in &acks {
            self.record(
                now,
                Happening::Acknowledged {
                    fingerprint: Fingerprint(ack.fingerprint).to_string(),
                    labels: ack.labels.clone(),
                    owner: ack.owner.clone(),
                    comment: ack.comment.clone(),
                    expires_at: ack.expires_at,
                },
            );
        }
        self.dispatcher().acks.apply(acks.clone());
        acks.iter().for_each(|ack| self.tell_peers(Change::Ack(ack.clone())));
        Ok(acks)
    }

    /// Takes an acknowledgement back; false where there is none.
    pub async fn forget_ack(&self, fingerprint: Fingerprint) -> Result<bool, ChangeError> {
        let _change = self.0.silence_changes.lock().await;
        let now = self.now();
        let Some(withdrawn) = self.dispatcher().acks.withdrawn(fingerprint, now) else {
            return Ok(false);
        };
        let (state, stored) = (self.0.state.clone(), withdrawn.clone());
        store_outcome(tokio::task::spawn_blocking(move || state.put_acks(&[stored])).await)?;
        self.dispatcher().acks.apply(vec![withdrawn.clone()]);
        self.tell_peers(Change::Ack(withdrawn));
        let fingerprint = fingerprint.to_string();
        self.record(now, Happening::AcknowledgementRemoved { fingerprint });
        Ok(true)
    }

    /// The group and time of a link's token, where it is ours or another member's.
    pub fn read_ack_token(&self, token: &str) -> Option<(String, TimestampNs)> {
        let now = self.now();
        self.0.link_keys.read().all().find_map(|key| link::read(key, token, now))
    }
}

pub(super) fn store_outcome(
    outcome: Result<state_store::Result<()>, tokio::task::JoinError>,
) -> Result<(), ChangeError> {
    outcome
        .map_err(|error| ChangeError::Store(error.to_string()))?
        .map_err(|error| ChangeError::Store(service::error_chain(&error)))
}
