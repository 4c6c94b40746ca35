//! Prometheus' advice on metrics, as a list of checks.

use std::collections::BTreeMap;

use model::MetricType;

use super::metrics::Family;

/// Units, each with the one that should be used in its place.
const UNITS: [(&str, &str); 24] = [
    ("amperes", "amperes"),
    ("bytes", "bytes"),
    ("celsius", "celsius"),
    ("grams", "grams"),
    ("joules", "joules"),
    ("kelvin", "kelvin"),
    ("meters", "meters"),
    ("metres", "metres"),
    ("seconds", "seconds"),
    ("volts", "volts"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("weeks", "seconds"),
    ("kelvins", "kelvin"),
    ("fahrenheit", "celsius"),
    ("rankine", "celsius"),
    ("inches", "meters"),
    ("yards", "meters"),
    ("miles", "meters"),
    ("bits", "bytes"),
    ("calories", "joules"),
    ("pounds", "grams"),
    ("ounces", "grams"),
];
const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mebi",
    "giga", "gibi", "tera", "tebi", "peta", "pebi",
];
const ABBREVIATIONS: [&str; 14] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

/// What is to be said of the metrics, sorted.
pub(super) fn problems(families: &BTreeMap<String, Family>) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    for (name, family) in families {
        found.extend(of_family(name, family).into_iter().map(|problem| (name.as_str(), problem)));
    }
    found.sort();
    found
}

fn of_family(name: &str, family: &Family) -> Vec<String> {
    let mut found = Vec::new();
    if family.help.is_none() {
        found.push("no help text".to_owned());
    }
    let parts = || name.split('_');
    if let Some((unit, base)) = parts().find_map(unit).filter(|(unit, base)| unit != base) {
        found.push(format!("use base unit {base:?} instead of {unit:?}"));
    }
    if name.contains(':') {
        found.push("metric names should not contain ':'".to_owned());
    }
    if is_camel_case(name) {
        found.push("metric names should be written in 'snake_case' not 'camelCase'".to_owned());
    }
    if family.label_names.iter().any(|label| is_camel_case(label)) {
        found.push("label names should be written in 'snake_case' not 'camelCase'".to_owned());
    }
    // The first part of a name is what is measured.
    if parts().skip(1).any(|part| ABBREVIATIONS.contains(&part.to_ascii_lowercase().as_str())) {
        found.push("metric names should not contain abbreviated units".to_owned());
    }
    let lowered = name.to_ascii_lowercase();
    for kind in ["counter", "gauge", "untyped", "histogram", "summary"] {
        if lowered.contains(&format!("_{kind}_")) || lowered.ends_with(&format!("_{kind}")) {
            found.push(format!("metric name should not include type '{kind}'"));
        }
    }
    if let Some(kind) = family.kind.filter(|kind| *kind != MetricType::Unknown) {
        found.extend(of_type(name, kind, family));
    }
    found
}

/// What a type asks of names; metrics without a type are free.
fn of_type(name: &str, kind: MetricType, family: &Family) -> Vec<String> {
    let is_histogram = matches!(kind, MetricType::Histogram | MetricType::GaugeHistogram);
    let is_summary = kind == MetricType::Summary;
    let is_counter = kind == MetricType::Counter;
    let has = |label: &str| family.label_names.contains(label);
    let checks = [
        (is_counter && !name.ends_with("_total"), "counter metrics should have \"_total\" suffix"),
        (!is_counter && name.ends_with("_total"), "non-counter metrics should not have \"_total\" suffix"),
        (
            !is_histogram && name.ends_with("_bucket"),
            "non-histogram metrics should not have \"_bucket\" suffix",
        ),
        (
            !is_histogram && !is_summary && name.ends_with("_count"),
            "non-histogram and non-summary metrics should not have \"_count\" suffix",
        ),
        (
            !is_histogram && !is_summary && name.ends_with("_sum"),
            "non-histogram and non-summary metrics should not have \"_sum\" suffix",
        ),
        (!is_histogram && has("le"), "non-histogram metrics should not have \"le\" label"),
        (!is_summary && has("quantile"), "non-summary metrics should not have \"quantile\" label"),
    ];
    checks.iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, text)| (*text).to_owned()).collect()
}

/// A unit in a part of a name, with or without a prefix, and the unit to use.
fn unit(part: &str) -> Option<(&str, &'static str)> {
    let base = |text: &str| UNITS.iter().find(|(unit, _)| *unit == text).map(|(_, base)| *base);
    if let Some(base) = base(part) {
        return Some((part, base));
    }
    PREFIXES.iter().find_map(|prefix| Some((part, base(part.strip_prefix(prefix)?)?)))
}

/// A small letter before a capital one.
fn is_camel_case(name: &str) -> bool {
    name.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        let family = |kind| Family { help: Some(String::new()), kind, ..Family::default() };
        for (name, kind, expected) in [
            ("a_seconds_total", Some(MetricType::Counter), &[][..]),
            ("a_kilobytes", Some(MetricType::Gauge), &["use base unit \"bytes\" instead of \"kilobytes\""]),
            ("a_count", None, &[]),
            (
                "a_gauge_ms",
                None,
                &[
                    "metric names should not contain abbreviated units",
                    "metric name should not include type 'gauge'",
                ],
            ),
            ("a:b", None, &["metric names should not contain ':'"]),
        ] {
            assert_eq!(of_family(name, &family(kind)), expected, "{name}");
        }
    }
}
