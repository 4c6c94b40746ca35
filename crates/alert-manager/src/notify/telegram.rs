//! Telegram: `sendMessage` of the bot API.

use serde_json::json;

use super::{NotifyError, Sender, cut, expose, hide};
use crate::config::{TelegramChat, TelegramConfig};

const TEXT_CHARS_MAX: usize = 4096;

pub(super) async fn send(config: &TelegramConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let token = expose(&config.bot_token).await?;
    let chat = match &config.chat {
        TelegramChat::Id(id) => *id,
        TelegramChat::File(file) => {
            let text = expose(file).await?;
            text.trim().parse().map_err(|_| NotifyError::permanent("chat_id_file does not hold a number"))?
        }
    };
    let mut body = json!({
        "chat_id": chat,
        "text": text(config, sender),
        "disable_notification": config.disable_notifications,
        "disable_web_page_preview": true,
    });
    if let Some(thread) = config.message_thread_id {
        body["message_thread_id"] = thread.into();
    }
    if !config.parse_mode.is_empty() {
        body["parse_mode"] = config.parse_mode.clone().into();
    }
    let url = format!("{}/bot{}/sendMessage", config.api_url.trim_end_matches('/'), token.trim());
    let outcome = sender.post(&url, &body, &[429], None).await;
    hide(outcome, token.trim())
}

fn text(config: &TelegramConfig, sender: &Sender<'_>) -> String {
    if config.parse_mode != "HTML" {
        return cut(&sender.text(&config.message), TEXT_CHARS_MAX);
    }
    let html = sender.html(&config.message);
    // A tag that is cut in two would be refused.
    if html.chars().count() > TEXT_CHARS_MAX {
        "The message is too long for Telegram. See Alertmanager for all alerts of this group.".to_owned()
    } else {
        html
    }
}
