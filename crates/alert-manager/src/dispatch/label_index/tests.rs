//! What the index finds is what looking at each alert finds.

use model::{MatchOp, Matcher};

use super::*;

#[test]
fn the_index_finds_what_matches() {
    let sets: Vec<Labels> = (0..300_u32)
        .map(|no| {
            let (severity, host) =
                (["critical", "info", ""][no as usize % 3], format!("host-{:02}", no % 40));
            Labels::from_pairs([("severity", severity), ("host", &host), ("pod", &format!("p{no}"))])
        })
        .collect();
    let mut index = LabelIndex::default();
    for (place, labels) in sets.iter().enumerate() {
        index.add(labels, place as u32);
    }
    let gone = |place: u32| place.is_multiple_of(7) || place >= 290;
    for place in (0..300).filter(|place| gone(*place)) {
        index.remove(&sets[place as usize], place);
    }
    let at = |place: u32| sets.get(place as usize);
    let one = |name: &str, op, value: &str| Matcher::new(name.to_owned(), op, value.to_owned());
    for matchers in [
        vec![],
        vec![one("severity", MatchOp::Equal, "critical")],
        vec![one("severity", MatchOp::Equal, "")],
        vec![one("severity", MatchOp::NotEqual, "")],
        vec![one("severity", MatchOp::NotEqual, "info")],
        vec![one("none", MatchOp::Equal, "x")],
        vec![one("none", MatchOp::NotEqual, "x")],
        vec![one("none", MatchOp::Regex, ".*")],
        vec![one("none", MatchOp::Regex, ".+")],
        vec![one("host", MatchOp::Regex, "host-0[1-3]")],
        vec![one("host", MatchOp::Regex, "host-01|host-02|")],
        vec![one("host", MatchOp::NotRegex, "host-.*")],
        vec![one("severity", MatchOp::Regex, "critical|")],
        vec![one("severity", MatchOp::NotRegex, "critical|")],
        vec![one("pod", MatchOp::Equal, "p8")],
        vec![one("pod", MatchOp::Equal, "p7")],
        vec![one("pod", MatchOp::Regex, "p.*1"), one("severity", MatchOp::Equal, "info")],
        vec![one("pod", MatchOp::NotRegex, "p1.*"), one("host", MatchOp::Equal, "host-05")],
        vec![one("severity", MatchOp::Equal, "info"), one("severity", MatchOp::Equal, "critical")],
        vec![one("severity", MatchOp::NotEqual, "info"), one("host", MatchOp::Regex, "host-.[02468]")],
    ] {
        let set = MatcherSet::new(matchers).unwrap();
        let expected: Vec<u32> =
            (0..300).filter(|place| !gone(*place) && set.matches(&sets[*place as usize])).collect();
        let found: Vec<u32> = index.matching(&set, None, &at).iter().collect();
        assert_eq!(found, expected, "{set}");
        for step in [2, 100] {
            let among: RoaringBitmap = (0..290).step_by(step).filter(|place| !gone(*place)).collect();
            let found = index.matching(&set, Some(&among), &at);
            assert_eq!(found, among & expected.iter().collect::<RoaringBitmap>(), "{set} by {step}");
        }
    }
    for place in (0..300).filter(|place| !gone(*place)) {
        index.remove(&sets[place as usize], place);
    }
    assert!(index.names.is_empty() && index.all.is_empty());
}
