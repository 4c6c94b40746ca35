//! What stands in the write-ahead log: entries of one tenant and the places of their sources.

use std::sync::Arc;

use chunk_encoding::{ByteReader, DecodeError, put_str, put_uvarint, put_varint};
use model::{Labels, TenantId};

use crate::checkpoint::{put_mark, take_mark};
use crate::page::Row;
use crate::positions::Mark;
use crate::segment::{put_labels, take_labels};

const VERSION: u8 = 1;
/// A record that has reached this size is written; the rest goes into the next.
pub(crate) const RECORD_BYTES: usize = 4 << 20;

/// Builds records of one tenant.
#[derive(Debug)]
pub(crate) struct RecordBuilder {
    bytes: Vec<u8>,
    header_len: usize,
    previous: i64,
}

/// A part of a record.
const PART_STREAM: u8 = 1;
const PART_ENTRY: u8 = 2;
const PART_MARK: u8 = 3;

impl RecordBuilder {
    /// A builder with room for about `expected` bytes.
    pub(crate) fn new(tenant: &TenantId, expected: usize) -> Self {
        let mut bytes = Vec::with_capacity(expected.min(RECORD_BYTES) + 4096);
        bytes.push(VERSION);
        put_str(&mut bytes, tenant.as_str());
        Self { header_len: bytes.len(), bytes, previous: 0 }
    }

    /// Entries that follow belong to this stream.
    pub(crate) fn stream(&mut self, labels: &Labels) {
        self.bytes.push(PART_STREAM);
        put_labels(&mut self.bytes, labels);
        self.previous = 0;
    }

    pub(crate) fn entry(&mut self, row: Row<'_>) {
        let dst = &mut self.bytes;
        dst.push(PART_ENTRY);
        put_varint(dst, row.timestamp.wrapping_sub(self.previous));
        self.previous = row.timestamp;
        put_str(dst, row.line);
        put_uvarint(dst, row.metadata.len() as u64);
        for (name, value) in row.metadata {
            put_str(dst, name);
            put_str(dst, value);
        }
    }

    pub(crate) fn mark(&mut self, source: &str, mark: &Mark) {
        self.bytes.push(PART_MARK);
        put_mark(&mut self.bytes, source, mark);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= RECORD_BYTES
    }

    /// The record, if it has any content; the builder starts over.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        if self.bytes.len() == self.header_len {
            return None;
        }
        let rest = self.bytes[..self.header_len].to_vec();
        self.previous = 0;
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

/// A part of a record that is read back.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Stream(Labels),
    Entry { timestamp: i64, line: &'a str, metadata: Vec<(String, String)> },
    Mark(Arc<str>, Mark),
}

/// Reads a record's parts and hands them to `take`; returns the tenant before.
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(&TenantId, Part<'a>),
) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(DecodeError::Invalid("version of the record"));
    }
    let tenant = TenantId::parse(reader.str()?).ok_or(DecodeError::Invalid("tenant"))?;
    let mut previous = 0i64;
    while !reader.is_empty() {
        let part = match reader.byte()? {
            PART_STREAM => {
                previous = 0;
                Part::Stream(take_labels(&mut reader)?)
            }
            PART_ENTRY => {
                previous = previous.wrapping_add(reader.varint()?);
                let line = reader.str()?;
                let mut metadata = Vec::new();
                for _ in 0..reader.length()? {
                    metadata.push((reader.str()?.to_owned(), reader.str()?.to_owned()));
                }
                Part::Entry { timestamp: previous, line, metadata }
            }
            PART_MARK => {
                let (source, mark) = take_mark(&mut reader)?;
                Part::Mark(source, mark)
            }
            _ => return Err(DecodeError::Invalid("part of the record")),
        };
        take(&tenant, part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let record = [[VERSION, 1, b'a'].as_slice(), &bytes].concat();
            decode(&record, |_, _| {}).ok();
            decode(&bytes, |_, _| {}).ok();
        }

        #[test]
        fn entries_come_back(entries in proptest::collection::vec((any::<i64>(), ".{0,10}", "[a-z]?"), 0..20)) {
            let tenant = TenantId::anonymous();
            let mut builder = RecordBuilder::new(&tenant, 0);
            let labels = Labels::from_pairs([("a", "b")]);
            builder.stream(&labels);
            let metadata = |value: &String| if value.is_empty() { vec![] } else { vec![("k".to_owned(), value.clone())] };
            for (timestamp, line, value) in &entries {
                builder.entry(Row { timestamp: *timestamp, line, metadata: &metadata(value) });
            }
            let bytes = builder.take().unwrap();
            prop_assert!(builder.take().is_none());
            let mut read = Vec::new();
            decode(&bytes, |found, part| {
                assert_eq!(*found, tenant);
                match part {
                    Part::Stream(found) => assert_eq!(found, labels),
                    Part::Entry { timestamp, line, metadata } => read.push((timestamp, line.to_owned(), metadata)),
                    Part::Mark(..) => panic!("no mark was written"),
                }
            }).unwrap();
            let expected: Vec<_> = entries.iter().map(|(ts, line, value)| (*ts, line.clone(), metadata(value))).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
