//! Webex: a message in a room.

use serde_json::json;

use super::{NotifyError, Sender, cut_bytes, put};
use crate::config::WebexConfig;

const MESSAGE_BYTES_MAX: usize = 7439;

pub(super) async fn send(config: &WebexConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let mut body = json!({ "markdown": cut_bytes(&sender.text(&config.message), MESSAGE_BYTES_MAX) });
    put(&mut body, "roomId", sender.exact(&config.room_id)?);
    sender.post(&config.api_url, &body, &[], None).await
}
