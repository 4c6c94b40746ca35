//! Reading a block's index, mapped: symbols, series, postings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunk_encoding::{ByteReader, DecodeError, crc32c};
use go_regex::CompiledMatcher;
use model::Labels;
use sys::{Fs, Mapped};

use crate::{Error, Result};

pub(super) const MAGIC: u32 = 0xBAAA_D700;
pub(super) const HEADER_BYTES: usize = 5;
pub(super) const TOC_BYTES: usize = 52;
/// Every so many entries of the postings table are remembered; the others are found from there.
const SAMPLE_EVERY: usize = 32;
/// The same for symbols.
const SYMBOL_SAMPLE_EVERY: usize = 32;

/// A block's index.
#[derive(Debug)]
pub(crate) struct IndexReader {
    path: PathBuf,
    map: Arc<dyn Mapped>,
    version: u8,
    /// Offsets of every 32nd symbol (version 2).
    symbols: Vec<u32>,
    symbol_count: usize,
    /// By label name: values with their postings' offsets, every 32nd and the last.
    postings: BTreeMap<String, Vec<SampledValue>>,
    all_postings: Option<u64>,
}

/// An entry of the postings table.
#[derive(Debug)]
struct SampledValue {
    value: String,
    /// Where the entry lies in the file.
    entry: usize,
}

/// A chunk as the index describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) reference: u64,
}

impl IndexReader {
    pub(crate) fn open(fs: &dyn Fs, path: &Path) -> Result<Self> {
        let map = fs.map(path).map_err(Error::io("map", path))?;
        let mut reader = Self {
            path: path.to_owned(),
            version: 0,
            symbols: Vec::new(),
            symbol_count: 0,
            postings: BTreeMap::new(),
            all_postings: None,
            map,
        };
        let bytes = reader.map.bytes();
        if bytes.len() < HEADER_BYTES + TOC_BYTES || bytes[..4] != MAGIC.to_be_bytes() {
            return Err(reader.fail("not an index file"));
        }
        reader.version = bytes[4];
        if !matches!(reader.version, 1 | 2) {
            return Err(reader.fail("index version is neither 1 nor 2"));
        }
        let toc = &bytes[bytes.len() - TOC_BYTES..];
        if crc32c(&toc[..TOC_BYTES - 4]).to_be_bytes() != toc[TOC_BYTES - 4..] {
            return Err(reader.fail("table of contents: checksum does not match"));
        }
        let mut toc = ByteReader::new(toc);
        let mut offsets = [0u64; 6];
        for offset in &mut offsets {
            *offset = toc.be64().map_err(|error| reader.fail(error))?;
        }
        let map = Arc::clone(&reader.map);
        reader.read_symbols(map.bytes(), offsets[0] as usize)?;
        reader.read_postings_table(map.bytes(), offsets[5] as usize)?;
        Ok(reader)
    }

    /// A series' labels; its chunks are appended to `chunks`.
    pub(crate) fn series(&self, series: u64, chunks: &mut Vec<ChunkMeta>) -> Result<Labels> {
        let offset = if self.version == 2 { series.saturating_mul(16) } else { series } as usize;
        self.parse_series(offset, chunks).map_err(|error| self.fail(format!("series {series}: {error}")))
    }

    /// Series that pass all matchers, in label order.
    pub(crate) fn select(&self, matchers: &[CompiledMatcher]) -> Result<Vec<u64>> {
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for matcher in matchers {
            if matcher.matches_empty() { optional.push(matcher) } else { required.push(matcher) }
        }
        let mut result: Option<Vec<u64>> = None;
        for matcher in required {
            let passing =
                self.with_values(matcher.name(), matcher.literal_values(), |value| matcher.matches(value))?;
            result = Some(match result {
                None => passing,
                Some(so_far) => intersect(&so_far, &passing),
            });
            if result.as_ref().is_some_and(Vec::is_empty) {
                return Ok(Vec::new());
            }
        }
        let mut result = match result {
            Some(result) => result,
            None => self.all_series()?,
        };
        for matcher in optional {
            // A series without the label passes, so take away those whose value does not.
            let refused = self.with_values(matcher.name(), None, |value| !matcher.matches(value))?;
            result = subtract(&result, &refused);
        }
        Ok(result)
    }

    /// All series, in label order.
    pub(crate) fn all_series(&self) -> Result<Vec<u64>> {
        match self.all_postings {
            Some(offset) => self.postings_at(offset as usize),
            None => Ok(Vec::new()),
        }
    }

    /// All symbols, sorted.
    pub(crate) fn each_symbol(&self, mut each: impl FnMut(&str)) -> Result<()> {
        if self.version == 1 {
            // Version 1 refers to symbols by place, so go over what the postings table says.
            for name in self.postings.keys() {
                each(name);
                self.each_value(name, |value, _| {
                    each(value);
                    Ok(())
                })?;
            }
            return Ok(());
        }
        let Some(start) = self.symbols.first() else { return Ok(()) };
        let mut reader = ByteReader::new(&self.map.bytes()[*start as usize..]);
        for _ in 0..self.symbol_count {
            each(reader.str().map_err(|error| self.fail(format!("symbols: {error}")))?);
        }
        Ok(())
    }

