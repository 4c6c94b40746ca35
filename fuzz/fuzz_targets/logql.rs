//! LogQL: what parses prints, what is printed parses to the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| watchbell_fuzz::logql(data));
