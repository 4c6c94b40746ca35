//! Segmented, checksummed append log: group commit, replay, truncation.
