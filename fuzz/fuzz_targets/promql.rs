#![no_main]

use promql::{Features, parse, parse_selector};

// An expression: what can be read is read again from what it is written as, and means the same.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    parse_selector(text, Features::all()).ok();
    let Ok(expr) = parse(text, Features::all()) else { return };
    let written = expr.to_string();
    let again = parse(&written, Features::all()).expect("what was written can be read");
    assert_eq!(again.to_string(), written);
});
