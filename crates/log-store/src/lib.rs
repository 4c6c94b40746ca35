//! Log segments: columns, filters, index, merge, retention.
