//! PromQL planning and evaluation over a metric store.
