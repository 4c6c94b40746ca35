//! Remote write: sender and streaming decoder.
