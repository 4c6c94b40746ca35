//! The message that tests a receiver.

use std::collections::BTreeMap;
use std::time::Duration;

use model::TimestampNs;

use super::Message;
use crate::data::{AlertData, Data, Pairs};
use crate::manager::now_date;

/// How long a test may take.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// An alert that says that nothing is wrong.
pub fn test_message(receiver: &str, external_url: &str, now: TimestampNs) -> Message {
    let pairs = |pairs: &[(&str, &str)]| -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let labels = pairs(&[("alertname", "WatchbellTest"), ("severity", "info")]);
    let annotations = pairs(&[("summary", "A test of this receiver. Nothing is wrong.")]);
    let alert = AlertData {
        status: "firing",
        labels: labels.clone(),
        annotations: annotations.clone(),
        starts_at: Some(now),
        ends_at: None,
        generator_url: String::new(),
        fingerprint: "0000000000000000".to_owned(),
    };
    Message {
        group_key: "{}:{alertname=\"WatchbellTest\"}".to_owned(),
        data: Data {
            receiver: receiver.to_owned(),
            status: "firing",
            alerts: vec![alert],
            notification_reason: "first notification",
            group_labels: pairs(&[("alertname", "WatchbellTest")]),
            common_labels: labels,
            common_annotations: annotations,
            route_labels: Pairs::new(),
            external_url: external_url.to_owned(),
            ack_url: String::new(),
        },
        date: now_date(now),
        timeout: TEST_TIMEOUT,
        now,
        idempotency_key: format!("test-{now}"),
        truncated: 0,
        memory: BTreeMap::new(),
    }
}
