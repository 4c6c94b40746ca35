//! Reading records while others append.

use std::sync::Arc;

use sys::ReadAt;

use crate::WalError;
use crate::record::{Found, HEADER_BYTES, RecordHeader, Scanner};
use crate::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::wal::Shared;

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalRecord {
    /// Its sequence number.
    pub seq: u64,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A place in a log from which records are read one by one. Records that were truncated away in the meantime are skipped.
#[derive(Debug)]
pub struct WalReader {
    shared: Arc<Shared>,
    next_seq: u64,
    open: Option<OpenSegment>,
    /// The least index that is still of interest.
    index: u64,
}

#[derive(Debug)]
struct OpenSegment {
    segment: Segment,
    file: Box<dyn ReadAt>,
    at: u64,
}

impl WalReader {
    pub(crate) fn new(shared: Arc<Shared>, seq: u64) -> Self {
        Self { shared, next_seq: seq, open: None, index: 0 }
    }

    /// The sequence number of the next record that can be returned.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next record; `None` where all acknowledged records have been read: try again after more were appended.
    /// Damaged places are skipped.
    pub fn read_next(&mut self) -> Result<Option<WalRecord>, WalError> {
        loop {
            if !self.open_segment()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let Some((header, payload)) = open.read()? else {
                open.skip_damage()?;
                continue;
            };
            open.at += (HEADER_BYTES + header.len) as u64;
            if header.seq >= self.next_seq {
                self.next_seq = header.seq.saturating_add(1);
                return Ok(Some(WalRecord { seq: header.seq, payload }));
            }
        }
    }

    /// Makes sure that an open segment has unread bytes; false where none has.
    fn open_segment(&mut self) -> Result<bool, WalError> {
        loop {
            if self.open.as_ref().is_some_and(|open| open.at < open.segment.len) {
                return Ok(true);
            }
            let Some(segment) = self.shared.segment_from(self.index) else { return Ok(false) };
            if let Some(open) = self.open.as_mut().filter(|open| open.segment.index == segment.index) {
                if segment.len > open.at {
                    open.segment = segment;
                    continue;
                }
                // Read to its end: it grows, or a newer one has taken its place.
                if self.shared.segment_from(self.index + 1).is_none() {
                    return Ok(false);
                }
                self.index += 1;
                self.open = None;
                continue;
            }
            self.index = segment.index;
            let fail = |error| WalError::io("open", &segment.path, error);
            let file = self.shared.fs.open_read(&segment.path).map_err(fail)?;
            self.open = Some(OpenSegment { segment, file, at: SEGMENT_HEADER_BYTES as u64 });
        }
    }
}

impl OpenSegment {
    fn read(&self) -> Result<Option<(RecordHeader, Vec<u8>)>, WalError> {
        let left = self.segment.len - self.at;
        if left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let fail = |error| WalError::io("read", &self.segment.path, error);
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(self.at, &mut header).map_err(fail)?;
        let header = RecordHeader::parse(&header).filter(|header| (HEADER_BYTES + header.len) as u64 <= left);
        let Some(header) = header else { return Ok(None) };
        let mut payload = vec![0; header.len];
        self.file.read_exact_at(self.at + HEADER_BYTES as u64, &mut payload).map_err(fail)?;
        Ok(header.fits(&payload).then_some((header, payload)))
    }

    /// Goes on at the next whole record.
    fn skip_damage(&mut self) -> Result<(), WalError> {
        let fail = |error| WalError::io("read", &self.segment.path, error);
        let mut rest = vec![0; (self.segment.len - self.at) as usize];
        self.file.read_exact_at(self.at, &mut rest).map_err(fail)?;
        if let Some(Found::Damage(range)) = Scanner::new(&rest, 0).next() {
            self.at += range.len() as u64;
        }
        Ok(())
    }
}
