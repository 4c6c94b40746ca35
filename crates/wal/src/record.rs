//! Records as bytes.

use std::ops::Range;

/// Starts every record; its first byte never starts a UTF-8 character.
pub(crate) const MARKER: [u8; 4] = [0xA7, 0x57, 0x52, 0x31];
/// Bytes before a record's payload.
pub(crate) const HEADER_BYTES: usize = 20;

/// The fields of a record's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) len: usize,
    pub(crate) seq: u64,
    crc: u32,
}

impl RecordHeader {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MARKER)?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let crc = rest.first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len) as usize;
        (len > 0).then_some(Self { len, seq: u64::from_le_bytes(*seq), crc: u32::from_le_bytes(*crc) })
    }

    pub(crate) fn fits(&self, payload: &[u8]) -> bool {
        finish_crc(crc32c::crc32c(payload), self.len as u32, self.seq) == self.crc
    }
}

/// Appends a record whose payload's CRC is known already.
pub(crate) fn encode(dst: &mut Vec<u8>, seq: u64, payload: &[u8], payload_crc: u32) {
    let len = payload.len() as u32;
    dst.extend_from_slice(&MARKER);
    dst.extend_from_slice(&len.to_le_bytes());
    dst.extend_from_slice(&seq.to_le_bytes());
    dst.extend_from_slice(&finish_crc(payload_crc, len, seq).to_le_bytes());
    dst.extend_from_slice(payload);
}

/// The payload comes first, so that it is summed before the sequence number is known, outside the queue's lock.
fn finish_crc(payload_crc: u32, len: u32, seq: u64) -> u32 {
    let mut tail = [0; 12];
    tail[..4].copy_from_slice(&len.to_le_bytes());
    tail[4..].copy_from_slice(&seq.to_le_bytes());
    crc32c::crc32c_append(payload_crc, &tail)
}

/// What stands at a place of a segment.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Record { seq: u64, payload: &'a [u8] },
    Damage(Range<usize>),
}

/// Goes through a segment's bytes, over damaged places to the next whole record.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many bytes may still be summed in the search for the next record, so that hostile content costs linear time.
    search_bytes: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8], from: usize) -> Self {
        Self { bytes, at: from, search_bytes: bytes.len().saturating_mul(4) }
    }

    fn record_at(&self, at: usize) -> Option<(RecordHeader, Option<&'a [u8]>)> {
        let header = RecordHeader::parse(self.bytes.get(at..)?)?;
        let from = at + HEADER_BYTES;
        Some((header, self.bytes.get(from..from.checked_add(header.len)?)))
    }

    fn whole_record_at(&self, at: usize) -> Option<(u64, &'a [u8])> {
        let (header, payload) = self.record_at(at)?;
        let payload = payload?;
        header.fits(payload).then_some((header.seq, payload))
    }

    /// Where the next whole record starts after a damaged one at `from`.
    fn search(&mut self, from: usize) -> Option<usize> {
        if let Some((header, Some(_))) = self.record_at(from) {
            let next = from + HEADER_BYTES + header.len;
            if self.whole_record_at(next).is_some() {
                return Some(next);
            }
        }
        let mut at = from + 1;
        loop {
            at += self.bytes.get(at..)?.iter().position(|byte| *byte == MARKER[0])?;
            if let Some((header, Some(payload))) = self.record_at(at) {
                self.search_bytes = self.search_bytes.checked_sub(payload.len())?;
                if header.fits(payload) {
                    return Some(at);
                }
            }
            at += 1;
        }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        if let Some((seq, payload)) = self.whole_record_at(self.at) {
            self.at += HEADER_BYTES + payload.len();
            return Some(Found::Record { seq, payload });
        }
        let from = self.at;
        self.at = self.search(from).unwrap_or(self.bytes.len());
        Some(Found::Damage(from..self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (idx, payload) in payloads.iter().enumerate() {
            encode(&mut bytes, idx as u64 + 1, payload, crc32c::crc32c(payload));
        }
        bytes
    }

    fn found(bytes: &[u8]) -> Vec<Result<u64, Range<usize>>> {
        Scanner::new(bytes, 0)
            .map(|found| match found {
                Found::Record { seq, .. } => Ok(seq),
                Found::Damage(range) => Err(range),
            })
            .collect()
    }

    #[test]
    fn damage_hides_only_the_record_it_hits() {
        let whole = segment(&[b"one", b"two", b"three"]);
        assert_eq!(found(&whole), [Ok(1), Ok(2), Ok(3)]);
        for bit in 23 * 8..46 * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(found(&bytes), [Ok(1), Err(23..46), Ok(3)], "bit {bit}");
        }
        for cut in 47..whole.len() {
            assert_eq!(found(&whole[..cut]), [Ok(1), Ok(2), Err(46..cut)], "cut {cut}");
        }
        assert_eq!(found(&[0; 100]), [Err(0..100)]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            assert!(found(&bytes).iter().all(Result::is_err));
            let marked = [MARKER.as_slice(), &bytes, &MARKER].concat();
            found(&marked);
        }
    }
}
