//! Why a request cannot be read.

/// A message that is not remote write 1.0. What was read before it is valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("remote write message at byte {offset}: {reason}")]
pub struct DecodeError {
    /// Where in the decompressed message, counted from the start of the part that could not be read.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}
