//! Records of the log store's write-ahead log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| watchbell_fuzz::log_wal(data));
