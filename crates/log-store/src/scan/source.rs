//! Places that hold entries of a stream: pages and blocks in memory, blocks in segments.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use log_storage_api::{
    FieldColumn, LogStorageError, MetadataFilter, ScanBatch, ScanLines, ScanSink, ScanStats, SinkFlow,
    StreamInfo,
};
use model::TimestampNs;
use resources::Reservation;

use super::matches_metadata;
use crate::block::lines::{Lines, Selection, TemplatedLines, fields_of_lines};
use crate::block::metadata::MetadataColumn;
use crate::block::{OpenBlock, load};
use crate::deletes::Deletion;
use crate::error::{BlockError, Result, corrupt};
use crate::fields::FieldLookup;
use crate::filter::LineFilters;
use crate::page::RawPage;
use crate::segment::Segment;
use crate::store::DiskLogStore;
use crate::stream::MemoryBlock;
use crate::tenant::Tenant;

/// A place with entries of a stream, not opened yet.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) stream: Arc<StreamInfo>,
    /// The stream's place in the order of labels.
    pub(super) stream_idx: u32,
    /// The source's place in the order in which the stream's entries came.
    pub(super) arrival: u32,
    pub(super) min: TimestampNs,
    pub(super) max: TimestampNs,
    pub(super) rows: u64,
    pub(super) line_bytes: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Page(Arc<RawPage>),
    Memory(MemoryBlock),
    Segment { segment: Arc<Segment>, stream_idx: u32, block_idx: u32 },
}

/// A source that is being read.
#[derive(Debug)]
pub(super) struct OpenSource {
    pub(super) stream: Arc<StreamInfo>,
    content: Content,
    /// What the scan's filters say of the block's templates.
    selection: OnceLock<Selection>,
    _memory: Reservation,
}

#[derive(Debug)]
enum Content {
    /// A page whose rows are in order of time.
    Sorted(Arc<RawPage>),
    /// A page, and its rows in order of time with their times.
    Unsorted(Arc<RawPage>, Vec<u32>, Vec<TimestampNs>),
    Block(Arc<OpenBlock>),
}

/// All sources of streams in a range, in the streams' order and then in that of their arrival.
pub(super) fn snapshot(
    tenant: &Tenant,
    infos: &[Arc<StreamInfo>],
    start: TimestampNs,
    end: TimestampNs,
) -> Vec<Source> {
    let segments = tenant.segments();
    let streams = tenant.streams.read();
    let mut sources = Vec::new();
    for (stream_idx, info) in infos.iter().enumerate() {
        let from = sources.len();
        let mut add = |min: TimestampNs, max: TimestampNs, rows, line_bytes, place| {
            if max >= start && min < end {
                let arrival = (sources.len() - from) as u32;
                let (stream, stream_idx) = (Arc::clone(info), stream_idx as u32);
                sources.push(Source { stream, stream_idx, arrival, min, max, rows, line_bytes, place });
            }
        };
        for segment in segments.iter().filter(|segment| segment.max >= start && segment.min < end) {
            let Some(position) = segment.stream_position(info.id) else { continue };
            for (block_idx, block) in segment.streams[position].blocks.iter().enumerate() {
                let (segment, stream_idx) = (Arc::clone(segment), position as u32);
                let place = Place::Segment { segment, stream_idx, block_idx: block_idx as u32 };
                let meta = &block.meta;
                if !block.is_damaged() {
                    add(meta.min, meta.max, meta.rows as u64, meta.line_bytes, place);
                }
            }
        }
        let Some(stream) = streams.get(&info.labels) else { continue };
        let head = stream.head.lock();
        for generation in [&head.frozen, &head.active] {
            for block in &generation.blocks {
                let meta = &block.meta;
                add(meta.min, meta.max, meta.rows as u64, meta.line_bytes, Place::Memory(block.clone()));
            }
            for page in &generation.pages {
                let bytes = page.line_bytes() as u64;
                add(page.min, page.max, page.len() as u64, bytes, Place::Page(Arc::clone(page)));
            }
        }
        let open = &head.open;
        if !open.is_empty() {
            let bytes = open.line_bytes() as u64;
            add(open.min, open.max, open.len() as u64, bytes, Place::Page(Arc::clone(open)));
        }
    }
    sources
}

