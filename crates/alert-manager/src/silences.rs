//! Silences: what they mute, and how they change.

use std::collections::BTreeMap;

use model::{Labels, MatchOp, Matcher, TimestampNs};
use serde::{Deserialize, Serialize};

use crate::matchers::MatcherSet;
use crate::times::as_seconds;

mod wishes;

pub use wishes::{RECURRENCE, UNTIL_RESOLVED, WARN_BEFORE, Wishes};

/// A silence as it is stored. Times are ns since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Silence {
    /// A UUID.
    pub id: String,
    /// What an alert has to match; all of them.
    pub matchers: Vec<SilenceMatcher>,
    /// From when on it mutes.
    pub starts_at: TimestampNs,
    /// Until when.
    pub ends_at: TimestampNs,
    /// When it was last changed.
    pub updated_at: TimestampNs,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Anything else.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A matcher of a silence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SilenceMatcher {
    /// The label.
    pub name: String,
    /// The value or pattern.
    pub value: String,
    /// Whether it is a pattern.
    pub is_regex: bool,
    /// Whether a match is wanted; else the opposite.
    pub is_equal: bool,
}

impl SilenceMatcher {
    /// As a matcher.
    pub fn to_matcher(&self) -> Matcher {
        let op = match (self.is_regex, self.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        Matcher::new(self.name.clone(), op, self.value.clone())
    }

    /// From a matcher.
    pub fn of(matcher: &Matcher) -> Self {
        Self {
            name: matcher.name.clone(),
            value: matcher.value.clone(),
            is_regex: matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
        }
    }
}

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// Mutes.
    Active,
    /// Will mute.
    Pending,
    /// Is over.
    Expired,
}

impl SilenceState {
    /// The word that the API shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Where it stands at `now`. One that was ended stays so when the clock is set back.
    pub fn state(&self, now: TimestampNs) -> SilenceState {
        if self.ends_at <= now.max(self.updated_at) {
            SilenceState::Expired
        } else if self.starts_at > now {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }
}

/// Why a silence is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// No silence has this id.
    #[error("silence {0} not found")]
    NotFound(String),
    /// What was asked for makes no silence.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// There are as many as are allowed.
    #[error("exceeded maximum number of silences: {max} (limit: --silences.max-silences)")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// It is larger than allowed.
    #[error(
        "silence exceeded maximum size: {got} bytes (limit: {max} bytes, --silences.max-silence-size-bytes)"
    )]
    TooLarge {
        /// Its size.
        got: usize,
        /// The limit.
        max: usize,
    },
}

/// What `--silences.*` allow; 0: no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilenceLimits {
    /// How many, expired ones included.
    pub count_max: usize,
    /// The largest.
    pub bytes_max: usize,
}

/// A silence with what it is compiled into.
type Known = (Silence, MatcherSet, Wishes);

/// All silences.
#[derive(Debug, Default)]
pub struct Silences {
    by_id: BTreeMap<String, Known>,
    limits: SilenceLimits,
}

impl Silences {
    /// No silences.
    pub fn new(limits: SilenceLimits) -> Self {
        Self { by_id: BTreeMap::new(), limits }
    }

    /// What has to be stored so that a silence is set: itself last, and the old one where it is replaced. Nothing changes
    /// before [`Self::apply`].
    pub fn prepare(
        &self,
        mut new: Silence,
        new_id: String,
        now: TimestampNs,
    ) -> Result<Vec<Silence>, SilenceError> {
        check(&new)?;
        let mut records = Vec::new();
        new.updated_at = now;
        if !new.id.is_empty() {
            let Some((old, ..)) = self.by_id.get(&new.id) else {
                return Err(SilenceError::NotFound(new.id));
            };
            if may_change(old, &new, now) {
                new.updated_at = now.max(old.updated_at.saturating_add(1));
                self.check_size(&new)?;
                return Ok(vec![new]);
            }
            records.extend(expired(old, now));
        }
        if self.limits.count_max > 0 && self.by_id.len() >= self.limits.count_max {
            return Err(SilenceError::TooMany { max: self.limits.count_max });
        }
        new.id = new_id;
        new.starts_at = new.starts_at.max(now);
        self.check_size(&new)?;
        records.push(new);
        Ok(records)
    }

    fn check_size(&self, silence: &Silence) -> Result<(), SilenceError> {
        let got = serde_json::to_string(silence).map_or(0, |json| json.len());
        if self.limits.bytes_max > 0 && got > self.limits.bytes_max {
            return Err(SilenceError::TooLarge { got, max: self.limits.bytes_max });
        }
        Ok(())
    }

    /// What has to be stored so that a silence ends; nothing where it is over already.
    pub fn prepare_expire(&self, id: &str, now: TimestampNs) -> Result<Vec<Silence>, SilenceError> {
        let (silence, ..) = self.by_id.get(id).ok_or_else(|| SilenceError::NotFound(id.to_owned()))?;
        Ok(expired(silence, now).into_iter().collect())
    }

    /// Takes records over that have been stored.
    pub fn apply(&mut self, records: Vec<Silence>) {
        for silence in records {
            // What is stored has been checked; what an older version stored may not compile and then mutes nothing.
            if let Ok(matchers) = MatcherSet::new(silence.matchers.iter().map(SilenceMatcher::to_matcher)) {
                let wishes = Wishes::read(&silence.annotations).unwrap_or_default();
                self.by_id.insert(silence.id.clone(), (silence, matchers, wishes));
            }
        }
    }