    /// All label names, sorted.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(String::as_str)
    }

    /// All values of a name, sorted.
    pub(crate) fn label_values(&self, name: &str) -> Result<Vec<String>> {
        let mut values = Vec::new();
        self.each_value(name, |value, _| {
            values.push(value.to_owned());
            Ok(())
        })?;
        Ok(values)
    }

    fn with_values(
        &self,
        name: &str,
        only: Option<Vec<&str>>,
        accept: impl Fn(&str) -> bool,
    ) -> Result<Vec<u64>> {
        let mut lists = Vec::new();
        match only {
            Some(values) => {
                for value in values {
                    if let Some(offset) = self.find_value(name, value)? {
                        lists.push(self.postings_at(offset as usize)?);
                    }
                }
            }
            None => self.each_value(name, |value, offset| {
                if accept(value) {
                    lists.push(self.postings_at(offset as usize)?);
                }
                Ok(())
            })?,
        }
        if lists.len() == 1 {
            return Ok(lists.remove(0));
        }
        let mut all = lists.concat();
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn find_value(&self, name: &str, value: &str) -> Result<Option<u64>> {
        let Some(sampled) = self.postings.get(name) else { return Ok(None) };
        let at = sampled.partition_point(|sample| sample.value.as_str() <= value);
        let Some(start) = at.checked_sub(1).map(|at| &sampled[at]) else { return Ok(None) };
        let mut reader = ByteReader::new(&self.map.bytes()[start.entry..]);
        for _ in 0..SAMPLE_EVERY {
            let (found_name, found, offset) =
                table_entry(&mut reader).map_err(|error| self.fail(format!("postings table: {error}")))?;
            if found_name != name || found > value {
                return Ok(None);
            }
            if found == value {
                return Ok(Some(offset));
            }
            if reader.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    fn each_value(&self, name: &str, mut each: impl FnMut(&str, u64) -> Result<()>) -> Result<()> {
        let Some(sampled) = self.postings.get(name) else { return Ok(()) };
        let (Some(first), Some(last)) = (sampled.first(), sampled.last()) else { return Ok(()) };
        let mut reader = ByteReader::new(&self.map.bytes()[first.entry..]);
        loop {
            let (found_name, value, offset) =
                table_entry(&mut reader).map_err(|error| self.fail(format!("postings table: {error}")))?;
            if found_name != name {
                return Err(self.fail("postings table is not sorted"));
            }
            each(value, offset)?;
            if value == last.value {
                return Ok(());
            }
        }
    }

    fn postings_at(&self, offset: usize) -> Result<Vec<u64>> {
        let parse = || {
            let body = section(self.map.bytes(), offset)?;
            let mut reader = ByteReader::new(body);
            let count = reader.be32()? as usize;
            if reader.rest().len() != count * 4 {
                return Err(DecodeError::Truncated);
            }
            Ok(reader
                .rest()
                .chunks_exact(4)
                .map(|raw| u64::from(u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]])))
                .collect())
        };
        parse().map_err(|error: DecodeError| self.fail(format!("postings at {offset}: {error}")))
    }

    fn parse_series(
        &self,
        offset: usize,
        chunks: &mut Vec<ChunkMeta>,
    ) -> std::result::Result<Labels, DecodeError> {
        let bytes = self.map.bytes();
        let mut reader = ByteReader::new(bytes.get(offset..).ok_or(DecodeError::Truncated)?);
        let length = reader.length()?;
        let body = reader.take(length)?;
        if crc32c(body) != reader.be32()? {
            return Err(DecodeError::Invalid("checksum"));
        }
        let mut reader = ByteReader::new(body);
        let label_count = reader.length()?;
        if label_count > body.len() {
            return Err(DecodeError::Truncated);
        }
        let mut pairs = Vec::with_capacity(label_count);
        for _ in 0..label_count {
            let (name, value) = (reader.uvarint()?, reader.uvarint()?);
            pairs.push((self.symbol(name)?, self.symbol(value)?));
        }
        let chunk_count = reader.length()?;
        if chunk_count > body.len() {
            return Err(DecodeError::Truncated);
        }
        let (mut end, mut reference) = (0i64, 0i64);
        for idx in 0..chunk_count {
            let min_time = match idx {
                0 => reader.varint()?,
                _ => end.wrapping_add(reader.uvarint()? as i64),
            };
            let max_time = min_time.wrapping_add(reader.uvarint()? as i64);
            reference = match idx {
                0 => reader.uvarint()? as i64,
                _ => reference.wrapping_add(reader.varint()?),
            };
            end = max_time;
            chunks.push(ChunkMeta { min_time, max_time, reference: reference as u64 });
        }
        let sorted = pairs.is_sorted_by(|a, b| a.0 < b.0);
        Ok(if sorted { Labels::from_sorted(pairs) } else { Labels::from_pairs(pairs) })
    }

    fn symbol(&self, reference: u64) -> std::result::Result<&str, DecodeError> {
        let bytes = self.map.bytes();
        if self.version == 1 {
            return ByteReader::new(bytes.get(reference as usize..).ok_or(DecodeError::Truncated)?).str();
        }
        let at = reference as usize;
        if at >= self.symbol_count {
            return Err(DecodeError::Invalid("symbol reference"));
        }
        let start = self.symbols[at / SYMBOL_SAMPLE_EVERY] as usize;
        let mut reader = ByteReader::new(&bytes[start..]);
        for _ in 0..at % SYMBOL_SAMPLE_EVERY {
            let length = reader.length()?;
            reader.take(length)?;
        }
        reader.str()
    }

    fn read_symbols(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        let parse = || {
            let body = section(bytes, offset)?;
            let mut reader = ByteReader::new(body);
            let count = reader.be32()? as usize;
            let mut sampled = Vec::with_capacity((count / SYMBOL_SAMPLE_EVERY + 1).min(body.len()));
            for idx in 0..count {
                if idx % SYMBOL_SAMPLE_EVERY == 0 {
                    let at = offset + 4 + body.len() - reader.rest().len();
                    sampled.push(u32::try_from(at).map_err(|_| DecodeError::Invalid("symbol table size"))?);
                }
                reader.str()?;
            }
            Ok((count, sampled))
        };
        let (count, sampled) =
            parse().map_err(|error: DecodeError| self.fail(format!("symbols: {error}")))?;
        (self.symbol_count, self.symbols) = (count, sampled);
        Ok(())
    }

    fn read_postings_table(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        let mut postings: BTreeMap<String, Vec<SampledValue>> = BTreeMap::new();
        let mut all = None;
        let mut parse = || {
            let body = section(bytes, offset)?;
            let mut reader = ByteReader::new(body);
            let count = reader.be32()?;
            let mut last: Option<(&str, &str, usize, usize)> = None;
            for _ in 0..count {
                let entry = offset + 4 + body.len() - reader.rest().len();
                let (name, value, list) = table_entry(&mut reader)?;
                if name.is_empty() && value.is_empty() {
                    all = Some(list);
                    continue;
                }
                let nth = match last {
                    Some((last_name, _, _, nth)) if last_name == name => nth + 1,
                    _ => {
                        finish_name(&mut postings, last);
                        0
                    }
                };
                if nth % SAMPLE_EVERY == 0 {
                    let sample = SampledValue { value: value.to_owned(), entry };
                    postings.entry(name.to_owned()).or_default().push(sample);
                }
                last = Some((name, value, entry, nth));
            }
            finish_name(&mut postings, last);
            Ok(())
        };
        parse().map_err(|error: DecodeError| self.fail(format!("postings table: {error}")))?;
        (self.postings, self.all_postings) = (postings, all);
        Ok(())
    }

    fn fail(&self, reason: impl ToString) -> Error {
        Error::corrupt(self.path.display().to_string(), reason)
    }
}

