//! `test-receiver`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::Failure;
use sys::{Clock, SystemClock};

use super::{Output, TestReceiverArgs, print, print_json};
use crate::config::Config;
use crate::data::{AlertData, Data, Pairs};
use crate::manager::now_date;
use crate::matchers::MatcherMode;
use crate::notify::{Message, Notifier};
use crate::templates::Templates;

const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn run(args: TestReceiverArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config_file, MatcherMode::default())?;
    let Some(receiver) = config.receiver(&args.name) else {
        let names: Vec<&str> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        return Err(Failure::usage(format!("no receiver {:?}, there are: {}", args.name, names.join(", "))));
    };
    let files = config.template_files().map_err(Failure::usage)?;
    let templates = Arc::new(Templates::load(&files).map_err(Failure::usage)?);
    let message = message(&args.name);
    let mut outcomes = Vec::new();
    let mut failed = 0;
    for integration in &receiver.integrations {
        let notifier = Notifier::new(integration, &templates).map_err(Failure::usage)?;
        let outcome = tokio::time::timeout(TIMEOUT, notifier.notify(&message)).await;
        let (ok, answer) = match outcome {
            Ok(Ok(told)) => (true, told.answer),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("no answer within {} s", TIMEOUT.as_secs())),
        };
        failed += usize::from(!ok);
        let name = format!("{}[{}]", integration.kind.name(), integration.idx);
        outcomes.push(json!({ "integration": name, "ok": ok, "answer": answer }));
    }
    if args.output == Output::Json {
        print_json(&Value::from(outcomes))?;
    } else {
        for outcome in &outcomes {
            let word = if outcome["ok"] == true { "sent" } else { "failed" };
            let (name, answer) = (outcome["integration"].as_str(), outcome["answer"].as_str());
            print(&format!("{} {word}: {}\n", name.unwrap_or_default(), answer.unwrap_or_default()))?;
        }
    }
    match (failed, receiver.integrations.len()) {
        (_, 0) => Err(Failure::runtime("the receiver has no integrations: nobody would be told")),
        (0, _) => Ok(()),
        (failed, all) => Err(Failure::runtime(format!("{failed} of {all} integrations failed"))),
    }
}

fn message(receiver: &str) -> Message {
    let now = SystemClock::new().now_ns();
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
            external_url: String::new(),
        },
        date: now_date(now),
        timeout: TIMEOUT,
        now,
        idempotency_key: format!("test-{now}"),
        memory: BTreeMap::new(),
    }
}
