//! Files by patterns: a file is known by its inode and its first line, followed through renames and truncation.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sys::Clock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::beginnings::Beginnings;
use super::line::{Field, Line, Place, Position, Source, SourceLines, line_text, stable_hash};
use super::options::{FileSource, ReadFrom};
use crate::files::{Roots, names_in};
use crate::glob::Glob;
use crate::status::StatusBoard;

const POLL_INTERVAL: Duration = Duration::from_secs(1);
const DISCOVER_INTERVAL: Duration = Duration::from_secs(5);
/// What one file may read before the others have their turn.
const TURN_BYTES: usize = 1 << 20;
/// The part of the first line that makes the fingerprint.
const FINGERPRINT_BYTES: usize = 1 << 10;
const FILES_MAX: usize = 1_000;
/// How many names of a directory are looked at for a file that was renamed while we were away.
const SIBLINGS_MAX: usize = 1_000;
/// How often a file of the same beginning may have been truncated.
const EPOCHS_MAX: u64 = 16;
const RECENT: Duration = Duration::from_secs(3_600);
const RECENT_LINES: usize = 1_000;
const RECENT_BYTES: u64 = 1 << 20;
const AREA: &str = "log files";

/// Reads the files of one source; all of it blocks.
#[derive(Debug)]
pub(super) struct FileReader {
    options: FileSource,
    roots: Roots,
    host: Arc<str>,
    clock: Arc<dyn Clock>,
    status: Arc<StatusBoard>,
    lines: mpsc::Sender<SourceLines>,
    positions: Arc<BTreeMap<Arc<str>, Position>>,
    beginnings: Beginnings,
    files: BTreeMap<(u64, u64), OpenFile>,
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    last_timestamp_ns: i64,
    /// Whether the first look is over: files that appear later are read from their beginning.
    looked: bool,
}

/// A file that is being read.
#[derive(Debug)]
struct OpenFile {
    file: std::fs::File,
    inode: (u64, u64),
    source: Arc<Source>,
    fingerprint: u64,
    epoch: u64,
    /// Where the next line begins.
    offset: u64,
    /// Bytes behind `offset` that have no newline yet.
    partial: Vec<u8>,
    /// Whether its path leads to another file by now: it is read to its end and closed.
    replaced: bool,
}

