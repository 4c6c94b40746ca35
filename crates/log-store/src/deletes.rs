//! Requests to delete entries: hidden from the moment of the request, removed from segments later.

mod codec;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use go_regex::CompiledMatcher;
use log_storage_api::{LineFilter, StreamInfo};
use model::{Labels, Matcher, TimestampNs};
use parking_lot::Mutex;
use sys::Fs;

use crate::error::{Result, corrupt, io_error};
use crate::filter::LineFilters;

const FILE_NAME: &str = "deletes";
const BYTES_MAX: u64 = 64 << 20;
/// How many requests a tenant may have that are not done.
const PENDING_MAX: usize = 1000;
/// How many requests that are done are remembered.
const DONE_MAX: usize = 1000;

/// What to delete: entries of streams that match, in a range of time, whose lines and metadata pass.
#[derive(Clone, Debug)]
pub struct DeleteSpec {
    /// The request in the words of whoever made it, for lists.
    pub query: String,
    /// On stream labels; all must hold.
    pub matchers: Vec<Matcher>,
    /// On the line; all must hold. None deletes whole streams in the range.
    pub line_filters: Vec<LineFilter>,
    /// On structured metadata; all must hold.
    pub metadata_filters: Vec<Matcher>,
    /// The first nanosecond.
    pub start: TimestampNs,
    /// The nanosecond after the last.
    pub end: TimestampNs,
    /// When entries may be removed for good: until then the request can be taken back.
    pub apply_after: TimestampNs,
    /// Whether `query` says more than the matchers and filters: then an entry that these take is tested by it.
    pub tests_query: bool,
}

/// Makes tests of the queries of delete requests: given by whoever knows their language.
pub trait EntryQueries: Debug + Send + Sync {
    /// The test that a query is.
    ///
    /// # Errors
    /// The reason why it is none.
    fn compile(&self, query: &str) -> std::result::Result<Arc<dyn EntryTest>, String>;
}

/// Tells which entries a query takes.
pub trait EntryTest: Debug + Send + Sync {
    /// Whether an entry of a stream is meant.
    fn takes(
        &self,
        labels: &Labels,
        timestamp: TimestampNs,
        line: &str,
        metadata: &[(String, String)],
    ) -> bool;
}

/// For a store whose delete requests consist of matchers and filters alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEntryQueries;

impl EntryQueries for NoEntryQueries {
    fn compile(&self, _query: &str) -> std::result::Result<Arc<dyn EntryTest>, String> {
        Err("this store knows no query language".to_owned())
    }
}

/// A request as it is kept.
#[derive(Clone, Debug)]
pub struct DeleteRequest {
    /// Identifies it within its tenant.
    pub id: u64,
    /// What to delete.
    pub spec: DeleteSpec,
    /// When it was made, in ns.
    pub created: TimestampNs,
    /// Whether the entries have been removed from all segments.
    pub done: bool,
}

/// A request ready for use.
#[derive(Debug)]
pub(crate) struct Deletion {
    pub(crate) request: DeleteRequest,
    matchers: Vec<CompiledMatcher>,
    pub(crate) filters: LineFilters,
    metadata: Vec<CompiledMatcher>,
    test: Option<Arc<dyn EntryTest>>,
}

/// The requests of a tenant.
#[derive(Debug)]
pub(crate) struct Deletions {
    requests: Mutex<Vec<Arc<Deletion>>>,
    queries: Arc<dyn EntryQueries>,
}

impl Deletion {
    fn new(request: DeleteRequest, queries: &dyn EntryQueries) -> Result<Self> {
        let compile = |matchers: &[Matcher]| -> Result<Vec<CompiledMatcher>> {
            let each = matchers.iter().map(|matcher| CompiledMatcher::new(matcher.clone()));
            each.collect::<std::result::Result<_, _>>().map_err(|error| corrupt("a delete request", error))
        };
        let query = &request.spec.query;
        // One that is done hides nothing any more.
        let is_tested = request.spec.tests_query && !request.done;
        let test = is_tested.then(|| queries.compile(query)).transpose();
        let test = test.map_err(|reason| corrupt("a delete request", format!("{query}: {reason}")))?;
        Ok(Self {
            test,
            matchers: compile(&request.spec.matchers)?,
            metadata: compile(&request.spec.metadata_filters)?,
            filters: LineFilters::new(&request.spec.line_filters),
            request,
        })
    }

