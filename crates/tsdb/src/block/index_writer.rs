//! Writing a block's index, version 2: symbols, series, postings, table of postings, table of contents.

use std::collections::BTreeMap;

use chunk_encoding::{crc32c, put_be32, put_be64, put_str, put_uvarint, put_varint};
use hashbrown::HashMap;
use model::Labels;

use super::index::{ChunkMeta, HEADER_BYTES, MAGIC};
use super::writer::FileWriter;
use crate::{Error, Result};

const VERSION: u8 = 2;
const SERIES_ALIGNMENT: u64 = 16;
const POSTINGS_ALIGNMENT: u64 = 4;

/// An index being written. Series come in label order.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    file: FileWriter,
    symbols: HashMap<String, u32>,
    symbol_offset: u64,
    series_offset: u64,
    /// References of the series of each pair of symbols, ascending as they come.
    postings: BTreeMap<(u32, u32), Vec<u32>>,
    all: Vec<u32>,
    last: Option<Labels>,
    body: Vec<u8>,
}

impl IndexWriter {
    /// Starts an index with its symbols, sorted and unique.
    pub(crate) fn new(mut file: FileWriter, symbols: Vec<String>) -> Result<Self> {
        let mut head = MAGIC.to_be_bytes().to_vec();
        head.push(VERSION);
        debug_assert_eq!(head.len(), HEADER_BYTES, "magic and version");
        file.write(&head)?;
        let symbol_offset = file.position();
        let mut body = Vec::new();
        put_be32(&mut body, symbols.len() as u32);
        symbols.iter().for_each(|symbol| put_str(&mut body, symbol));
        write_section(&mut file, &body)?;
        let symbols = symbols.into_iter().zip(0..).collect();
        file.align(SERIES_ALIGNMENT)?;
        let series_offset = file.position();
        Ok(Self {
            file,
            symbols,
            symbol_offset,
            series_offset,
            postings: BTreeMap::new(),
            all: Vec::new(),
            last: None,
            body: Vec::new(),
        })
    }

    /// Adds a series with its chunks in order of time.
    pub(crate) fn add_series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<()> {
        if self.last.as_ref().is_some_and(|last| last >= labels) {
            return Err(Error::corrupt(format!("series {labels}"), "series are not in label order"));
        }
        self.file.align(SERIES_ALIGNMENT)?;
        let reference = u32::try_from(self.file.position() / SERIES_ALIGNMENT)
            .map_err(|_| Error::corrupt(self.file.place(), "an index holds at most 64 GiB"))?;
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        put_uvarint(&mut body, labels.len() as u64);
        for (name, value) in labels.iter() {
            let pair = (self.symbol(name)?, self.symbol(value)?);
            put_uvarint(&mut body, u64::from(pair.0));
            put_uvarint(&mut body, u64::from(pair.1));
            self.postings.entry(pair).or_default().push(reference);
        }
        put_uvarint(&mut body, chunks.len() as u64);
        let mut before: Option<&ChunkMeta> = None;
        for chunk in chunks {
            match before {
                None => {
                    put_varint(&mut body, chunk.min_time);
                    put_uvarint(&mut body, (chunk.max_time - chunk.min_time) as u64);
                    put_uvarint(&mut body, chunk.reference);
                }
                Some(before) => {
                    put_uvarint(&mut body, (chunk.min_time - before.max_time) as u64);
                    put_uvarint(&mut body, (chunk.max_time - chunk.min_time) as u64);
                    put_varint(&mut body, chunk.reference.wrapping_sub(before.reference) as i64);
                }
            }
            before = Some(chunk);
        }
        let mut head = Vec::with_capacity(5);
        put_uvarint(&mut head, body.len() as u64);
        self.file.write(&head)?;
        self.file.write(&body)?;
        self.file.write(&crc32c(&body).to_be_bytes())?;
        self.body = body;
        self.all.push(reference);
        self.last = Some(labels.clone());
        Ok(())
    }

    /// Writes what comes after the series, makes the file durable and returns its length.
    pub(crate) fn finish(mut self) -> Result<u64> {
        let names = self.symbol_texts();
        self.file.align(POSTINGS_ALIGNMENT)?;
        let postings_offset = self.file.position();
        let mut table = Vec::new();
        put_be32(&mut table, self.postings.len() as u32 + 1);
        let all = std::mem::take(&mut self.all);
        self.write_postings(&all, ("", ""), &mut table)?;
        // Symbols are sorted, so pairs of their numbers sort as their texts do.
        for ((name, value), references) in std::mem::take(&mut self.postings) {
            let texts = (names[name as usize].as_str(), names[value as usize].as_str());
            self.write_postings(&references, texts, &mut table)?;
        }
        self.file.align(POSTINGS_ALIGNMENT)?;
        let table_offset = self.file.position();
        write_section(&mut self.file, &table)?;
        let mut toc = Vec::new();
        // There are no label indices: nobody reads them. Their places are those of what follows.
        for offset in [
            self.symbol_offset,
            self.series_offset,
            postings_offset,
            table_offset,
            postings_offset,
            table_offset,
        ] {
            put_be64(&mut toc, offset);
        }
        let checksum = crc32c(&toc);
        put_be32(&mut toc, checksum);
        self.file.write(&toc)?;
        self.file.finish()
    }

    fn write_postings(
        &mut self,
        references: &[u32],
        (name, value): (&str, &str),
        table: &mut Vec<u8>,
    ) -> Result<()> {
        self.file.align(POSTINGS_ALIGNMENT)?;
        put_uvarint(table, 2);
        put_str(table, name);
        put_str(table, value);
        put_uvarint(table, self.file.position());
        let mut body = Vec::with_capacity(references.len() * 4 + 4);
        put_be32(&mut body, references.len() as u32);
        references.iter().for_each(|reference| put_be32(&mut body, *reference));
        write_section(&mut self.file, &body)
    }

    fn symbol(&self, text: &str) -> Result<u32> {
        let found = self.symbols.get(text).copied();
        found.ok_or_else(|| Error::corrupt(self.file.place(), format!("symbol {text:?} is missing")))
    }

    fn symbol_texts(&mut self) -> Vec<String> {
        let mut texts: Vec<(u32, String)> =
            std::mem::take(&mut self.symbols).into_iter().map(|(text, number)| (number, text)).collect();
        texts.sort_unstable();
        texts.into_iter().map(|(_, text)| text).collect()
    }
}

/// Length, body, checksum.
fn write_section(file: &mut FileWriter, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len())
        .map_err(|_| Error::corrupt(file.place(), "an index section holds at most 4 GiB"))?;
    file.write(&length.to_be_bytes())?;
    file.write(body)?;
    file.write(&crc32c(body).to_be_bytes())
}
