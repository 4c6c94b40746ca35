//! Names: of metrics with their units, and of labels.

/// How names are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Escaped, with units and types.
    #[default]
    EscapedWithSuffixes,
    /// As they are, with units and types.
    Utf8WithSuffixes,
    /// Escaped.
    Escaped,
    /// As they are.
    Untranslated,
}

/// What a metric's name is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) unit: &'a str,
    pub(super) is_counter: bool,
    pub(super) is_gauge: bool,
}

const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];
const PER_UNITS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

impl Strategy {
    pub(super) fn is_escaped(self) -> bool {
        matches!(self, Self::EscapedWithSuffixes | Self::Escaped)
    }

    /// A metric's name; `None` where nothing is left of it.
    pub(super) fn metric_name(self, named: Named<'_>) -> Option<String> {
        let name = match self {
            Self::Untranslated => named.name.to_owned(),
            Self::Utf8WithSuffixes => with_suffixes(named),
            Self::Escaped => not_a_digit_first(tokens(named.name).join("_")),
            Self::EscapedWithSuffixes => escaped_with_suffixes(named),
        };
        Some(name).filter(|name| !name.is_empty())
    }

    /// A label's name.
    pub(super) fn label_name(self, name: &str, sanitize_underscore: bool) -> String {
        if !self.is_escaped() {
            return name.to_owned();
        }
        let escaped: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        match escaped.as_bytes() {
            [first, ..] if first.is_ascii_digit() => format!("key_{escaped}"),
            [b'_', b'_', ..] => escaped,
            [b'_', ..] if sanitize_underscore => format!("key{escaped}"),
            _ => escaped,
        }
    }
}

/// A unit in words and what it is divided by; each may be empty. Braces mark units that are none.
pub(super) fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |text: &str, table: &[(&str, &str)]| {
        let text = text.trim();
        if text.contains(['{', '}']) {
            return String::new();
        }
        let known = table.iter().find(|(short, _)| *short == text).map(|(_, long)| *long);
        tokens(known.unwrap_or(text)).join("_")
    };
    (word(main, &UNITS), word(per, &PER_UNITS))
}

/// The parts of a name that may stand in one.
fn tokens(name: &str) -> Vec<&str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|token| !token.is_empty()).collect()
}

fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn escaped_with_suffixes(named: Named<'_>) -> String {
    let (unit, per) = unit_words(named.unit);
    let mut parts = tokens(named.name);
    if !unit.is_empty() && !parts.contains(&unit.as_str()) {
        parts.push(&unit);
    }
    if !per.is_empty() && !parts.contains(&per.as_str()) {
        parts.extend(["per", &per]);
    }
    let mut at_the_end = |word: &'static str| {
        parts.retain(|part| *part != word);
        parts.push(word);
    };
    if named.is_counter {
        at_the_end("total");
    }
    if named.is_gauge && named.unit == "1" {
        at_the_end("ratio");
    }
    not_a_digit_first(parts.join("_"))
}

fn with_suffixes(named: Named<'_>) -> String {
    let (unit, per) = unit_words(named.unit);
    let mut name = named.name.to_owned();
    let last = match () {
        () if named.is_counter => "total",
        () if named.is_gauge && named.unit == "1" => "ratio",
        () => "",
    };
    if !last.is_empty()
        && let Some(short) = name.strip_suffix(last)
    {
        name = short.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    }
    if !unit.is_empty() && !name.ends_with(&unit) {
        name = format!("{name}_{unit}");
    }
    if !per.is_empty() && !name.ends_with(&per) {
        name = format!("{name}_per_{per}");
    }
    if last.is_empty() { name } else { format!("{name}_{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_their_units_and_types() {
        let counter = |name, unit| Named { name, unit, is_counter: true, is_gauge: false };
        let gauge = |name, unit| Named { name, unit, is_counter: false, is_gauge: true };
        for (named, escaped, utf8) in [
            (counter("http.requests", "1"), "http_requests_total", "http.requests_total"),
            (counter("http.total.bytes", "By"), "http_bytes_total", "http.total.bytes_total"),
            (counter("io", "By/s"), "io_bytes_per_second_total", "io_bytes_per_second_total"),
            (gauge("cpu.use", "1"), "cpu_use_ratio", "cpu.use_ratio"),
            (gauge("disk.free", "KiBy"), "disk_free_kibibytes", "disk.free_kibibytes"),
            (gauge("queue", "{items}"), "queue", "queue"),
            (gauge("2xx", "%"), "_2xx_percent", "2xx_percent"),
            (counter("jobs_total", ""), "jobs_total", "jobs_total"),
        ] {
            assert_eq!(Strategy::EscapedWithSuffixes.metric_name(named).as_deref(), Some(escaped));
            assert_eq!(Strategy::Utf8WithSuffixes.metric_name(named).as_deref(), Some(utf8));
        }
        let named = counter("http.requests", "1");
        assert_eq!(Strategy::Escaped.metric_name(named).as_deref(), Some("http_requests"));
        assert_eq!(Strategy::Untranslated.metric_name(named).as_deref(), Some("http.requests"));
        assert_eq!(Strategy::Escaped.metric_name(gauge("...", "")), None);
        for (name, escaped) in
            [("a.b-c", "a_b_c"), ("1a", "key_1a"), ("_a", "key_a"), ("__a", "__a"), ("a..b", "a__b")]
        {
            assert_eq!(Strategy::Escaped.label_name(name, true), escaped);
            assert_eq!(Strategy::Untranslated.label_name(name, true), name);
        }
    }
}