impl Source {
    /// What the source takes in memory when it is open.
    pub(super) fn open_bytes(&self) -> u64 {
        match &self.place {
            Place::Page(_) => self.rows * 12,
            Place::Memory(block) => block.meta.open_bytes(),
            Place::Segment { segment, stream_idx, block_idx } => {
                segment.streams[*stream_idx as usize].blocks[*block_idx as usize].meta.open_bytes()
            }
        }
    }

    pub(super) fn open(&self, memory: Reservation) -> OpenSource {
        let content = match &self.place {
            Place::Page(page) if page.sorted => Content::Sorted(Arc::clone(page)),
            Place::Page(page) => {
                let mut order: Vec<u32> = (0..page.len() as u32).collect();
                order.sort_by_key(|row| page.timestamps[*row as usize]);
                let times = order.iter().map(|row| page.timestamps[*row as usize]).collect();
                Content::Unsorted(Arc::clone(page), order, times)
            }
            Place::Memory(block) => Content::Block(block.open()),
            Place::Segment { segment, stream_idx, block_idx } => {
                let stream = &segment.streams[*stream_idx as usize];
                Content::Block(segment.open_block(&stream.blocks[*block_idx as usize]))
            }
        };
        let (stream, selection) = (Arc::clone(&self.stream), OnceLock::new());
        OpenSource { stream, content, selection, _memory: memory }
    }

    pub(super) fn report_damage(&self, store: &DiskLogStore, reason: &str) {
        if let Place::Segment { segment, stream_idx, block_idx } = &self.place {
            let stream = &segment.streams[*stream_idx as usize];
            store.report_damage(segment, &stream.blocks[*block_idx as usize], reason);
        }
    }

    pub(super) fn place(&self) -> String {
        match &self.place {
            Place::Segment { segment, .. } => segment.path.display().to_string(),
            Place::Page(_) | Place::Memory(_) => "memory".to_owned(),
        }
    }
}

impl OpenSource {
    /// Times of all rows, in order.
    pub(super) fn times(&self) -> std::result::Result<&[TimestampNs], BlockError> {
        match &self.content {
            Content::Sorted(page) => Ok(&page.timestamps),
            Content::Unsorted(_, _, times) => Ok(times),
            Content::Block(block) => block.timestamps(),
        }
    }

    /// The block, where there is one: it can be counted by groups of rows.
    pub(super) fn groups(&self) -> Option<&OpenBlock> {
        match &self.content {
            Content::Block(block) => Some(block),
            Content::Sorted(_) | Content::Unsorted(..) => None,
        }
    }

    pub(super) fn rows(&self) -> usize {
        match &self.content {
            Content::Sorted(page) | Content::Unsorted(page, ..) => page.len(),
            Content::Block(block) => block.meta().rows,
        }
    }

    /// Finds out whether the filters rule the source out, before any row is looked at.
    pub(super) fn vet(&self, filters: &LineFilters) -> std::result::Result<(), BlockError> {
        if let Content::Block(block) = &self.content {
            let lines = block.lines()?;
            load(&self.selection, || lines.selection(filters))?;
        }
        Ok(())
    }

    pub(super) fn rows_between(
        &self,
        start: TimestampNs,
        end: TimestampNs,
    ) -> std::result::Result<Range<usize>, BlockError> {
        if let Content::Block(block) = &self.content
            && block.meta().min >= start
            && block.meta().max < end
        {
            return Ok(0..block.meta().rows);
        }
        let times = self.times()?;
        let from = times.partition_point(|ts| *ts < start);
        let to = times.partition_point(|ts| *ts < end);
        Ok(from..to.max(from))
    }

