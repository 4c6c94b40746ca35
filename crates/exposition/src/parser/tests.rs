//! Bodies and what is read from them, one line an entry.

use std::fmt::Write as _;

use model::LabelsBuilder;
use proptest::prelude::*;

use super::*;
use crate::{MetadataKind, Writer};

/// All entries of a body, one a line, and the error that ended it.
fn read(body: &[u8], format: Format, options: ParseOptions) -> String {
    let mut parser = Parser::new(body, format, options);
    let mut labels = LabelsBuilder::new();
    let mut out = String::new();
    loop {
        let entry = match parser.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return out,
            Err(error) => {
                writeln!(out, "error: {error}").expect("string");
                return out;
            }
        };
        match entry {
            Entry::Metadata { family, kind: MetadataKind::Help(help) } => {
                writeln!(out, "help {family}: {help}")
            }
            Entry::Metadata { family, kind: MetadataKind::Type(kind) } => {
                writeln!(out, "type {family}: {}", kind.as_str())
            }
            Entry::Metadata { family, kind: MetadataKind::Unit(unit) } => {
                writeln!(out, "unit {family}: {unit}")
            }
            Entry::Sample(sample) => {
                if let Err(error) = sample.series.labels(&mut labels) {
                    writeln!(out, "error: {error}").expect("string");
                    return out;
                }
                write!(out, "{} {} {:?}", labels.build(), sample.value, sample.timestamp).expect("string");
                if let Some(exemplar) = sample.exemplar {
                    exemplar.labels.labels(&mut labels).ok();
                    write!(out, " # {} {} {:?}", labels.build(), exemplar.value, exemplar.timestamp)
                        .expect("string");
                }
                writeln!(out)
            }
            Entry::Histogram(entry) => {
                entry.series.labels(&mut labels).ok();
                writeln!(out, "{} {:?}", labels.build(), entry.histogram)
            }
        }
        .expect("string");
    }
}

fn check(body: &str, format: Format, expected: &str) {
    let found = read(body.as_bytes(), format, ParseOptions::default());
    let expected: String = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(found, expected, "{body}");
}

#[test]
fn text_bodies() {
    for (body, expected) in [
        ("", ""),
        ("up 1\n", "up 1 None"),
        ("up 1", "up 1 None"),
        ("\n  up\t 1  1000 \n", "up 1 Some(1000)"),
        ("a{} 1\na{b=\"c\",} 2 -5\n", "a 1 None\na{b=\"c\"} 2 Some(-5)"),
        ("a { b = \"c\" , d=\"\" } NaN\n", "a{b=\"c\"} NaN None"),
        ("a{b=\"} x\\\\y\\\"z\\n\\t\"} +Inf\n", "a{b=\"} x\\\\y\\\"z\\n\\\\t\"} inf None"),
        ("{\"my.metric\",\"label.x\"=\"v\"} 1\n", "{\"my.metric\", \"label.x\"=\"v\"} 1 None"),
        (
            "# just a comment\n#HELP a no\n# HELP a b\\\\c\\nd\n# TYPE a counter\na 1\n",
            "help a: b\\c\nd\ntype a: counter\na 1 None",
        ),
        ("# TYPE \"a.b\" gauge\n# HELP a\n", "type a.b: gauge\nhelp a: "),
        (
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"1000000\"} 2\n",
            "type h: histogram\nh_bucket{le=\"1.0\"} 1 None\nh_bucket{le=\"+Inf\"} 2 None\nh_bucket{le=\"1e+06\"} 2 None",
        ),
        (
            "# TYPE s summary\ns{quantile=\"1\",le=\"1\"} 1\n",
            "type s: summary\ns{le=\"1\", quantile=\"1.0\"} 1 None",
        ),
        ("a 1\na{b=\"c\" 2\n", "a 1 None\nerror: line 2: missing } after labels: \"{b=\\\"c\\\" 2\""),
        ("a\n", "error: line 1: expected a value after the series: \"\""),
        ("a 1 2 3\n", "error: line 1: unexpected text after the timestamp: \"3\""),
        ("a 1 2.5\n", "error: line 1: timestamp is not a whole number of milliseconds: \"2.5\""),
        ("a x\n", "error: line 1: not a number: \"x\""),
        ("\n\n0a 1\n", "error: line 3: not a metric name: \"0a 1\""),
        ("{a=\"b\"} 1\n", "{a=\"b\"} 1 None"),
        ("a{b=\"1\",b=\"2\"} 1\n", "error: line 1: label name is not unique: \"b=\\\"2\\\"} 1\""),
        ("a{b=c} 1\n", "error: line 1: expected a quoted label value: \"c} 1\""),
        ("a{b=\"c\"d=\"e\"} 1\n", "error: line 1: expected , or } after a label: \"d=\\\"e\\\"} 1\""),
        ("a{0=\"c\"} 1\n", "error: line 1: not a label name: \"0=\\\"c\\\"} 1\""),
        ("a{b=\"c} 1\nd 1\n", "error: line 1: missing closing quote: \"\\\"c} 1\""),
        ("# TYPE a nope\n", "error: line 1: invalid metric type: \"nope\""),
        (
            "a 1 # {b=\"c\"} 2\n",
            "error: line 1: timestamp is not a whole number of milliseconds: \"# {b=\\\"c\\\"} 2\"",
        ),
    ] {
        // A help text may hold a newline, which the comparison by line would split.
        let found = read(body.as_bytes(), Format::Text004, ParseOptions::default());
        assert_eq!(found.trim_end_matches('\n').trim_end(), expected.trim_end(), "{body:?}");
    }
    let found = read(b"a{b=\"\xff\"} 1\n", Format::Text004, ParseOptions::default());
    assert!(found.starts_with("error: line 1: not valid UTF-8"), "{found}");
}

