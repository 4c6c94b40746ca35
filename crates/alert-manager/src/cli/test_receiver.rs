//! `test-receiver`

use std::sync::Arc;

use serde_json::{Value, json};
use service::Failure;
use sys::{Clock, SystemClock};

use super::{Output, TestReceiverArgs, print, print_json};
use crate::config::Config;
use crate::matchers::MatcherMode;
use crate::notify::{Notifier, TEST_TIMEOUT, test_message};
use crate::templates::Templates;

pub(super) async fn run(args: TestReceiverArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config_file, MatcherMode::default())?;
    let Some(receiver) = config.receiver(&args.name) else {
        let names: Vec<&str> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        return Err(Failure::usage(format!("no receiver {:?}, there are: {}", args.name, names.join(", "))));
    };
    let files = config.template_files().map_err(Failure::usage)?;
    let templates = Arc::new(Templates::load(&files).map_err(Failure::usage)?);
    let message = test_message(&args.name, "", SystemClock::new().now_ns());
    let mut outcomes = Vec::new();
    let mut failed = 0;
    for integration in &receiver.integrations {
        let notifier = Notifier::new(integration, &templates).map_err(Failure::usage)?;
        let outcome = tokio::time::timeout(TEST_TIMEOUT, notifier.notify(&message)).await;
        let (ok, answer) = match outcome {
            Ok(Ok(told)) => (true, told.answer),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("no answer within {} s", TEST_TIMEOUT.as_secs())),
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