    /// Bytes of lines that `rows` rows stand for, as near as the whole tells.
    pub(super) fn line_bytes_of(&self, rows: usize) -> u64 {
        let (bytes, all) = match &self.content {
            Content::Sorted(page) | Content::Unsorted(page, ..) => (page.line_bytes() as u64, page.len()),
            Content::Block(block) => (block.meta().line_bytes, block.meta().rows),
        };
        if all == 0 { 0 } else { bytes * rows as u64 / all as u64 }
    }

    pub(super) fn filter(
        &self,
        range: Range<usize>,
        filters: &LineFilters,
        stats: &mut ScanStats,
    ) -> std::result::Result<Vec<u32>, BlockError> {
        if filters.is_empty() {
            return Ok(range.map(|row| row as u32).collect());
        }
        let passes = |page: &RawPage, row: usize| filters.matches(page.line(row));
        match &self.content {
            Content::Sorted(page) => {
                Ok(range.filter(|row| passes(page, *row)).map(|row| row as u32).collect())
            }
            Content::Unsorted(page, order, _) => {
                let passes = |row: &usize| passes(page, order[*row] as usize);
                Ok(range.filter(passes).map(|row| row as u32).collect())
            }
            Content::Block(block) => {
                let lines = block.lines()?;
                let selection = load(&self.selection, || lines.selection(filters))?;
                lines.select(selection, range, filters, stats)
            }
        }
    }

    /// Whether the filters, applied once, leave no row of the source.
    pub(super) fn is_ruled_out(&self) -> bool {
        self.selection.get().is_some_and(Selection::is_empty)
    }

    pub(super) fn filter_metadata(
        &self,
        rows: &mut Vec<u32>,
        filters: &[MetadataFilter],
    ) -> std::result::Result<(), BlockError> {
        for filter in filters {
            let name = filter.matcher.name();
            let Content::Block(block) = &self.content else {
                rows.retain(|row| {
                    let metadata = self.page_metadata(*row as usize);
                    let value = metadata.iter().find(|(key, _)| key == name);
                    matches_metadata(filter, value.map_or("", |(_, value)| value))
                });
                continue;
            };
            match block.metadata()?.column(name) {
                None if matches_metadata(filter, "") => {}
                None => rows.clear(),
                Some(column) => {
                    let mut passes = vec![matches_metadata(filter, "")];
                    passes.extend(column.values.iter().map(|value| matches_metadata(filter, value)));
                    rows.retain(|row| passes[column.idx[*row as usize] as usize]);
                }
            }
        }
        Ok(())
    }

    /// The columns of a query's fields for some rows; empty for a field whose name the stream or any entry's metadata has.
    pub(super) fn fields(
        &self,
        rows: &[u32],
        lookup: &FieldLookup,
    ) -> std::result::Result<Vec<FieldColumn>, BlockError> {
        let names = lookup.finder.names().iter();
        let wanted = names.map(|name| self.is_free(name)).collect::<std::result::Result<Vec<_>, _>>()?;
        self.columns(lookup, &wanted, rows)
    }

    /// Takes out the rows that the query's filters surely drop. Each looks at those alone that the ones before it have left.
    pub(super) fn filter_fields(
        &self,
        rows: &mut Vec<u32>,
        lookup: &FieldLookup,
    ) -> std::result::Result<(), BlockError> {
        let names = lookup.finder.names();
        let mut unsure = Vec::new();
        for (filter, field) in lookup.finder.filters().iter().enumerate() {
            if rows.is_empty() || !self.is_free(&names[*field])? {
                // What this filter does cannot be told, nor what those behind it see.
                break;
            }
            let mut wanted = vec![false; names.len()];
            wanted[*field] = true;
            let columns = self.columns(lookup, &wanted, rows)?;
            lookup.filter_by(filter, &columns[*field], rows, &mut unsure);
        }
        if !unsure.is_empty() {
            rows.append(&mut unsure);
            rows.sort_unstable();
        }
        Ok(())
    }

