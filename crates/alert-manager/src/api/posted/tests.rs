//! Posts as senders write them, and as they should not.

use super::*;

const READING: Reading = Reading { now: 1_000, resolve_timeout_ns: 500, mode: MatcherMode::Fallback };

fn read(json: &str) -> Result<Alert, String> {
    let posted: PostedAlert<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Ok(posted.read(READING)?.into_alert(None))
}

#[test]
fn sets_are_sorted_unique_and_without_empty_values() {
    for (labels, expected) in [
        (r#"{"b":"2","a":"1","c":""}"#, r#"{a="1", b="2"}"#),
        (r#"{"a":"1","b":"2","a":"3"}"#, r#"{a="3", b="2"}"#),
        (r#"{"a":"1","a":""}"#, ""),
        (r#"{"q\u0061":"say \"x\"\n"}"#, r#"{qa="say \"x\"\n"}"#),
        (r#"{"ä":"ö"}"#, r#"{"ä"="ö"}"#),
    ] {
        let alert = read(&format!("{{\"labels\":{labels},\"annotations\":null,\"more\":[1]}}"));
        match expected {
            "" => assert_eq!(alert, Err("at least one label pair required".to_owned())),
            expected => {
                let alert = alert.unwrap();
                assert_eq!(alert.labels.to_string(), expected);
                assert_eq!(alert.fingerprint, Fingerprint::of(&alert.labels));
                assert_eq!((alert.starts_at, alert.ends_at, alert.timeout), (1_000, 1_500, true));
            }
        }
    }
}

#[test]
fn what_is_no_alert_is_refused() {
    for (json, reason) in [
        (r#"{"labels":{}}"#, "at least one label pair required"),
        (r#"{"annotations":{}}"#, "missing field `labels`"),
        (r#"{"labels":{"a":1}}"#, "invalid type"),
        (r#"{"labels":{"":"x"}}"#, "invalid label set: invalid name \"\""),
        (r#"{"labels":{"a":"x"},"annotations":{"":"x"}}"#, "invalid annotation set: invalid name \"\""),
        (r#"{"labels":{"a":"x"},"startsAt":"then"}"#, "startsAt: \"then\" is not a time"),
        (
            r#"{"labels":{"a":"x"},"startsAt":"2026-01-01T00:00:01Z","endsAt":"2026-01-01T00:00:00Z"}"#,
            "start time must be before end time",
        ),
    ] {
        let refused = read(json).unwrap_err();
        assert!(refused.contains(reason), "{json}: {refused}");
    }
}

#[test]
fn what_is_known_is_shared() {
    let json = r#"{"labels":{"a":"1"},"annotations":{"s":"x"},"generatorURL":"http://g"}"#;
    let known = Arc::new(read(json).unwrap());
    let again = |json: &str| {
        let posted: PostedAlert<'_> = serde_json::from_str(json).unwrap();
        posted.read(READING).unwrap().into_alert(Some(&known))
    };
    let same = again(json);
    assert_eq!(same, *known);
    // Sets that are shared lie at one place.
    let place = |labels: &Labels| labels.value("a").as_ptr();
    assert_eq!(place(&same.labels), place(&known.labels));
    let other = again(r#"{"labels":{"a":"1"},"annotations":{"s":"y"}}"#);
    assert_eq!(place(&other.labels), place(&known.labels));
    assert_eq!((other.annotations.value("s"), other.generator_url.as_str()), ("y", ""));
    let without = again(r#"{"labels":{"a":"1"}}"#);
    assert!(without.annotations.is_empty());
    // Another alert of the same hash has labels of its own.
    assert_eq!(again(r#"{"labels":{"a":"2"}}"#).labels.value("a"), "2");
}
