//! How silences change.

use super::*;

fn silence(id: &str, value: &str, starts_at: i64, ends_at: i64) -> Silence {
    let matcher =
        SilenceMatcher { name: "a".to_owned(), value: value.to_owned(), is_regex: false, is_equal: true };
    Silence {
        id: id.to_owned(),
        matchers: vec![matcher],
        starts_at,
        ends_at,
        updated_at: 0,
        created_by: "me".to_owned(),
        comment: "why".to_owned(),
        annotations: BTreeMap::new(),
    }
}

const S: i64 = 1_000_000_000;

#[test]
fn changes_keep_the_id_or_replace_the_silence() {
    let mut silences = Silences::default();
    silences.apply(vec![silence("active", "1", 10 * S, 100 * S), silence("pending", "1", 60 * S, 100 * S)]);
    silences.apply(vec![silence("expired", "1", 10 * S, 20 * S)]);
    let now = 50 * S;
    for (new, expected) in [
        (silence("", "1", 0, 100 * S), "new 50..100"),
        (silence("active", "1", 10 * S + 5, 200 * S), "active 10..200"),
        (silence("active", "1", 10 * S, 50 * S), "active 10..50"),
        (silence("active", "1", 20 * S, 200 * S), "active 10..50, new 50..200"),
        (silence("active", "2", 10 * S, 200 * S), "active 10..50, new 50..200"),
        (silence("pending", "1", 70 * S, 80 * S), "pending 70..80"),
        (silence("pending", "2", 70 * S, 80 * S), "pending 50..50, new 70..80"),
        (silence("expired", "1", 10 * S, 90 * S), "new 50..90"),
        (silence("gone", "1", 10 * S, 90 * S), "silence gone not found"),
        (silence("", "", 0, 90 * S), "invalid silence: at least one matcher must not match the empty string"),
        (silence("", "1", 95 * S, 90 * S), "invalid silence: end time must not be before start time"),
    ] {
        let shown = match silences.prepare(new.clone(), "new".to_owned(), now) {
            Ok(records) => records
                .iter()
                .map(|s| format!("{} {}..{}", s.id, s.starts_at / S, s.ends_at / S))
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{new:?}");
    }
}

#[test]
fn silences_mute_while_they_are_active_and_are_forgotten_later() {
    let mut silences = Silences::new(SilenceLimits { count_max: 1, bytes_max: 0 });
    silences.apply(vec![silence("x", "1", 10 * S, 20 * S)]);
    let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
    for (now, muted) in [(9, false), (10, true), (19, true), (20, false)] {
        assert_eq!(
            (silences.mutes(&labels, now * S), silences.muting(&labels, now * S).len() == 1),
            (muted, muted)
        );
    }
    assert!(!silences.mutes(&Labels::from_pairs([("a", "2")]), 15 * S));
    assert!(matches!(
        silences.prepare(silence("", "1", 0, 99 * S), "n".to_owned(), 15 * S),
        Err(SilenceError::TooMany { max: 1 })
    ));
    assert_eq!(silences.prepare_expire("x", 30 * S), Ok(Vec::new()));
    assert!(silences.outdated(29 * S, 10 * S).is_empty());
    assert_eq!(silences.outdated(30 * S, 10 * S), ["x"]);
    silences.forget(&["x".to_owned()]);
    assert_eq!(silences.prepare_expire("x", 30 * S), Err(SilenceError::NotFound("x".to_owned())));
}
