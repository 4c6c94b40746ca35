//! YAML into a tree with spans, then typed: errors name file, line and key.
