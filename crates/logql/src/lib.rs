//! LogQL pipelines and metric queries over a log store.
