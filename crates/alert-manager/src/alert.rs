//! Alerts as they are received and merged.

use std::cmp::Ordering;

use model::{Labels, TimestampNs};

/// What identifies an alert: a hash of its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// FNV-1a over sorted names and values, each followed by 0xff.
    pub fn of(labels: &Labels) -> Self {
        Self::of_sorted(labels.iter())
    }

    /// The same of pairs that are sorted by name.
    pub fn of_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (name, value) in pairs {
            add(name.as_bytes());
            add(&[0xff]);
            add(value.as_bytes());
            add(&[0xff]);
        }
        Self(hash)
    }
}

/// What the notification log knows an alert by: XXH64 over sorted names and values, each followed by 0xff, as the original,
/// so that its log can be taken over.
pub fn told_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in labels.iter() {
        for text in [name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0xff);
        }
    }
    xxh64(&bytes)
}

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// XXH64 with the seed 0.
fn xxh64(bytes: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let round =
        |sum: u64, lane: u64| sum.wrapping_add(lane.wrapping_mul(p2)).rotate_left(31).wrapping_mul(p1);
    let lane = |chunk: &[u8]| chunk.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut blocks = bytes.chunks_exact(32);
    let mut hash = if bytes.len() < 32 {
        p5
    } else {
        let mut sums = [p1.wrapping_add(p2), p2, 0, 0_u64.wrapping_sub(p1)];
        for block in &mut blocks {
            for (sum, chunk) in sums.iter_mut().zip(block.chunks_exact(8)) {
                *sum = round(*sum, lane(chunk));
            }
        }
        let [a, b, c, d] = sums;
        let start = a.rotate_left(1).wrapping_add(b.rotate_left(7));
        let start = start.wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18));
        sums.iter().fold(start, |hash, sum| (hash ^ round(0, *sum)).wrapping_mul(p1).wrapping_add(p4))
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let mut chunks = blocks.remainder().chunks_exact(8);
    for chunk in &mut chunks {
        hash = (hash ^ round(0, lane(chunk))).rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
    }
    let mut rest = chunks.remainder();
    if let Some((chunk, after)) = rest.split_at_checked(4) {
        hash = (hash ^ lane(chunk).wrapping_mul(p1)).rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
        rest = after;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(p2);
    hash = (hash ^ hash >> 29).wrapping_mul(p3);
    hash ^ hash >> 32
}

/// 16 hexadecimal digits.
impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An alert. Times are ns since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What identifies it.
    pub labels: Labels,
    /// What explains it.
    pub annotations: Labels,
    /// Since when.
    pub starts_at: TimestampNs,
    /// Until when it is believed; in the past: resolved.
    pub ends_at: TimestampNs,
    /// When it was last received.
    pub updated_at: TimestampNs,
    /// Whether `ends_at` is our guess, as its sender set none.
    pub timeout: bool,
    /// Where it comes from.
    pub generator_url: String,
    /// The hash of the labels.
    pub fingerprint: Fingerprint,
}

impl Alert {
    /// Whether it is over at `now`.
    pub fn is_resolved(&self, now: TimestampNs) -> bool {
        self.ends_at <= now
    }

    /// The alert's name, may be empty.
    pub fn name(&self) -> &str {
        self.labels.value("alertname")
    }

    /// What remains of an alert and a newer report of it.
    pub fn merge(old: &Self, new: Self) -> Self {
        let overlaps = (new.ends_at > old.starts_at && new.ends_at < old.ends_at)
            || (new.starts_at > old.starts_at && new.starts_at < old.ends_at);
        if !overlaps {
            return new;
        }
        if new.updated_at < old.updated_at { old.clone().with_older(&new) } else { new.with_older(old) }
    }

    fn with_older(mut self, older: &Self) -> Self {
        self.starts_at = older.starts_at.min(self.starts_at);
        let received = self.updated_at;
        if self.is_resolved(received) {
            // Of two resolutions the later one counts.
            if older.is_resolved(received) && older.ends_at > self.ends_at {
                self.ends_at = older.ends_at;
            }
        } else if older.ends_at > self.ends_at && !older.timeout {
            self.ends_at = older.ends_at;
        }
        self
    }
}

/// An alert's place in a notification: by job, by instance, then by all labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    job: Option<&'a str>,
    instance: Option<&'a str>,
    labels: &'a Labels,
}

impl<'a> Place<'a> {
    /// The place of an alert with these labels.
    pub fn of(labels: &'a Labels) -> Self {
        Self { job: labels.get("job"), instance: labels.get("instance"), labels }
    }
}

impl Ord for Place<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_text = |a: Option<&str>, b: Option<&str>| match (a, b) {
            // What has none comes last.
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_text(self.job, other.job)
            .then_with(|| by_text(self.instance, other.instance))
            .then_with(|| self.labels.len().cmp(&other.labels.len()))
            .then_with(|| self.labels.cmp(other.labels))
    }
}

impl PartialOrd for Place<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(starts_at: i64, ends_at: i64, updated_at: i64, timeout: bool) -> Alert {
        let labels = Labels::from_pairs([("alertname", "A")]);
        let fingerprint = Fingerprint::of(&labels);
        Alert {
            labels,
            annotations: Labels::empty(),
            starts_at,
            ends_at,
            updated_at,
            timeout,
            generator_url: String::new(),
            fingerprint,
        }
    }

    #[test]
    fn merging_keeps_the_earliest_start_and_the_right_end() {
        for (old, new, expected) in [
            // A repeated report moves the end.
            (alert(10, 100, 20, true), alert(30, 120, 30, true), (10, 120)),
            // A guess that ends earlier is kept as it is newer.
            (alert(10, 100, 20, true), alert(10, 90, 30, true), (10, 90)),
            // An end that a sender has set and that is later wins.
            (alert(10, 100, 20, false), alert(10, 90, 30, true), (10, 100)),
            // Resolved now.
            (alert(10, 100, 20, true), alert(10, 30, 30, false), (10, 30)),
            // No overlap: a new occurrence.
            (alert(10, 20, 20, false), alert(50, 100, 50, true), (50, 100)),
        ] {
            let merged = Alert::merge(&old, new.clone());
            assert_eq!((merged.starts_at, merged.ends_at), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn xxh64_is_the_known_one() {
        for (text, expected) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0x44bc_2cf5_ad77_0999),
            ("Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
        ] {
            assert_eq!(xxh64(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn alerts_are_ordered_by_job_and_instance_first() {
        let set = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let mut all = [
            set(&[("a", "1")]),
            set(&[("job", "b"), ("a", "1")]),
            set(&[("job", "a"), ("instance", "2")]),
            set(&[("job", "a"), ("instance", "1"), ("z", "1")]),
            set(&[("job", "a")]),
        ];
        all.sort_by(|a, b| Place::of(a).cmp(&Place::of(b)));
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                r#"{instance="1", job="a", z="1"}"#,
                r#"{instance="2", job="a"}"#,
                r#"{job="a"}"#,
                r#"{a="1", job="b"}"#,
                r#"{a="1"}"#
            ]
        );
    }
}