    /// Whether entries of a stream between two times, both included, may be meant.
    pub(crate) fn touches(&self, labels: &Labels, min: TimestampNs, max: TimestampNs) -> bool {
        let spec = &self.request.spec;
        max >= spec.start
            && min < spec.end
            && self.matchers.iter().all(|matcher| matcher.matches(labels.value(matcher.name())))
    }

    /// Whether all entries of a matching stream between two times, both included, are meant.
    pub(crate) fn covers(&self, min: TimestampNs, max: TimestampNs) -> bool {
        let spec = &self.request.spec;
        min >= spec.start
            && max < spec.end
            && self.filters.is_empty()
            && self.metadata.is_empty()
            && !spec.tests_query
    }

    /// Whether an entry of a matching stream is meant.
    pub(crate) fn takes(
        &self,
        labels: &Labels,
        timestamp: TimestampNs,
        line: &str,
        metadata: &[(String, String)],
    ) -> bool {
        let value = |name: &str| metadata.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        (self.request.spec.start..self.request.spec.end).contains(&timestamp)
            && self.metadata.iter().all(|matcher| matcher.matches(value(matcher.name())))
            && self.filters.matches(line)
            && self.test.as_ref().is_none_or(|test| test.takes(labels, timestamp, line, metadata))
    }
}

impl Deletions {
    pub(crate) fn new(queries: Arc<dyn EntryQueries>) -> Self {
        Self { requests: Mutex::default(), queries }
    }

    /// Makes a request ready for use.
    pub(crate) fn ready(&self, request: DeleteRequest) -> Result<Arc<Deletion>> {
        Deletion::new(request, &*self.queries).map(Arc::new)
    }

    pub(crate) fn load(&self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let path = dir.join(FILE_NAME);
        let bytes = match fs.read(&path, BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("read", &path, error)),
        };
        // Not set aside: without its requests, entries that somebody had deleted would be back.
        let requests = codec::decode(&bytes).map_err(|error| corrupt(path.display().to_string(), error))?;
        let deletions: Result<Vec<_>> = requests.into_iter().map(|request| self.ready(request)).collect();
        *self.requests.lock() = deletions?;
        Ok(())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Deletion>> {
        self.requests.lock().clone()
    }

    /// The requests that hide entries of any of the streams.
    pub(crate) fn pending(&self, streams: &[Arc<StreamInfo>]) -> Vec<Arc<Deletion>> {
        let touches = |deletion: &&Arc<Deletion>| {
            let any =
                |info: &Arc<StreamInfo>| deletion.touches(&info.labels, TimestampNs::MIN, TimestampNs::MAX);
            !deletion.request.done && streams.iter().any(any)
        };
        self.requests.lock().iter().filter(touches).cloned().collect()
    }

    /// Changes the requests, on disk first.
    pub(crate) fn update<R>(
        &self,
        fs: &dyn Fs,
        dir: &Path,
        change: impl FnOnce(&mut Vec<Arc<Deletion>>) -> Result<R>,
    ) -> Result<R> {
        let mut deletions = self.requests.lock();
        let mut changed = deletions.clone();
        let result = change(&mut changed)?;
        let done = changed.iter().filter(|deletion| deletion.request.done).count();
        let mut forget = done.saturating_sub(DONE_MAX);
        changed.retain(|deletion| {
            let forgotten = deletion.request.done && forget > 0;
            forget -= usize::from(forgotten);
            !forgotten
        });
        let bytes = codec::encode(changed.iter().map(|deletion| &deletion.request));
        let path = dir.join(FILE_NAME);
        fs.create_dir_durable(dir).map_err(|error| io_error("create", dir, error))?;
        fs.write_atomic(&path, &bytes).map_err(|error| io_error("write", &path, error))?;
        *deletions = changed;
        Ok(result)
    }
}

/// Whether there is room for one more request.
pub(crate) fn has_room(deletions: &[Arc<Deletion>]) -> bool {
    deletions.iter().filter(|deletion| !deletion.request.done).count() < PENDING_MAX
}

pub(crate) const PENDING_LIMIT: usize = PENDING_MAX;