    /// Whether a field has its name to itself.
    fn is_free(&self, name: &str) -> std::result::Result<bool, BlockError> {
        Ok(self.stream.labels.get(name).is_none() && !self.has_metadata(name)?)
    }

    fn columns(
        &self,
        lookup: &FieldLookup,
        wanted: &[bool],
        rows: &[u32],
    ) -> std::result::Result<Vec<FieldColumn>, BlockError> {
        match &self.content {
            Content::Block(block) => block.lines()?.fields(lookup, wanted, rows),
            Content::Sorted(_) | Content::Unsorted(..) => {
                let line = |row: &u32| self.page_row(*row as usize).map_or("", |(page, row)| page.line(row));
                Ok(fields_of_lines(lookup, wanted, &rows.iter().map(line)))
            }
        }
    }

    /// Whether any entry has metadata of this name.
    fn has_metadata(&self, name: &str) -> std::result::Result<bool, BlockError> {
        match &self.content {
            Content::Block(block) => Ok(block.has_metadata() && block.metadata()?.column(name).is_some()),
            Content::Sorted(page) | Content::Unsorted(page, ..) => Ok(page.has_metadata(name)),
        }
    }

    /// Takes out rows that a request deletes.
    pub(super) fn remove_deleted(
        &self,
        rows: &mut Vec<u32>,
        deletion: &Deletion,
    ) -> std::result::Result<(), BlockError> {
        let times = self.times()?;
        let (Some(min), Some(max)) = (times.first(), times.last()) else { return Ok(()) };
        if !deletion.touches(&self.stream.labels, *min, *max) {
            return Ok(());
        }
        if deletion.covers(*min, *max) {
            rows.clear();
            return Ok(());
        }
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            let idx = *row as usize;
            let deleted = match &self.content {
                Content::Block(block) => deletion.takes(
                    &self.stream.labels,
                    times[idx],
                    &block.line(idx)?,
                    &block.metadata()?.row(idx),
                ),
                Content::Sorted(_) | Content::Unsorted(..) => {
                    let line = self.page_row(idx).map_or("", |(page, row)| page.line(row));
                    deletion.takes(&self.stream.labels, times[idx], line, self.page_metadata(idx))
                }
            };
            if !deleted {
                kept.push(*row);
            }
        }
        *rows = kept;
        Ok(())
    }

    /// The templates of the rows' lines, where they are stored by templates.
    pub(super) fn templated(&self) -> std::result::Result<Option<&TemplatedLines>, BlockError> {
        let Content::Block(block) = &self.content else { return Ok(None) };
        Ok(match block.lines()? {
            Lines::Templated(lines) => Some(lines),
            Lines::Plain(_) => None,
        })
    }

    /// The rows' values of a name of structured metadata.
    pub(super) fn metadata_values(&self, name: &str) -> std::result::Result<MetadataValues<'_>, BlockError> {
        Ok(match &self.content {
            Content::Block(block) => MetadataValues::Column(block.metadata()?.column(name)),
            Content::Sorted(_) | Content::Unsorted(..) => MetadataValues::Page(self),
        })
    }

    /// Calls `work` with the line of a row.
    pub(super) fn with_line<R>(
        &self,
        row: usize,
        work: impl FnOnce(&str) -> R,
    ) -> std::result::Result<R, BlockError> {
        match &self.content {
            Content::Block(block) => Ok(work(&block.line(row)?)),
            Content::Sorted(_) | Content::Unsorted(..) => {
                Ok(work(self.page_row(row).map_or("", |(page, row)| page.line(row))))
            }
        }
    }

    /// Loads columns that will be asked for.
    pub(super) fn load(&self, lines: bool, metadata: bool) -> std::result::Result<(), BlockError> {
        self.times()?;
        if let Content::Block(block) = &self.content {
            if lines {
                block.lines()?.load()?;
            }
            if metadata {
                block.metadata()?;
            }
        }
        Ok(())
    }

    fn page_row(&self, row: usize) -> Option<(&RawPage, usize)> {
        match &self.content {
            Content::Sorted(page) => Some((page, row)),
            Content::Unsorted(page, order, _) => Some((page, order[row] as usize)),
            Content::Block(_) => None,
        }
    }

    fn page_metadata(&self, row: usize) -> &[(String, String)] {
        self.page_row(row).map_or(&[], |(page, row)| page.metadata(row))
    }

    pub(super) fn line_len(&self, row: usize) -> std::result::Result<u64, BlockError> {
        match &self.content {
            Content::Block(block) => block.lines().and_then(|lines: &Lines| lines.line_bytes(row)),
            Content::Sorted(_) | Content::Unsorted(..) => {
                Ok(self.page_row(row).map_or(0, |(page, row)| page.line(row).len() as u64))
            }
        }
    }

    fn line(&self, row: usize) -> Result<Cow<'_, str>> {
        match &self.content {
            Content::Block(block) => block.line(row).map_err(|error| self.error(error)),
            Content::Sorted(_) | Content::Unsorted(..) => {
                Ok(Cow::Borrowed(self.page_row(row).map_or("", |(page, row)| page.line(row))))
            }
        }
    }

    fn metadata(&self, row: usize) -> Result<Cow<'_, [(String, String)]>> {
        match &self.content {
            Content::Block(block) => {
                Ok(Cow::Owned(block.metadata().map_err(|error| self.error(error))?.row(row)))
            }
            Content::Sorted(_) | Content::Unsorted(..) => Ok(Cow::Borrowed(self.page_metadata(row))),
        }
    }

    fn error(&self, error: BlockError) -> LogStorageError {
        let place = format!("a block of {}", self.stream.labels);
        match error {
            BlockError::Damaged(reason) => corrupt(place, reason),
            BlockError::Io(source) => LogStorageError::Io { action: "read", path: place, source },
        }
    }
}

