//! Delete requests as bytes.

use std::sync::Arc;

use chunk_encoding::{ByteReader, DecodeError, crc32c, put_be32, put_str, put_uvarint, put_varint};
use go_regex::Regex;
use log_storage_api::{LineFilter, LineFilterOp, PatternPart};
use model::{MatchOp, Matcher};

use super::{DeleteRequest, DeleteSpec};

const MAGIC: [u8; 4] = *b"WBLD";
const VERSION: u8 = 2;
/// Without the mark of what is tested by its query.
const VERSION_1: u8 = 1;

const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
const FILTER_CONTAINS: u8 = 0;
const FILTER_REGEX: u8 = 1;
const FILTER_PATTERN: u8 = 2;

pub(super) fn encode<'a>(requests: impl Iterator<Item = &'a DeleteRequest>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    for request in requests {
        let dst = &mut bytes;
        dst.push(1);
        put_uvarint(dst, request.id);
        put_varint(dst, request.created);
        dst.push(u8::from(request.done));
        let spec = &request.spec;
        put_str(dst, &spec.query);
        dst.push(u8::from(spec.tests_query));
        for time in [spec.start, spec.end, spec.apply_after] {
            put_varint(dst, time);
        }
        put_matchers(dst, &spec.matchers);
        put_matchers(dst, &spec.metadata_filters);
        put_uvarint(dst, spec.line_filters.len() as u64);
        for filter in &spec.line_filters {
            put_filter(dst, filter);
        }
    }
    bytes.push(0);
    let crc = crc32c(&bytes);
    put_be32(&mut bytes, crc);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<DeleteRequest>, DecodeError> {
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
    if crc32c(content) != u32::from_be_bytes(*crc) {
        return Err(DecodeError::Invalid("checksum"));
    }
    let mut reader = ByteReader::new(content);
    let (magic, version) = (reader.take(4)?, reader.byte()?);
    if magic != MAGIC || !(VERSION_1..=VERSION).contains(&version) {
        return Err(DecodeError::Invalid("version of the delete requests"));
    }
    let mut requests = Vec::new();
    while reader.byte()? == 1 {
        let (id, created, done) = (reader.uvarint()?, reader.varint()?, reader.byte()? == 1);
        let query = reader.str()?.to_owned();
        let tests_query = version > VERSION_1 && reader.byte()? == 1;
        let (start, end, apply_after) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let (matchers, metadata_filters) = (take_matchers(&mut reader)?, take_matchers(&mut reader)?);
        let mut line_filters = Vec::new();
        for _ in 0..reader.length()? {
            line_filters.push(take_filter(&mut reader)?);
        }
        let spec = DeleteSpec {
            query,
            matchers,
            line_filters,
            metadata_filters,
            start,
            end,
            apply_after,
            tests_query,
        };
        requests.push(DeleteRequest { id, spec, created, done });
    }
    Ok(requests)
}

fn put_matchers(dst: &mut Vec<u8>, matchers: &[Matcher]) {
    put_uvarint(dst, matchers.len() as u64);
    for matcher in matchers {
        dst.push(OPS.iter().position(|op| *op == matcher.op).unwrap_or(0) as u8);
        put_str(dst, &matcher.name);
        put_str(dst, &matcher.value);
    }
}

fn take_matchers(reader: &mut ByteReader<'_>) -> Result<Vec<Matcher>, DecodeError> {
    let mut matchers = Vec::new();
    for _ in 0..reader.length()? {
        let op = OPS.get(usize::from(reader.byte()?)).ok_or(DecodeError::Invalid("matcher"))?;
        matchers.push(Matcher::new(reader.str()?, *op, reader.str()?));
    }
    Ok(matchers)
}

fn put_filter(dst: &mut Vec<u8>, filter: &LineFilter) {
    dst.push(u8::from(filter.negated));
    put_uvarint(dst, filter.any_of.len() as u64);
    for op in &filter.any_of {
        match op {
            LineFilterOp::Contains(text) => {
                dst.push(FILTER_CONTAINS);
                put_str(dst, text);
            }
            LineFilterOp::Regex(regex) => {
                dst.push(FILTER_REGEX);
                put_str(dst, regex.as_str());
            }
            LineFilterOp::Pattern(parts) => {
                dst.push(FILTER_PATTERN);
                put_uvarint(dst, parts.len() as u64);
                for part in parts.iter() {
                    match part {
                        PatternPart::Wildcard => put_str(dst, ""),
                        PatternPart::Literal(text) => put_str(dst, text),
                    }
                }
            }
        }
    }
}

fn take_filter(reader: &mut ByteReader<'_>) -> Result<LineFilter, DecodeError> {
    let negated = reader.byte()? == 1;
    let mut any_of = Vec::new();
    for _ in 0..reader.length()? {
        any_of.push(match reader.byte()? {
            FILTER_CONTAINS => LineFilterOp::Contains(reader.str()?.into()),
            FILTER_REGEX => {
                let regex =
                    Regex::new(reader.str()?).map_err(|_| DecodeError::Invalid("regular expression"))?;
                LineFilterOp::Regex(Arc::new(regex))
            }
            FILTER_PATTERN => {
                let mut parts = Vec::new();
                for _ in 0..reader.length()? {
                    let text = reader.str()?;
                    // A literal has at least one byte.
                    parts.push(if text.is_empty() {
                        PatternPart::Wildcard
                    } else {
                        PatternPart::Literal(text.into())
                    });
                }
                LineFilterOp::Pattern(parts.into())
            }
            _ => return Err(DecodeError::Invalid("line filter")),
        });
    }
    Ok(LineFilter { negated, any_of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_come_back() {
        let parts = Arc::new([PatternPart::Wildcard, PatternPart::Literal("b".into())]);
        let any_of = vec![
            LineFilterOp::Contains("a".into()),
            LineFilterOp::Regex(Arc::new(Regex::new("x+").unwrap())),
            LineFilterOp::Pattern(parts),
        ];
        let spec = DeleteSpec {
            query: "{a=\"b\"}".to_owned(),
            matchers: vec![Matcher::new("a", MatchOp::NotRegex, "b.*")],
            line_filters: vec![LineFilter { negated: true, any_of }],
            metadata_filters: vec![Matcher::new("pod", MatchOp::Equal, "")],
            start: -5,
            end: i64::MAX,
            apply_after: 7,
            tests_query: true,
        };
        let request = DeleteRequest { id: 3, spec, created: 1, done: true };
        let bytes = encode([&request, &request].into_iter());
        assert_eq!(format!("{:?}", decode(&bytes).unwrap()), format!("{:?}", [&request, &request]));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_first_version_still_opens() {
        let mut file = MAGIC.to_vec();
        file.push(VERSION_1);
        file.extend([1, 7, 2, 0, 2, b'{', b'}', 2, 4, 6, 0, 0, 0, 0]);
        let crc = crc32c(&file);
        put_be32(&mut file, crc);
        let requests = decode(&file).unwrap();
        let spec = &requests[0].spec;
        assert_eq!((requests[0].id, spec.query.as_str(), spec.tests_query), (7, "{}", false));
        assert_eq!((spec.start, spec.end, spec.apply_after), (1, 2, 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_requests_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut file = [MAGIC.as_slice(), &[VERSION], &bytes].concat();
            let crc = crc32c(&file);
            put_be32(&mut file, crc);
            decode(&file).ok();
        }
    }
}