impl FileReader {
    pub(super) fn new(
        options: FileSource,
        parts: &super::Parts,
        lines: mpsc::Sender<SourceLines>,
        positions: Arc<BTreeMap<Arc<str>, Position>>,
        beginnings: Beginnings,
    ) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self {
            include: globs(&options.include),
            exclude: globs(&options.exclude),
            options,
            roots: parts.roots.clone(),
            host: Arc::clone(&parts.host),
            clock: Arc::clone(&parts.clock),
            status: Arc::clone(&parts.status),
            lines,
            positions,
            beginnings,
            files: BTreeMap::new(),
            last_timestamp_ns: 0,
            looked: false,
        }
    }

    /// Reads until cancelled. Looks once a second: nothing is read that has not grown.
    pub(super) fn run(mut self, cancel: &CancellationToken) {
        let mut discovered: Option<Instant> = None;
        while !cancel.is_cancelled() {
            if discovered.is_none_or(|at| at.elapsed() >= DISCOVER_INTERVAL) {
                self.discover();
                discovered = Some(Instant::now());
            }
            let more = self.read_all();
            if !more {
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }

    /// Opens files that are new and notes those whose path leads elsewhere.
    fn discover(&mut self) {
        let mut paths: Vec<PathBuf> = self.include.iter().flat_map(Glob::expand).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| !self.exclude.iter().any(|glob| glob.matches(&path.to_string_lossy())));
        if paths.len() > FILES_MAX {
            let reason = format!("{} files match, {FILES_MAX} are read", paths.len());
            self.status.set(AREA, "file limit", reason);
            paths.truncate(FILES_MAX);
        }
        if !self.looked {
            self.find_renamed();
        }
        let mut seen = Vec::with_capacity(paths.len());
        for path in paths {
            match self.look_at(&path) {
                Ok(inode) => {
                    seen.extend(inode);
                    self.status.clear(AREA, &path.display().to_string());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.status.set(AREA, &path.display().to_string(), error.to_string());
                }
            }
        }
        for file in self.files.values_mut() {
            file.replaced = !seen.contains(&file.inode);
        }
        self.looked = true;
    }

    /// Opens what was renamed while we were away: its last lines may stand under a name that no pattern matches.
    fn find_renamed(&mut self) {
        if self.options.ignore_checkpoints {
            return;
        }
        let prefix = format!("{}/file/", self.host);
        let positions = Arc::clone(&self.positions);
        for (key, position) in positions.iter() {
            let Some(path) = key.strip_prefix(&prefix).map(|shown| self.roots.host_path(shown)) else {
                continue;
            };
            let text = path.to_string_lossy();
            let named = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&text));
            if !named(&self.include) || named(&self.exclude) || Incarnation::of(&path, *position).is_some() {
                continue;
            }
            let Some(dir) = path.parent() else { continue };
            let names = names_in(dir).unwrap_or_default();
            let found = names.iter().take(SIBLINGS_MAX);
            let found = found.filter_map(|name| Incarnation::of(&dir.join(name), *position));
            for found in found.filter(|found| position.place.offset <= found.length).take(1) {
                let source = Arc::new(self.source(Arc::clone(key), &path, position.generation));
                let opened = OpenFile {
                    file: found.file,
                    inode: found.inode,
                    source,
                    fingerprint: found.fingerprint,
                    epoch: found.epoch,
                    offset: position.place.offset,
                    partial: Vec::new(),
                    replaced: true,
                };
                self.files.insert(opened.inode, opened);
            }
        }
    }

    /// Opens the file at `path` if it is not open; returns its identity.
    fn look_at(&mut self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() || path.extension().is_some_and(|extension| extension == "gz") {
            return Ok(None);
        }
        let inode = (metadata.dev(), metadata.ino());
        if self.files.contains_key(&inode) {
            return Ok(Some(inode));
        }
        let age = metadata.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
        if self.options.ignore_older.is_some_and(|limit| age > limit) {
            return Ok(None);
        }
        let mut file = open(path)?;
        let Some(fingerprint) = fingerprint(&mut file, inode)? else { return Ok(Some(inode)) };
        let key: Arc<str> = format!("{}/file/{}", self.host, self.shown(path)).into();
        let known = self.positions.get(&key).filter(|_| !self.options.ignore_checkpoints);
        let matching = known
            .and_then(|position| Some((epoch_of(fingerprint, position.generation)?, position.place.offset)));
        // A file that took the place of another leaves the position to that one's last lines.
        let is_first_contact = known.is_none() && !self.files.values().any(|file| file.source.key == key);
        let (epoch, offset) = match matching {
            // Shorter than what was read: it was truncated while we were away.
            Some((epoch, offset)) if offset > metadata.len() => (epoch + 1, 0),
            Some(known) => known,
            // The successor of a file that was followed is no first contact.
            None if known.is_some() => (0, 0),
            None => (0, self.first_offset(&mut file, metadata.len(), age)?),
        };
        let source = Arc::new(self.source(key, path, generation(fingerprint, epoch)));
        if is_first_contact {
            let position = Position { generation: source.generation, place: Place { offset, ordinal: 0 } };
            self.beginnings.save(vec![(Arc::clone(&source.key), position)]);
        }
        let opened = OpenFile {
            file,
            inode,
            source,
            fingerprint,
            epoch,
            offset,
            partial: Vec::new(),
            replaced: false,
        };
        self.files.insert(inode, opened);
        Ok(Some(inode))
    }

    /// Where a file begins that is not known.
    fn first_offset(&self, file: &mut std::fs::File, length: u64, age: Duration) -> io::Result<u64> {
        match self.options.read_from {
            ReadFrom::Beginning => Ok(0),
            _ if self.looked => Ok(0),
            ReadFrom::Recent if age <= RECENT => last_lines(file, length),
            ReadFrom::End | ReadFrom::Recent => Ok(length),
        }
    }

    /// The path as the machine knows it.
    fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.roots.rootfs) {
            Ok(rest) => format!("/{}", rest.display()),
            Err(_) => path.display().to_string(),
        }
    }

    fn source(&self, key: Arc<str>, path: &Path, generation: u64) -> Source {
        let text = |text: &str| Field::Text(text.to_owned());
        let fields = BTreeMap::from([
            (self.options.file_key.clone(), text(&self.shown(path))),
            ("host".to_owned(), text(&self.host)),
            ("source_type".to_owned(), text("file")),
        ]);
        let service = path.file_stem().unwrap_or_default().to_string_lossy();
        let identity = vec![
            ("host".to_owned(), self.host.to_string()),
            ("service_name".to_owned(), service.into_owned()),
        ];
        Source { key, generation, fields, identity }
    }

    /// Reads a turn of each file; whether any of them has more.
    fn read_all(&mut self) -> bool {
        // A file that was replaced is finished before its successor, which has the same path.
        let mut order: Vec<(u64, u64)> = self.files.keys().copied().collect();
        order.sort_unstable_by_key(|inode| (!self.files[inode].replaced, *inode));
        let mut more = false;
        for inode in order {
            let Some(mut file) = self.files.remove(&inode) else { continue };
            let name = file.source.key.to_string();
            let outcome = loop {
                match self.read_turn(&mut file) {
                    Ok(true) if file.replaced => {}
                    other => break other,
                }
            };
            match outcome {
                Ok(true) => {
                    more = true;
                    self.files.insert(inode, file);
                }
                Ok(false) if file.replaced => {}
                Ok(false) => {
                    self.files.insert(inode, file);
                }
                Err(error) => {
                    self.status.set(AREA, &name, error.to_string());
                }
            }
        }
        more
    }

    fn read_turn(&mut self, file: &mut OpenFile) -> io::Result<bool> {
        let length = file.file.metadata()?.len();
        let read_to = file.offset + file.partial.len() as u64;
        if length < read_to {
            self.restart(file)?;
            return Ok(true);
        }
        if length == read_to {
            if file.replaced && !file.partial.is_empty() {
                // Nobody will end this line any more.
                file.partial.push(b'\n');
                let mut lines = Vec::new();
                self.split(file, &mut lines);
                self.hand_over(file, lines);
            }
            return Ok(false);
        }
        file.file.seek(SeekFrom::Start(read_to))?;
        let mut chunk = Vec::new();
        Read::by_ref(&mut file.file).take(TURN_BYTES as u64).read_to_end(&mut chunk)?;
        file.partial.extend_from_slice(&chunk);
        let mut lines = Vec::new();
        self.split(file, &mut lines);
        self.hand_over(file, lines);
        Ok(file.replaced || read_to + (chunk.len() as u64) < length)
    }

    /// The file was truncated: it begins anew, as another generation.
    fn restart(&self, file: &mut OpenFile) -> io::Result<()> {
        let fingerprint = fingerprint(&mut file.file, file.inode)?;
        // Emptied, without a whole line yet: the next look opens it anew.
        let same = fingerprint.is_none_or(|new| new == file.fingerprint);
        file.epoch = if same { (file.epoch + 1) % EPOCHS_MAX } else { 0 };
        file.fingerprint = fingerprint.unwrap_or(file.fingerprint);
        file.offset = 0;
        file.partial.clear();
        let mut source = Source::clone(&file.source);
        source.generation = generation(file.fingerprint, file.epoch);
        file.source = Arc::new(source);
        Ok(())
    }

    /// Cuts whole lines off the front of what was read.
    fn split(&mut self, file: &mut OpenFile, lines: &mut Vec<Line>) {
        let now_ns = self.clock.now_ns();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &file.partial) {
            let bytes = &file.partial[start..=end];
            let place = Place { offset: file.offset + end as u64 + 1, ordinal: 0 };
            start = end + 1;
            if bytes.len() > self.options.line_bytes_max {
                self.status.set(
                    AREA,
                    &file.source.key,
                    "a line longer than max_line_bytes was dropped".to_owned(),
                );
                continue;
            }
            // The time of reading, each line its own: equal lines stay two.
            self.last_timestamp_ns = now_ns.max(self.last_timestamp_ns + 1);
            lines.push(Line { timestamp_ns: self.last_timestamp_ns, text: line_text(bytes), place });
        }
        file.partial.drain(..start);
        file.offset += start as u64;
        if file.partial.len() > self.options.line_bytes_max.max(FINGERPRINT_BYTES) * 2 {
            // A line without an end is passed over, as its bytes would fill the memory.
            file.offset += file.partial.len() as u64;
            file.partial.clear();
        }
    }

    fn hand_over(&self, file: &OpenFile, lines: Vec<Line>) {
        const HANDOVER_LINES: usize = 1_000;
        let mut lines = lines.into_iter();
        loop {
            let part: Vec<Line> = lines.by_ref().take(HANDOVER_LINES).collect();
            if part.is_empty() {
                return;
            }
            // A closed channel means that the agent stops: what was not taken is read again.
            if self
                .lines
                .blocking_send(SourceLines { source: Arc::clone(&file.source), lines: part })
                .is_err()
            {
                return;
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "foreign files are read where they are; no store is behind them"
)]
fn open(path: &Path) -> io::Result<std::fs::File> {
    std::fs::File::open(path)
}

fn generation(fingerprint: u64, epoch: u64) -> u64 {
    if epoch == 0 { fingerprint } else { stable_hash(&[&fingerprint.to_le_bytes(), &epoch.to_le_bytes()]) }
}

/// The file that a position is of, wherever it lies now.
#[derive(Debug)]
struct Incarnation {
    file: std::fs::File,
    inode: (u64, u64),
    length: u64,
    fingerprint: u64,
    epoch: u64,
}

impl Incarnation {
    /// The file at `path` if the position is of it.
    fn of(path: &Path, position: Position) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let inode = (metadata.dev(), metadata.ino());
        let mut file = open(path).ok()?;
        let fingerprint = fingerprint(&mut file, inode).ok()??;
        let epoch = epoch_of(fingerprint, position.generation)?;
        Some(Self { file, inode, length: metadata.len(), fingerprint, epoch })
    }
}

