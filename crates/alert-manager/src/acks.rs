//! Acknowledgements: somebody has taken an alert on. Repeats stop; what is new or resolved is told all the same.

use std::collections::HashMap;

use model::TimestampNs;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Fingerprint};
use crate::data::Pairs;

/// An acknowledgement of one alert. Times are ns since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ack {
    /// The alert's hash.
    pub fingerprint: u64,
    /// The alert's labels, for whoever reads it.
    pub labels: Pairs,
    /// Who has taken it on.
    pub owner: String,
    /// What is said about it.
    pub comment: String,
    /// Since when.
    pub at: TimestampNs,
    /// Until when.
    pub expires_at: TimestampNs,
    /// Whether it was taken back. It is remembered until it would have ended, so that no peer brings it again.
    #[serde(default)]
    pub is_withdrawn: bool,
}

/// The acknowledgements by alert.
#[derive(Debug, Default)]
pub struct Acks(HashMap<u64, Ack>);

impl Acks {
    /// Takes over what has been stored; of two of an alert the later one stays.
    pub fn apply(&mut self, acks: Vec<Ack>) {
        for ack in acks {
            self.merge(ack);
        }
    }

    /// Whether an acknowledgement is later than what is known of its alert; of two of a time, either way the same.
    pub fn is_news(&self, ack: &Ack) -> bool {
        self.0.get(&ack.fingerprint).is_none_or(|known| (known.at, known) < (ack.at, ack))
    }

    /// Takes one over where it is news.
    pub fn merge(&mut self, ack: Ack) -> bool {
        let is_news = self.is_news(&ack);
        if is_news {
            self.0.insert(ack.fingerprint, ack);
        }
        is_news
    }

    /// The acknowledgement of an alert. One that has begun anew since is not acknowledged.
    pub fn of(&self, alert: &Alert, now: TimestampNs) -> Option<&Ack> {
        let ack = self.0.get(&alert.fingerprint.0)?;
        (is_in_force(ack, now) && alert.starts_at <= ack.at).then_some(ack)
    }

    /// What is known, in force or not.
    pub fn iter(&self) -> impl Iterator<Item = &Ack> {
        self.0.values()
    }

    /// What an acknowledgement becomes when it is taken back; none where none is in force.
    pub fn withdrawn(&self, fingerprint: Fingerprint, now: TimestampNs) -> Option<Ack> {
        let ack = self.0.get(&fingerprint.0).filter(|ack| is_in_force(ack, now))?;
        Some(Ack { at: now.max(ack.at.saturating_add(1)), is_withdrawn: true, ..ack.clone() })
    }

    /// All of them, by time.
    pub fn list(&self, now: TimestampNs) -> Vec<Ack> {
        let mut all: Vec<Ack> = self.0.values().filter(|ack| is_in_force(ack, now)).cloned().collect();
        all.sort_by_key(|ack| (ack.at, ack.fingerprint));
        all
    }

    /// Forgets one; false where there is none.
    pub fn remove(&mut self, fingerprint: Fingerprint) -> bool {
        self.0.remove(&fingerprint.0).is_some()
    }

    /// Those that are over.
    pub fn outdated(&self, now: TimestampNs) -> Vec<Fingerprint> {
        self.0.values().filter(|ack| ack.expires_at <= now).map(|ack| Fingerprint(ack.fingerprint)).collect()
    }
}

fn is_in_force(ack: &Ack, now: TimestampNs) -> bool {
    !ack.is_withdrawn && ack.expires_at > now
}

/// Links with which a group is acknowledged: signed, and good for a time.
pub mod link {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use model::TimestampNs;

    use crate::notify::sigv4::hmac;
    use crate::times::seconds;

    /// How long a link works.
    const LIFE_NS: i64 = seconds(7 * 86_400);

    /// The token of a link for the alerts that a group had at a time.
    pub fn token(secret: &[u8], group_key: &str, at: TimestampNs) -> String {
        let claim = URL_SAFE_NO_PAD.encode(format!("{at} {group_key}"));
        let signature = URL_SAFE_NO_PAD.encode(hmac(secret, claim.as_bytes()));
        format!("{claim}.{signature}")
    }

    /// What a token says, where we have signed it and it is not too old.
    pub fn read(secret: &[u8], token: &str, now: TimestampNs) -> Option<(String, TimestampNs)> {
        let (claim, signature) = token.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let expected = hmac(secret, claim.as_bytes());
        // All bytes are compared, so that the time taken tells nothing.
        let differs = signature.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
        if signature.len() != expected.len() || differs != 0 {
            return None;
        }
        let claim = String::from_utf8(URL_SAFE_NO_PAD.decode(claim).ok()?).ok()?;
        let (at, group_key) = claim.split_once(' ')?;
        let at: TimestampNs = at.parse().ok()?;
        (now.saturating_sub(at) < LIFE_NS).then(|| (group_key.to_owned(), at))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_our_own_and_fresh_tokens_are_read() {
            let token = token(b"secret", "{}:{a=\"b c\"}", 100);
            assert_eq!(read(b"secret", &token, 200), Some(("{}:{a=\"b c\"}".to_owned(), 100)));
            assert_eq!(read(b"other", &token, 200), None);
            assert_eq!(read(b"secret", &token, 100 + LIFE_NS), None);
            let (claim, signature) = token.split_once('.').unwrap();
            for forged in [
                format!("{}.{signature}", super::token(b"x", "{}", 100).split_once('.').unwrap().0),
                format!("{claim}."),
                claim.to_owned(),
                String::new(),
                ".".to_owned(),
                "é.é".to_owned(),
            ] {
                assert_eq!(read(b"secret", &forged, 200), None, "{forged}");
            }
        }
    }
}