#[test]
fn open_metrics_bodies() {
    for (body, expected) in [
        ("# EOF", ""),
        ("# EOF\n", ""),
        ("a 1 1.5\n# EOF\n", "a 1 Some(1500)"),
        (
            "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds x\na_seconds_total{b=\"c\"} 1 2 # {trace_id=\"z\"} 0.5 3.25\n# EOF\n",
            "type a_seconds: counter\nunit a_seconds: seconds\nhelp a_seconds: x\na_seconds_total{b=\"c\"} 1 Some(2000) # {trace_id=\"z\"} 0.5 Some(3250)",
        ),
        ("a 1 # {} 2\n# EOF\n", "a 1 None # {} 2 None"),
        ("a 1\n", "a 1 None\nerror: body does not end with # EOF"),
        ("a 1\n# EOF\nb 1\n", "a 1 None\nerror: line 3: unexpected data after # EOF: \"b 1\""),
        ("\n# EOF\n", "error: line 1: expected a value after the series: \"\""),
        ("a  1\n# EOF\n", "error: line 1: not a number: \" 1\""),
        ("# nope\n# EOF\n", "error: line 1: expected # HELP, # TYPE, # UNIT or # EOF: \"# nope\""),
        ("# UNIT a b\n# EOF\n", "error: line 1: unit is not a suffix of the metric's name: \"b\""),
        ("a 1 NaN\n# EOF\n", "error: line 1: timestamp is not a time: \"NaN\""),
        ("a 1 #\n# EOF\n", "error: line 1: expected the end of the line: \" #\""),
    ] {
        check(body, Format::OpenMetrics100, expected);
    }
}

/// Writes protobuf fields: numbers as varints, floats as doubles, bytes as they are.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.extend([number << 3 | 2, bytes.len() as u8]);
    out.extend(bytes);
}