/// How often a file of this beginning had been truncated when it was of this generation.
fn epoch_of(fingerprint: u64, known: u64) -> Option<u64> {
    (0..EPOCHS_MAX).find(|epoch| generation(fingerprint, *epoch) == known)
}

/// What tells a file from another: its inode and its first line; `None` as long as it has no whole line and little else.
fn fingerprint(file: &mut std::fs::File, inode: (u64, u64)) -> io::Result<Option<u64>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(FINGERPRINT_BYTES as u64).read_to_end(&mut head)?;
    let line = match memchr::memchr(b'\n', &head) {
        Some(end) => &head[..=end],
        None if head.len() == FINGERPRINT_BYTES => &head[..],
        None => return Ok(None),
    };
    Ok(Some(stable_hash(&[&inode.0.to_le_bytes(), &inode.1.to_le_bytes(), line])))
}

/// Where the last lines of a file begin.
fn last_lines(file: &mut std::fs::File, length: u64) -> io::Result<u64> {
    let start = length.saturating_sub(RECENT_BYTES);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    Read::by_ref(file).take(RECENT_BYTES).read_to_end(&mut tail)?;
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', &tail).collect();
    let first = match ends.len().checked_sub(RECENT_LINES + 1) {
        Some(before) => ends[before] + 1,
        None if start == 0 => 0,
        None => ends.first().map_or(tail.len(), |end| end + 1),
    };
    Ok(start + first as u64)
}

#[cfg(test)]
mod tests;
