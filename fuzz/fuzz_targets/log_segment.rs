//! Segments of the log store with changes behind fitting checksums.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| watchbell_fuzz::log_segment(data));
