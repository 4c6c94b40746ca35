//! Floats in Go's formats.

/// From which power of ten on the shortest form has an exponent.
const EXPONENT_FROM: i32 = 6;

/// `%v` and `%g`: the shortest digits that read back, with an exponent below 1e-4 and from 1e6 on.
pub(super) fn shortest(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let scientific = format!("{value:e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if !(-4..EXPONENT_FROM).contains(&exponent) {
        return go_exponent(&scientific, 'e');
    }
    format!("{value}")
}

/// `%e`, `%f`, `%g` with a precision (`None`: 6 for e and f, the shortest for g).
pub(super) fn formatted(verb: char, value: f64, precision: Option<usize>, sharp: bool) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    match verb {
        'e' | 'E' => go_exponent(&format!("{value:.*e}", precision.unwrap_or(6)), verb),
        'f' | 'F' => format!("{value:.*}", precision.unwrap_or(6)),
        _ => {
            let exponent_char = if verb == 'G' { 'E' } else { 'e' };
            match precision {
                None => shortest(value).replace('e', if verb == 'G' { "E" } else { "e" }),
                Some(digits) => general(value, digits.max(1), exponent_char, sharp),
            }
        }
    }
}

fn general(value: f64, digits: usize, exponent_char: char, sharp: bool) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if sharp || !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= digits as i32 {
        return go_exponent(&format!("{}e{exponent}", trim(mantissa)), exponent_char);
    }
    trim(&format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize))
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// Rust's `1e5` as Go's `1e+05`.
fn go_exponent(scientific: &str, exponent_char: char) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}{exponent_char}{sign}{digits:0>2}")
}
