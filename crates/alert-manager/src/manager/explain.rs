//! Explanations with their messages, and tests of receivers.

use std::sync::Arc;

use model::{Labels, TimestampNs};

use super::Manager;
use crate::explain::Explanation;
use crate::letter::Letter;
use crate::notify::{Notifier, NotifyError, Preview, TEST_TIMEOUT, test_message};

/// What a test of an integration gave.
#[derive(Debug)]
pub struct Tested {
    /// The kind.
    pub integration: &'static str,
    /// Its place among those of its kind.
    pub index: usize,
    /// The provider's answer, or what went wrong.
    pub outcome: Result<String, String>,
}

impl Manager {
    /// What happens to an alert at a time.
    pub fn explain(&self, labels: &Labels, at: TimestampNs) -> Explanation {
        self.dispatcher().explain(labels, at)
    }

    /// What each integration of a letter's receiver would send.
    pub async fn preview(&self, letter: &Letter) -> Vec<(String, Result<Vec<Preview>, NotifyError>)> {
        let notifiers = self.0.receivers.read().notifiers.get(&letter.receiver).cloned().unwrap_or_default();
        let message = self.message(letter);
        let mut previews = Vec::new();
        for notifier in notifiers {
            let integration = notifier.integration();
            let name = format!("{}[{}]", integration.kind.name(), integration.idx);
            previews.push((name, notifier.preview(&message).await));
        }
        previews
    }

    /// Sends a test by each integration of a receiver, also of one that no route leads to; none where there is no such
    /// receiver.
    pub async fn test_receiver(&self, name: &str) -> Option<Vec<Tested>> {
        let integrations = self.dispatcher().config().receiver(name)?.integrations.clone();
        let templates = self.0.receivers.read().templates.clone()?;
        let message = test_message(name, &self.0.settings.external_url, self.now());
        let mut all = Vec::new();
        for integration in integrations {
            let (kind, index) = (integration.kind.name(), integration.idx);
            let templates = Arc::clone(&templates);
            let made = tokio::task::spawn_blocking(move || Notifier::new(&integration, &templates)).await;
            let outcome = match made {
                Ok(Ok(notifier)) => match tokio::time::timeout(TEST_TIMEOUT, notifier.notify(&message)).await
                {
                    Ok(Ok(told)) => Ok(told.answer),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err(format!("no answer within {} s", TEST_TIMEOUT.as_secs())),
                },
                Ok(Err(error)) => Err(error.chain()),
                Err(error) => Err(error.to_string()),
            };
            all.push(Tested { integration: kind, index, outcome });
        }
        Some(all)
    }
}
