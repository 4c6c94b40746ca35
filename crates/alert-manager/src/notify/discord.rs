//! Discord: an embed.

use serde_json::json;

use super::{NotifyError, Sender, cut, expose, put};
use crate::config::DiscordConfig;

pub(super) async fn send(config: &DiscordConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let url = expose(&config.webhook_url).await?;
    let color = if sender.is_firing() { 0x99_2D_22 } else { 0x2E_CC_71 };
    let mut body = json!({
        "content": cut(&sender.text(&config.content), 2000),
        "embeds": [{
            "title": cut(&sender.text(&config.title), 256),
            "description": cut(&sender.text(&config.message), 4096),
            "color": color,
        }],
    });
    put(&mut body, "username", sender.word(&config.username));
    put(&mut body, "avatar_url", sender.word(&config.avatar_url));
    sender.post(url.trim(), &body, &[429], None).await
}
