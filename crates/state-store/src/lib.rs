//! Small typed keyspaces, flushed before the acknowledgement.
