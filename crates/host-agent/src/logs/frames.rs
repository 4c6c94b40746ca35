//! From the Docker API's messages to lines: each begins with its time, a line longer than 16 KiB comes in several.

use model::parse_rfc3339_ns;

use super::line::{LINE_BYTES_MAX, line_text};

/// The stream that a message came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    /// A container with a terminal has one stream.
    Console,
}

impl Stream {
    /// The value of the label `stream`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Console => "console",
        }
    }
}

/// A whole line with the time of its first part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimedLine {
    pub(crate) time_ns: i64,
    pub(crate) text: String,
}

/// Puts the messages of one stream together.
#[derive(Debug, Default)]
pub(crate) struct LineJoiner {
    part: Option<(i64, Vec<u8>)>,
}

impl LineJoiner {
    /// Takes a message and hands out the lines that it completes. `now_ns` stands in for a missing time.
    pub(crate) fn take(&mut self, message: &[u8], now_ns: i64, out: &mut Vec<TimedLine>) {
        let (time, content) = split_time(message);
        let time_ns = time.map_or_else(|| self.part.as_ref().map_or(now_ns, |part| part.0), |time| time.0);
        // All parts of a line carry the time of its first one; another time means that the line had ended without a newline.
        if self.part.as_ref().is_some_and(|part| part.0 != time_ns) {
            self.flush(out);
        }
        let content = match time {
            Some((_, prefix)) => without_inner_times(content, prefix),
            None => content.to_vec(),
        };
        let complete = content.ends_with(b"\n");
        let (first_ns, mut bytes) = self.part.take().unwrap_or((time_ns, Vec::new()));
        bytes.extend_from_slice(&content);
        if complete || bytes.len() >= LINE_BYTES_MAX {
            out.push(TimedLine { time_ns: first_ns, text: line_text(&bytes) });
        } else {
            self.part = Some((first_ns, bytes));
        }
    }

    /// Hands out what has no newline yet: the stream has ended.
    pub(crate) fn flush(&mut self, out: &mut Vec<TimedLine>) {
        if let Some((time_ns, bytes)) = self.part.take()
            && !bytes.is_empty()
        {
            out.push(TimedLine { time_ns, text: line_text(&bytes) });
        }
    }
}

/// The time at the beginning of a message with the text that it stands in, and what follows it.
fn split_time(message: &[u8]) -> (Option<(i64, &[u8])>, &[u8]) {
    // RFC 3339 with nanoseconds has 30 characters in UTC; 40 leave room for an offset.
    let head = &message[..message.len().min(40)];
    let Some(space) = head.iter().position(|byte| *byte == b' ') else { return (None, message) };
    let time = std::str::from_utf8(&message[..space]).ok().and_then(parse_rfc3339_ns);
    match time {
        Some(time) => (Some((time, &message[..=space])), &message[space + 1..]),
        None => (None, message),
    }
}

/// A terminal's long line has the time again before each of its parts, with nothing that tells them from text but that they
/// are equal to the nanosecond.
fn without_inner_times(content: &[u8], prefix: &[u8]) -> Vec<u8> {
    const PART_BYTES: usize = 16 << 10;
    if content.len() < PART_BYTES {
        return content.to_vec();
    }
    let text = content;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(prefix.len()).position(|window| window == prefix) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + prefix.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(messages: &[&str]) -> Vec<(i64, String)> {
        let (mut joiner, mut out) = (LineJoiner::default(), Vec::new());
        for message in messages {
            joiner.take(message.as_bytes(), 99, &mut out);
        }
        joiner.flush(&mut out);
        out.into_iter().map(|line| (line.time_ns, line.text)).collect()
    }

    #[test]
    fn messages_become_lines() {
        let t = |s: u32| format!("1970-01-01T00:00:0{s}.000000000Z");
        let second = 1_000_000_000_i64;
        let line = |s: i64, text: &str| (s * second, text.to_owned());
        assert_eq!(
            join(&[&format!("{} a b\n", t(1)), &format!("{} \n", t(2))]),
            [line(1, "a b"), line(2, "")]
        );
        // Parts of one line share its time.
        assert_eq!(join(&[&format!("{} ab", t(1)), &format!("{} cd\r\n", t(1))]), [line(1, "abcd")]);
        // A line that ended without a newline, then another run's.
        assert_eq!(
            join(&[&format!("{} ab", t(1)), &format!("{} cd\n", t(2))]),
            [line(1, "ab"), line(2, "cd")]
        );
        assert_eq!(join(&["no time\n"]), [(99, "no time".to_owned())]);
        let long = "x".repeat(16 << 10);
        assert_eq!(join(&[&format!("{0} {long}{0} y\n", t(3))]), [line(3, &format!("{long}y"))]);
    }

    #[test]
    fn endless_lines_are_cut() {
        let part = format!("1970-01-01T00:00:01Z {}", "x".repeat(16 << 10));
        let parts = vec![part.as_str(); 65];
        let lines = join(&parts);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines.iter().map(|line| line.1.len()).sum::<usize>(), 65 * (16 << 10));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]
        #[test]
        fn no_bytes_panic(messages in proptest::collection::vec(proptest::collection::vec(0_u8..=255, 0..64), 0..8)) {
            let (mut joiner, mut out) = (LineJoiner::default(), Vec::new());
            for message in &messages {
                joiner.take(message, 1, &mut out);
            }
            joiner.flush(&mut out);
        }
    }
}