/// Values of one name of structured metadata.
pub(super) enum MetadataValues<'a> {
    /// Of a block: its column, where any row has one.
    Column(Option<&'a MetadataColumn>),
    /// Of a page.
    Page(&'a OpenSource),
}

impl<'a> MetadataValues<'a> {
    /// A row's value; "" where it has none.
    pub(super) fn get(&self, name: &str, row: usize) -> &'a str {
        match self {
            Self::Column(None) => "",
            Self::Column(Some(column)) => {
                (column.idx[row] as usize).checked_sub(1).map_or("", |idx| column.values[idx].as_str())
            }
            Self::Page(source) => {
                let found = source.page_metadata(row).iter().find(|(key, _)| key == name);
                found.map_or("", |(_, value)| value.as_str())
            }
        }
    }
}

/// Rows of a source as a batch.
pub(super) struct RowsBatch<'a> {
    source: &'a OpenSource,
    rows: &'a [u32],
    fields: &'a [FieldColumn],
}

impl<'a> RowsBatch<'a> {
    pub(super) fn new(source: &'a OpenSource, rows: &'a [u32], fields: &'a [FieldColumn]) -> Self {
        Self { source, rows, fields }
    }

    pub(super) fn hand_out(&self, sink: &mut dyn ScanSink) -> Result<SinkFlow> {
        let times = self.source.times().map_err(|error| self.source.error(error))?;
        let timestamps: Vec<TimestampNs> = self.rows.iter().map(|row| times[*row as usize]).collect();
        sink.batch(&ScanBatch {
            stream: &self.source.stream,
            timestamps: &timestamps,
            lines: self,
            residual_filters: 0,
            metadata_filtered: true,
            counts: &[],
            bytes: &[],
            fields: self.fields,
        })
    }
}

impl ScanLines for RowsBatch<'_> {
    fn line(&self, idx: usize) -> Result<Cow<'_, str>> {
        self.source.line(self.rows[idx] as usize)
    }

    fn metadata(&self, idx: usize) -> Result<Cow<'_, [(String, String)]>> {
        self.source.metadata(self.rows[idx] as usize)
    }
}