    /// Whether a silence is later than what is known of it; of two of a time, either way the same.
    pub fn is_news(&self, silence: &Silence) -> bool {
        let is_later = |known: &Silence| (known.updated_at, known) < (silence.updated_at, silence);
        check(silence).is_ok() && self.get(&silence.id).is_none_or(is_later)
    }

    /// Takes one over where it is news.
    pub fn merge(&mut self, silence: Silence) -> bool {
        let is_news = self.is_news(&silence);
        if is_news {
            self.apply(vec![silence]);
        }
        is_news
    }

    /// A silence.
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id).map(|(silence, ..)| silence)
    }

    /// All silences.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values().map(|(silence, ..)| silence)
    }

    /// All silences with their matchers and wishes.
    pub fn with_wishes(&self) -> impl Iterator<Item = (&Silence, &MatcherSet, &Wishes)> {
        self.by_id.values().map(|(silence, matchers, wishes)| (silence, matchers, wishes))
    }

    /// The ids of the silences that mute an alert now, sorted.
    pub fn muting(&self, labels: &Labels, now: TimestampNs) -> Vec<String> {
        let muting = self.by_id.values().filter(|known| mutes(known, labels, now));
        muting.map(|(silence, ..)| silence.id.clone()).collect()
    }

    /// The silences that mute now, by id, with what they mute.
    pub fn muting_now(&self, now: TimestampNs) -> impl Iterator<Item = (&str, &MatcherSet)> {
        let in_force = self.by_id.values().filter(move |known| is_in_force(known, now));
        in_force.map(|(silence, matchers, _)| (silence.id.as_str(), matchers))
    }

    /// Whether some silence mutes an alert now.
    pub fn mutes(&self, labels: &Labels, now: TimestampNs) -> bool {
        self.by_id.values().any(|known| mutes(known, labels, now))
    }

    /// The ids of silences that have been over for longer than `retention_ns`.
    pub fn outdated(&self, now: TimestampNs, retention_ns: i64) -> Vec<String> {
        self.iter()
            .filter(|silence| silence.ends_at + retention_ns <= now)
            .map(|silence| silence.id.clone())
            .collect()
    }

    /// Forgets silences.
    pub fn forget(&mut self, ids: &[String]) {
        for id in ids {
            self.by_id.remove(id);
        }
    }

    /// How many stand how.
    pub fn count(&self, state: SilenceState, now: TimestampNs) -> usize {
        self.iter().filter(|silence| silence.state(now) == state).count()
    }
}

fn mutes(known: &Known, labels: &Labels, now: TimestampNs) -> bool {
    is_in_force(known, now) && known.1.matches(labels)
}

fn is_in_force((silence, _, wishes): &Known, now: TimestampNs) -> bool {
    silence.state(now) == SilenceState::Active && wishes.mutes(now)
}

fn check(silence: &Silence) -> Result<(), SilenceError> {
    let invalid = |reason: String| Err(SilenceError::Invalid(reason));
    if silence.matchers.is_empty() {
        return invalid("at least one matcher required".to_owned());
    }
    if let Some(matcher) = silence.matchers.iter().find(|matcher| matcher.name.is_empty()) {
        return invalid(format!("invalid label matcher: invalid label name {:?}", matcher.name));
    }
    let set = match MatcherSet::new(silence.matchers.iter().map(SilenceMatcher::to_matcher)) {
        Ok(set) => set,
        Err(error) => return invalid(format!("invalid label matcher: {error}")),
    };
    if !set.refuses_empty() {
        return invalid("at least one matcher must not match the empty string".to_owned());
    }
    if let Err(reason) = Wishes::read(&silence.annotations) {
        return invalid(reason);
    }
    if silence.ends_at < silence.starts_at {
        return invalid("end time must not be before start time".to_owned());
    }
    Ok(())
}

/// Whether a silence may become another one under the same id.
fn may_change(old: &Silence, new: &Silence, now: TimestampNs) -> bool {
    let sorted = |matchers: &[SilenceMatcher]| {
        let mut matchers = matchers.to_vec();
        matchers.sort();
        matchers
    };
    if sorted(&old.matchers) != sorted(&new.matchers) {
        return false;
    }
    match old.state(now) {
        // Clients send back what they were shown, which has fewer digits.
        SilenceState::Active => {
            as_seconds(old.starts_at).floor() == as_seconds(new.starts_at).floor() && new.ends_at >= now
        }
        SilenceState::Pending => new.starts_at >= now,
        SilenceState::Expired => false,
    }
}

fn expired(silence: &Silence, now: TimestampNs) -> Option<Silence> {
    let mut ended = silence.clone();
    match silence.state(now) {
        SilenceState::Active => ended.ends_at = now,
        SilenceState::Pending => (ended.starts_at, ended.ends_at) = (now, now),
        SilenceState::Expired => return None,
    }
    // Later than what it takes the place of, whatever the clock says: peers keep the later one.
    ended.updated_at = now.max(silence.updated_at.saturating_add(1));
    Some(ended)
}

#[cfg(test)]
mod tests;
