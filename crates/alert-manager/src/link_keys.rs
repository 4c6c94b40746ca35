//! What links in notifications are signed with: this member's key, and the keys of the others, so that a link works at each.

use std::collections::BTreeMap;

use model::TimestampNs;
use rand::random;

use crate::times::seconds;

/// How long a key is.
const KEY_DIGITS: usize = 64;
/// A link works for seven days; a key that no member has shown for longer is of no use.
const LIFE_NS: i64 = seconds(8 * 86_400);
/// How often it is written down that a key is still in use.
const NOTED_EVERY_NS: i64 = seconds(86_400);
/// The most keys of others; the ones that were seen last stay.
const KEYS_MAX: usize = 64;

/// A member's key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkKey {
    /// Hexadecimal digits.
    pub key: String,
    /// When its member was last known to use it.
    pub seen_at: TimestampNs,
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkKey").field("seen_at", &self.seen_at).finish_non_exhaustive()
    }
}

/// A new key.
pub(crate) fn new_key() -> String {
    format!("{:032x}{:032x}", random::<u128>(), random::<u128>())
}

/// All keys.
#[derive(Clone)]
pub struct LinkKeys {
    own: String,
    others: BTreeMap<String, TimestampNs>,
}

impl std::fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkKeys").field("others", &self.others.len()).finish_non_exhaustive()
    }
}

impl LinkKeys {
    /// Our own key with those that were stored.
    pub fn new(own: String, others: Vec<LinkKey>) -> Self {
        Self { own, others: others.into_iter().map(|one| (one.key, one.seen_at)).collect() }
    }

    /// What we sign with.
    pub fn own(&self) -> &[u8] {
        self.own.as_bytes()
    }

    /// What links may be signed with, our own key first.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.own).chain(self.others.keys()).map(String::as_bytes)
    }

    /// What other members need.
    pub fn shared(&self, now: TimestampNs) -> Vec<LinkKey> {
        let own = LinkKey { key: self.own.clone(), seen_at: now };
        let others = self.others.iter().filter(|(_, seen_at)| now.saturating_sub(**seen_at) < LIFE_NS);
        let others = others.map(|(key, seen_at)| LinkKey { key: key.clone(), seen_at: *seen_at });
        std::iter::once(own).chain(others).collect()
    }

    /// Whether a key is unknown, or was not known to be still in use.
    pub fn is_news(&self, key: &LinkKey, now: TimestampNs) -> bool {
        let is_key = key.key.len() == KEY_DIGITS && key.key.bytes().all(|byte| byte.is_ascii_hexdigit());
        let seen_at = key.seen_at.min(now);
        let is_later = |known: &TimestampNs| seen_at.saturating_sub(*known) >= NOTED_EVERY_NS;
        is_key
            && key.key != self.own
            && now.saturating_sub(seen_at) < LIFE_NS
            && self.others.get(&key.key).is_none_or(is_later)
    }

    /// Takes one over that is news.
    pub fn merge(&mut self, key: LinkKey, now: TimestampNs) {
        if self.is_news(&key, now) {
            self.others.insert(key.key, key.seen_at.min(now));
        }
    }

    /// Forgets keys that are of no use, and those that are too many; gives them.
    pub fn forget_old(&mut self, now: TimestampNs) -> Vec<String> {
        let mut by_age: Vec<(TimestampNs, String)> =
            self.others.iter().map(|(key, seen_at)| (*seen_at, key.clone())).collect();
        by_age.sort_by(|a, b| b.cmp(a));
        let is_old = |(place, (seen_at, _)): &(usize, (TimestampNs, String))| {
            *place >= KEYS_MAX || now.saturating_sub(*seen_at) >= LIFE_NS
        };
        let old: Vec<String> =
            by_age.into_iter().enumerate().filter(is_old).map(|(_, (_, key))| key).collect();
        for key in &old {
            self.others.remove(key);
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_others_come_once_a_day_and_go_when_nobody_shows_them() {
        let mut keys = LinkKeys::new(new_key(), Vec::new());
        let other = new_key();
        let seen = |seen_at: TimestampNs| LinkKey { key: other.clone(), seen_at };
        keys.merge(seen(seconds(10)), seconds(20));
        assert_eq!(keys.all().count(), 2);
        for (key, now, is_news) in [
            (seen(seconds(15)), seconds(20), false),
            (seen(seconds(10) + NOTED_EVERY_NS), seconds(20) + NOTED_EVERY_NS, true),
            // Nobody's clock makes a key last.
            (seen(i64::MAX), seconds(20), false),
            (LinkKey { key: "short".to_owned(), seen_at: 0 }, 0, false),
            (LinkKey { key: "x".repeat(KEY_DIGITS), seen_at: 0 }, 0, false),
            (LinkKey { key: new_key(), seen_at: 0 }, LIFE_NS, false),
            (LinkKey { key: keys.own.clone(), seen_at: 0 }, 0, false),
        ] {
            assert_eq!(keys.is_news(&key, now), is_news, "{key:?} {now}");
        }
        assert_eq!(keys.shared(seconds(20)).len(), 2);
        assert_eq!(keys.forget_old(seconds(10) + LIFE_NS - 1), Vec::<String>::new());
        for _ in 0..KEYS_MAX {
            keys.merge(LinkKey { key: new_key(), seen_at: seconds(30) }, seconds(30));
        }
        assert_eq!(keys.forget_old(seconds(30)), [other]);
        assert_eq!(keys.forget_old(seconds(30) + LIFE_NS).len(), KEYS_MAX);
        assert_eq!(keys.all().count(), 1);
    }
}