fn double(out: &mut Vec<u8>, number: u8, value: f64) {
    out.push(number << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, number: u8, value: u8) {
    out.extend([number << 3, value]);
}

fn message(build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    build(&mut out);
    out
}

fn histogram_family() -> Vec<u8> {
    let histogram = message(|h| {
        varint(h, 1, 3);
        double(h, 2, 4.5);
        field(
            h,
            3,
            &message(|b| {
                varint(b, 1, 2);
                double(b, 2, 1.0);
            }),
        );
        varint(h, 5, 6); // schema 3, zigzag
        double(h, 6, 0.5);
        varint(h, 7, 1);
        field(
            h,
            12,
            &message(|s| {
                varint(s, 1, 2); // offset 1
                varint(s, 2, 2);
            }),
        );
        field(h, 13, &[2, 0]); // deltas 1, 0
    });
    let family = message(|f| {
        field(f, 1, b"h.x");
        field(f, 2, b"help");
        varint(f, 3, 4);
        field(
            f,
            4,
            &message(|m| {
                field(
                    m,
                    1,
                    &message(|l| {
                        field(l, 1, b"a");
                        field(l, 2, b"b\"c");
                    }),
                );
                field(m, 7, &histogram);
            }),
        );
    });
    let mut body = vec![family.len() as u8];
    body.extend(family);
    body
}

#[test]
fn protobuf_bodies() {
    let body = histogram_family();
    let classic = "help h.x: help\ntype h.x: histogram\n\
        {\"h.x_bucket\", a=\"b\\\"c\", le=\"1.0\"} 2 None\n{\"h.x_bucket\", a=\"b\\\"c\", le=\"+Inf\"} 3 None\n\
        {\"h.x_sum\", a=\"b\\\"c\"} 4.5 None\n{\"h.x_count\", a=\"b\\\"c\"} 3 None\n";
    assert_eq!(read(&body, Format::Protobuf, ParseOptions::default()), classic);
    let native = read(&body, Format::Protobuf, ParseOptions { native_histograms: true, keep_classic: false });
    assert!(native.contains("schema: 3") && native.contains("positive_buckets: [1.0, 1.0]"), "{native}");
    assert_eq!(native.lines().count(), 3);
    let both = read(&body, Format::Protobuf, ParseOptions { native_histograms: true, keep_classic: true });
    assert_eq!(both.lines().count(), 7);
    for end in 1..body.len() {
        let cut = read(&body[..end], Format::Protobuf, ParseOptions::default());
        assert!(cut.contains("error: protobuf at byte"), "{cut}");
    }
}

#[test]
fn what_is_written_is_read() {
    for format in [Format::Text004, Format::OpenMetrics100] {
        let mut writer = Writer::new(format);
        writer.family("a_total", model::MetricType::Counter, "x\ny", "");
        writer.sample("a_total", [("b", "c\"\\\n"), ("d.e", "f")], 1e6, Some(1500));
        writer.family("g.h", model::MetricType::Gauge, "", "");
        writer.sample("g.h", [], f64::NAN, None);
        let body = writer.finish();
        let name = if format == Format::Text004 { "a_total" } else { "a" };
        let found = read(body.as_bytes(), format, ParseOptions::default());
        assert_eq!(
            found,
            format!(
                "help {name}: x\ny\ntype {name}: counter\na_total{{b=\"c\\\"\\\\\\n\", \"d.e\"=\"f\"}} 1000000 Some(1500)\ntype g.h: gauge\n{{\"g.h\"}} NaN None\n"
            )
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_body_panics(text in "[ \\t\\n#a-c{}\"=,\\\\.0-9EOFTYPHL é]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let options = ParseOptions { native_histograms: true, keep_classic: true };
        for format in [Format::Text004, Format::OpenMetrics100, Format::Protobuf] {
            for body in [text.as_bytes(), &bytes] {
                let mut parser = Parser::new(body, format, options);
                let mut labels = LabelsBuilder::new();
                while let Ok(Some(entry)) = parser.next_entry() {
                    if let Entry::Sample(sample) = entry {
                        sample.series.labels(&mut labels).ok();
                    }
                }
            }
        }
    }

    #[test]
    fn no_damaged_protobuf_panics(at in 0usize..100, byte in any::<u8>()) {
        let mut body = histogram_family();
        let idx = at % body.len();
        body[idx] = byte;
        read(&body, Format::Protobuf, ParseOptions { native_histograms: true, keep_classic: true });
    }
}
