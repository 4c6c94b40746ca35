//! Where fields stand, in single lines and in all lines of a shape.

use logql_syntax::parse_log;

use super::*;

fn fields(query: &str, names: &[&str]) -> Fields {
    let log = parse_log(query).expect(query);
    let stages: Vec<&Stage> = log.stages.iter().collect();
    let mut fields = Fields::of(&stages).expect(query).expect("a parser");
    for name in names {
        fields.field(name);
    }
    fields
}

#[test]
fn values_are_found_where_they_stand() {
    for (query, line, expected) in [
        ("{a=\"b\"} | json", r#"{"x":1,"y":"two"}"#, Some([Some("1"), Some("two")])),
        ("{a=\"b\"} | json", r#"{"y":null,"n":[1,2]}"#, Some([None, None])),
        ("{a=\"b\"} | json", r#"{"x":1,"x":2}"#, Some([Some("1"), None])),
        ("{a=\"b\"} | json", r#"{"y":"a\"b"}"#, None),
        ("{a=\"b\"} | json", "no json", None),
        ("{a=\"b\"} | logfmt", "x=5 y=\"a b\" z", Some([Some("5"), Some("a b")])),
        ("{a=\"b\"} | logfmt", "x= y=1 y=2", Some([None, Some("1")])),
        ("{a=\"b\"} | logfmt", "y=\"a\\\"b\"", None),
    ] {
        let found = fields(query, &["x", "y"]).find(line, &[]);
        let texts = found.map(|found| found.into_iter().map(|p| p.map(|p| &line[p])).collect::<Vec<_>>());
        assert_eq!(texts, expected.map(|expected| expected.to_vec()), "{line}");
    }
}

#[test]
fn what_varies_outside_of_values_cannot_be_told() {
    let is_told = |query: &str, line: &str, varying: &[(usize, usize)]| {
        let varying: Vec<_> = varying.iter().map(|(start, end)| *start..*end).collect();
        fields(query, &["x"]).find(line, &varying).is_some()
    };
    let (json, line) = ("{a=\"b\"} | json", r#"{"x1":1,"x":[7]}"#);
    assert!(is_told(json, line, &[(6, 7)]) && is_told(json, line, &[(6, 7), (13, 14)]));
    assert!(!is_told(json, line, &[(3, 4)]));
    let (logfmt, line) = ("{a=\"b\"} | logfmt", "took 12 x=1");
    assert!(is_told(logfmt, line, &[(10, 11)]) && !is_told(logfmt, line, &[(5, 7), (10, 11)]));
}

#[test]
fn filters_judge_values_until_one_cannot_tell() {
    let fields = fields("{a=\"b\"} | json | x > 5 | y=\"z\" | line_format \"q\"", &[]);
    assert!(!fields.is_all);
    assert_eq!(fields.filters(), [0, 1]);
    for (filter, value, expected) in [
        (0, Some("6"), FieldVerdict::Passes),
        (0, Some("5"), FieldVerdict::Fails),
        (0, None, FieldVerdict::Fails),
        (0, Some("many"), FieldVerdict::Unsure),
        (1, Some("z"), FieldVerdict::Passes),
        (1, None, FieldVerdict::Fails),
    ] {
        assert_eq!(fields.verdict(filter, value), expected, "{filter} {value:?}");
    }
}

/// Lines of one shape: what stands in slots, as a number or a hexadecimal one, is told apart by this alone.
fn render(shape: &[&str], mut fill: impl FnMut(usize, bool) -> String) -> (String, Vec<Range<usize>>) {
    let (mut line, mut slots) = (String::new(), Vec::new());
    for part in shape {
        let text = match *part {
            "#" => fill(slots.len(), false),
            "h" => fill(slots.len(), true),
            text => {
                line.push_str(text);
                continue;
            }
        };
        slots.push(line.len()..line.len() + text.len());
        line.push_str(&text);
    }
    (line, slots)
}

const PARTS: &[&str] = &[
    "#", "h", "#", "h", " ", "x=", "y=", "\"", "{\"x\":", ",\"y\":", "}", "[", "] ", "ab", "-", "z", ".",
    "\\", "ü",
];

const QUERIES: &[&str] = &[
    "{a=\"b\"} | json",
    "{a=\"b\"} | logfmt",
    "{a=\"b\"} | pattern \"[<x>] <y>\"",
    "{a=\"b\"} | pattern \"<x>-<_> <y>\"",
    "{a=\"b\"} | pattern \"x=<x> y=<y>z\"",
    "{a=\"b\"} | pattern \"1<x>a<y>\"",
    "{a=\"b\"} | pattern \"<_>a1<x>2-<y>\"",
    "{a=\"b\"} | pattern \"[1<x>.<y>\"",
    "{a=\"b\"} | pattern \"<x>b-1<y>\"",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1000))]

    /// What is told of a shape holds for each of its lines, and a line's fields are what its pipeline takes from it.
    #[test]
    fn places_hold_whatever_varies(
        query in proptest::sample::select(QUERIES),
        shape in proptest::collection::vec(proptest::sample::select(PARTS), 1..12),
        digits in proptest::collection::vec("[0-9]{1,4}", 12),
        words in proptest::collection::vec("[0-9a-f]{0,2}([0-9][a-f]|[a-f][0-9])[0-9a-f]{0,2}", 12),
    ) {
        let fields = fields(query, &["x", "y"]);
        let (sample, varying) = render(&shape, |_, is_hex| if is_hex { "a1" } else { "1" }.to_owned());
        let (line, slots) = render(&shape, |slot, is_hex| if is_hex { &words } else { &digits }[slot].clone());
        let own = fields.find(&line, &[]);
        if let Some(places) = fields.find(&sample, &varying) {
            let own = own.clone().expect("a line of a shape that can be told can be told");
            // A place in the sample, moved to where it stands in the line.
            let moved = |at: usize| {
                let before = varying.iter().zip(&slots).take_while(|(slot, _)| slot.end <= at).last();
                before.map_or(at, |(slot, own)| own.end + at - slot.end)
            };
            for (place, own) in places.into_iter().zip(own) {
                proptest::prop_assert_eq!(place.map(|place| moved(place.start)..moved(place.end)), own, "{}", line);
            }
        }
        if let Some(places) = own {
            let log = parse_log(query).expect(query);
            let pipeline = crate::pipeline::Pipeline::new(&log.stages, 0).expect(query);
            let mut labels = crate::line_labels::LineLabels::default();
            pipeline.run(0, std::borrow::Cow::Borrowed(&line), &mut labels);
            for (name, place) in ["x", "y"].iter().zip(places) {
                proptest::prop_assert_eq!(labels.get(name), place.map(|place| &line[place]), "{}", line);
            }
        }
    }
}
