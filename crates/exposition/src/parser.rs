//! The parser that a scraper drives, whatever the format.

use crate::open_metrics::OpenMetricsLines;
use crate::protobuf::Families;
use crate::text::TextLines;
use crate::{Entry, ExpositionError, Format};

/// What a scraper wants of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Whether native histograms are handed out as such; else as the classic series that they also are.
    pub native_histograms: bool,
    /// Whether the classic buckets of a histogram that is native too are handed out beside it.
    pub keep_classic: bool,
}

/// Reads one body.
#[derive(Debug)]
pub struct Parser<'a>(Lines<'a>);

#[derive(Debug)]
enum Lines<'a> {
    Text(TextLines<'a>),
    OpenMetrics(OpenMetricsLines<'a>),
    Protobuf(Box<Families<'a>>),
}

impl<'a> Parser<'a> {
    /// A parser for `body`.
    pub fn new(body: &'a [u8], format: Format, options: ParseOptions) -> Self {
        Self(match format {
            Format::Text004 | Format::Text100 => Lines::Text(TextLines::new(body)),
            Format::OpenMetrics001 | Format::OpenMetrics100 => {
                Lines::OpenMetrics(OpenMetricsLines::new(body))
            }
            Format::Protobuf => Lines::Protobuf(Box::new(Families::new(body, options))),
        })
    }

    /// The next entry; `None` at the end. After an error nothing more is to be read.
    ///
    /// # Errors
    /// Where the body breaks its format.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, ExpositionError> {
        self.next_entry_like(&[])
    }

    /// The same, cheaper where the next sample's series is `expected`: bytes that [`crate::SeriesText::as_bytes`] has given,
    /// for this body or for one before it, or none.
    ///
    /// # Errors
    /// Where the body breaks its format.
    pub fn next_entry_like(&mut self, expected: &[u8]) -> Result<Option<Entry<'_>>, ExpositionError> {
        match &mut self.0 {
            Lines::Text(lines) => lines.next_entry(expected),
            Lines::OpenMetrics(lines) => lines.next_entry(expected),
            Lines::Protobuf(families) => families.next_entry(),
        }
    }
}

#[cfg(test)]
mod tests;
