//! Request bodies: how long they may take, and how large they may become.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body::{Body, Frame, SizeHint};
use model::{ByteSize, ErrorCode};
use tokio::time::{Instant, Sleep};

use crate::failure::BoxError;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// It is not.
    Identity,
    /// gzip.
    Gzip,
    /// zlib (HTTP's "deflate").
    Deflate,
    /// Snappy's block format.
    Snappy,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// The encoding of a `Content-Encoding` header.
    pub fn from_header(value: &str) -> Option<Self> {
        Some(match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "snappy" => Self::Snappy,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// Why a body could not be expanded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// It is larger than it may be.
    #[error("decompressed body is larger than {limit}: send less at once or raise {setting}")]
    TooLarge {
        /// The bound.
        limit: ByteSize,
        /// The flag or key that raises it.
        setting: &'static str,
    },
    /// It is not what its header says.
    #[error("body is not valid {encoding:?}: {reason}")]
    Invalid {
        /// What the header says.
        encoding: Encoding,
        /// What the decoder says.
        reason: String,
    },
}

impl DecompressError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidArgument
    }
}

/// Expands a body of at most `limit` bytes; `setting` raises the bound. CPU work: large bodies belong on a pool.
pub fn decompress(
    encoding: Encoding,
    body: Bytes,
    limit: ByteSize,
    setting: &'static str,
) -> Result<Bytes, DecompressError> {
    let too_large = || DecompressError::TooLarge { limit, setting };
    let invalid = |reason: String| DecompressError::Invalid { encoding, reason };
    let expanded = match encoding {
        Encoding::Identity => body,
        Encoding::Snappy => {
            let len = snap::raw::decompress_len(&body).map_err(|error| invalid(error.to_string()))?;
            if len as u64 > limit.0 {
                return Err(too_large());
            }
            let expanded = snap::raw::Decoder::new().decompress_vec(&body);
            expanded.map_err(|error| invalid(error.to_string()))?.into()
        }
        Encoding::Gzip => read_bounded(MultiGzDecoder::new(&body[..]), limit, &invalid)?,
        Encoding::Deflate => read_bounded(ZlibDecoder::new(&body[..]), limit, &invalid)?,
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&body[..])
                .map_err(|error| invalid(error.to_string()))?;
            // What a frame may ask for as its window: 128 MiB.
            decoder.window_log_max(27).map_err(|error| invalid(error.to_string()))?;
            read_bounded(decoder, limit, &invalid)?
        }
    };
    if expanded.len() as u64 > limit.0 { Err(too_large()) } else { Ok(expanded) }
}

/// Expands gzip of at most `limit` bytes into `buf`, which is emptied first and whose memory is used again. CPU work.
///
/// # Errors
/// As [`decompress`].
pub fn decompress_gzip(
    body: &[u8],
    limit: ByteSize,
    setting: &'static str,
    buf: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    buf.clear();
    let most = limit.0.saturating_add(1);
    let read = MultiGzDecoder::new(body).take(most).read_to_end(buf);
    read.map_err(|error| DecompressError::Invalid { encoding: Encoding::Gzip, reason: error.to_string() })?;
    if buf.len() as u64 > limit.0 { Err(DecompressError::TooLarge { limit, setting }) } else { Ok(()) }
}

/// Expands a snappy block of at most `limit` bytes into `buf`, whose memory is used again, and returns it. CPU work.
///
/// # Errors
/// As [`decompress`].
pub fn decompress_snappy<'a>(
    body: &[u8],
    limit: ByteSize,
    setting: &'static str,
    buf: &'a mut Vec<u8>,
) -> Result<&'a [u8], DecompressError> {
    let invalid = |error: snap::Error| DecompressError::Invalid {
        encoding: Encoding::Snappy,
        reason: error.to_string(),
    };
    let len = snap::raw::decompress_len(body).map_err(invalid)?;
    if len as u64 > limit.0 {
        return Err(DecompressError::TooLarge { limit, setting });
    }
    // What is there from before is overwritten: only what is new has to be made.
    if buf.len() < len {
        buf.resize(len, 0);
    }
    let len = snap::raw::Decoder::new().decompress(body, buf).map_err(invalid)?;
    Ok(&buf[..len])
}

/// Reads one byte more than the bound at most, so that the caller sees that it was passed.
fn read_bounded(
    reader: impl Read,
    limit: ByteSize,
    invalid: &dyn Fn(String) -> DecompressError,
) -> Result<Bytes, DecompressError> {
    let mut expanded = Vec::new();
    let mut bounded = reader.take(limit.0.saturating_add(1));
    bounded.read_to_end(&mut expanded).map_err(|error| invalid(error.to_string()))?;
    Ok(expanded.into())
}

pin_project_lite::pin_project! {
    /// A body that fails when nothing arrives for too long. A body that flows may take as long as it likes.
    pub(crate) struct TimedBody<B> {
        #[pin]
        inner: B,
        #[pin]
        sleep: Sleep,
        timeout: Duration,
    }
}

impl<B> TimedBody<B> {
    pub(crate) fn new(inner: B, timeout: Duration) -> Self {
        Self { inner, sleep: tokio::time::sleep(timeout), timeout }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for TimedBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        match this.inner.poll_frame(context) {
            Poll::Ready(frame) => {
                this.sleep.as_mut().reset(Instant::now() + *this.timeout);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending if this.sleep.poll(context).is_ready() => {
                Poll::Ready(Some(Err("nothing arrived within the read timeout".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).expect("memory takes it");
        encoder.finish().expect("memory takes it").into()
    }

    #[test]
    fn bodies_expand_up_to_their_bound() {
        let data = vec![7u8; 5000];
        let limit = ByteSize(5000);
        let snappy = snap::raw::Encoder::new().compress_vec(&data).unwrap();
        let zstd = zstd::encode_all(&data[..], 1).unwrap();
        for (encoding, body) in [
            (Encoding::Identity, Bytes::from(data.clone())),
            (Encoding::Gzip, gzip(&data)),
            (Encoding::Snappy, snappy.into()),
            (Encoding::Zstd, zstd.into()),
        ] {
            assert_eq!(decompress(encoding, body.clone(), limit, "--x").unwrap(), data, "{encoding:?}");
            let error = decompress(encoding, body, ByteSize(4999), "--x").unwrap_err().to_string();
            assert!(error.contains("larger than") && error.contains("--x"), "{error}");
        }
    }

    #[test]
    fn bodies_that_lie_about_their_encoding_are_refused() {
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Snappy, Encoding::Zstd] {
            let garbage = Bytes::from_static(b"\xff\xff\xff\xff\xff\x0f not compressed at all");
            assert!(decompress(encoding, garbage, ByteSize(1 << 20), "--x").is_err(), "{encoding:?}");
        }
    }
}
