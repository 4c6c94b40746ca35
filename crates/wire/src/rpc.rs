//! `google.rpc`: what an error says beside its code, as far as we say it.

use prost::Message;

const RETRY_INFO_TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The text.
    #[prost(string, tag = "2")]
    pub message: String,
    /// More, each of a type of its own.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<prost_types::Any>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

impl Status {
    /// Adds that the same can be sent again after `seconds`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        let retry_delay = Some(prost_types::Duration { seconds: i64::from(seconds), nanos: 0 });
        let value = RetryInfo { retry_delay }.encode_to_vec();
        self.details.push(prost_types::Any { type_url: RETRY_INFO_TYPE.to_owned(), value });
        self
    }
}
