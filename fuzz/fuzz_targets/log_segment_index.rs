//! Indexes of segments of the log store.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| watchbell_fuzz::log_segment_index(data));