/// Remembers a name's last value, too: it ends the walk over its values.
fn finish_name(postings: &mut BTreeMap<String, Vec<SampledValue>>, last: Option<(&str, &str, usize, usize)>) {
    let Some((name, value, entry, nth)) = last else { return };
    if nth % SAMPLE_EVERY != 0
        && let Some(samples) = postings.get_mut(name)
    {
        samples.push(SampledValue { value: value.to_owned(), entry });
    }
}

fn table_entry<'a>(reader: &mut ByteReader<'a>) -> std::result::Result<(&'a str, &'a str, u64), DecodeError> {
    if reader.uvarint()? != 2 {
        return Err(DecodeError::Invalid("key count"));
    }
    Ok((reader.str()?, reader.str()?, reader.uvarint()?))
}

/// The body of a section: behind its length, before its checksum.
fn section(bytes: &[u8], offset: usize) -> std::result::Result<&[u8], DecodeError> {
    let mut reader = ByteReader::new(bytes.get(offset..).ok_or(DecodeError::Truncated)?);
    let length = reader.be32()? as usize;
    let body = reader.take(length)?;
    if crc32c(body) != reader.be32()? {
        return Err(DecodeError::Invalid("checksum"));
    }
    Ok(body)
}

fn intersect(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (small, large) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut out = Vec::with_capacity(small.len());
    let mut from = 0;
    for item in small {
        from += large[from..].partition_point(|other| other < item);
        if large.get(from) == Some(item) {
            out.push(*item);
        }
    }
    out
}

fn subtract(from: &[u64], gone: &[u64]) -> Vec<u64> {
    let mut out = Vec::with_capacity(from.len());
    let mut at = 0;
    for item in from {
        while gone.get(at).is_some_and(|other| other < item) {
            at += 1;
        }
        if gone.get(at) != Some(item) {
            out.push(*item);
        }
    }
    out
}
