//! Which series combine: grouping and matching plans of both query languages.
