//! Container logs over the Docker API: one follower per container, from where the last one stopped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions as DockerLogsOptions;
use futures::{FutureExt, StreamExt};
use sys::Clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::beginnings::Beginnings;
use super::frames::{LineJoiner, Stream, TimedLine};
use super::line::{ClockedPlaces, Field, Line, Place, Position, Source, SourceLines, stable_hash};
use super::options::DockerSource;
use crate::containers::{ContainerInfo, DockerError, DockerLink, Inventory, identity_labels};
use crate::status::StatusBoard;

/// At the first contact a container's log is read back so far.
const FIRST_CONTACT: Duration = Duration::from_secs(3_600);
const FIRST_CONTACT_LINES: &str = "1000";
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Lines that are handed over at once.
const HANDOVER_LINES: usize = 1_000;
const HANDOVER_BYTES: usize = 256 << 10;
const FOLLOWERS_MAX: usize = 500;
const AREA: &str = "container logs";

/// What all followers share.
#[derive(Clone, Debug)]
pub(super) struct DockerReader {
    pub(super) options: Arc<DockerSource>,
    pub(super) host: Arc<str>,
    pub(super) link: DockerLink,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<StatusBoard>,
    pub(super) lines: mpsc::Sender<SourceLines>,
    /// Where the sources stood when the agent began.
    pub(super) positions: Arc<BTreeMap<Arc<str>, Position>>,
    pub(super) beginnings: Beginnings,
    /// Containers that were made after this time are read from their beginning.
    pub(super) started_ns: i64,
}

/// How far one container has been read, kept over its restarts.
#[derive(Debug, Default)]
struct Progress {
    /// By stream; what was known at the start of the agent.
    places: [Option<Place>; 3],
    /// The run (its start time) and state that was read to its end.
    read_to_end: Option<(Option<i64>, String)>,
    /// The container's name, where its log driver cannot be read: nothing will come of it as long as it exists.
    unreadable: Option<String>,
}

/// The containers that are followed, and how far the others were read.
#[derive(Debug, Default)]
struct Followers {
    tasks: JoinSet<(String, Progress)>,
    followed: HashMap<String, watch::Sender<Arc<ContainerInfo>>>,
    resting: HashMap<String, Progress>,
}

impl Followers {
    /// Tells the followers what became of their containers, and begins to follow those that have something to read.
    fn match_to(&mut self, reader: &DockerReader, present: &Inventory, cancel: &CancellationToken) {
        self.resting.retain(|id, progress| {
            let exists = present.containers.contains_key(id);
            if !exists && let Some(name) = &progress.unreadable {
                reader.status.clear(AREA, name);
            }
            exists
        });
        for container in present.containers.values() {
            if let Some(sender) = self.followed.get(&container.id) {
                sender.send_replace(Arc::clone(container));
                continue;
            }
            let done = self.resting.get(&container.id).is_some_and(|progress| progress.is_done(container));
            if done || self.tasks.len() >= FOLLOWERS_MAX || !reader.wants(container) {
                continue;
            }
            let progress = self.resting.remove(&container.id).unwrap_or_else(|| reader.known(container));
            let (sender, receiver) = watch::channel(Arc::clone(container));
            self.followed.insert(container.id.clone(), sender);
            self.tasks.spawn(reader.clone().follow(receiver, progress, cancel.clone()));
        }
    }
}

impl DockerReader {
    /// Follows the containers that there are until cancelled.
    pub(super) async fn run(self, mut inventory: watch::Receiver<Arc<Inventory>>, cancel: CancellationToken) {
        let mut followers = Followers::default();
        loop {
            let present = inventory.borrow_and_update().clone();
            if present.connected {
                followers.match_to(&self, &present, &cancel);
            }
            tokio::select! {
                changed = inventory.changed() => if changed.is_err() { return },
                Some(ended) = followers.tasks.join_next(), if !followers.tasks.is_empty() => {
                    if let Ok((id, progress)) = ended {
                        followers.followed.remove(&id);
                        followers.resting.insert(id, progress);
                    }
                }
                () = cancel.cancelled() => break,
            }
        }
        while followers.tasks.join_next().await.is_some() {}
    }

    /// Whether the configuration chooses this container.
    fn wants(&self, container: &ContainerInfo) -> bool {
        let options = &self.options;
        let named = |prefixes: &[String]| {
            prefixes
                .iter()
                .any(|p| container.name.starts_with(p.as_str()) || container.id.starts_with(p.as_str()))
        };
        let has_label = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => container.labels.get(key).is_some_and(|known| known == value),
            None => container.labels.contains_key(wanted),
        };
        let image = |wanted: &String| {
            container.image == *wanted || container.image.split([':', '@']).next() == Some(wanted.as_str())
        };
        !named(&options.exclude_containers)
            && (options.include_containers.is_empty() || named(&options.include_containers))
            && options.include_labels.iter().all(has_label)
            && (options.include_images.is_empty() || options.include_images.iter().any(image))
    }

    fn source_key(&self, container: &ContainerInfo, stream: Stream) -> String {
        format!("{}/docker/{}/{}", self.host, container.id, stream.as_str())
    }

    fn known(&self, container: &ContainerInfo) -> Progress {
        let mut progress = Progress::default();
        for (slot, stream) in
            progress.places.iter_mut().zip([Stream::Stdout, Stream::Stderr, Stream::Console])
        {
            let position = self.positions.get(self.source_key(container, stream).as_str());
            *slot = position.filter(|p| p.generation == generation(container)).map(|position| position.place);
        }
        progress
    }

    /// Reads one container until it is gone or its last run is read to its end.
    async fn follow(
        self,
        container: watch::Receiver<Arc<ContainerInfo>>,
        mut progress: Progress,
        cancel: CancellationToken,
    ) -> (String, Progress) {
        let id = container.borrow().id.clone();
        let mut gone = false;
        loop {
            let info = container.borrow().clone();
            let outcome = tokio::select! {
                outcome = self.read_once(&info, &mut progress) => outcome,
                () = cancel.cancelled() => return (id, progress),
            };
            match outcome {
                Ok(()) => {
                    self.status.clear(AREA, &info.name);
                    let now = container.borrow().clone();
                    // The stream of a container that does not run ends when all is read.
                    if !now.is_running() && now.started_ns == info.started_ns {
                        progress.read_to_end = Some((now.started_ns, now.state.clone()));
                        return (id, progress);
                    }
                }
                Err(error) if error.is_unsupported() => {
                    self.status.set(AREA, &info.name, error.to_string());
                    progress.unreadable = Some(info.name.clone());
                    return (id, progress);
                }
                // It is being removed. Where it is not, who follows it anew comes no sooner than the pause.
                Err(error) if error.is_not_found() => {
                    self.status.clear(AREA, &info.name);
                    gone = true;
                }
                Err(error) => {
                    self.status.set(AREA, &info.name, error.to_string());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_AFTER) => {}
                () = cancel.cancelled() => return (id, progress),
            }
            if gone {
                return (id, progress);
            }
        }
    }

    /// Keeps that all that comes after a time is still to be delivered.
    fn begin(&self, container: &ContainerInfo, time_ns: i64) {
        let place = Place { offset: u64::try_from(time_ns).unwrap_or(0), ordinal: 0 };
        let position = Position { generation: generation(container), place };
        let key = |stream| (self.source_key(container, stream).into(), position);
        self.beginnings.save([Stream::Stdout, Stream::Stderr, Stream::Console].map(key).into());
    }

    fn log_options(&self, container: &ContainerInfo, progress: &Progress) -> DockerLogsOptions {
        let mut options = DockerLogsOptions {
            follow: container.is_running(),
            stdout: true,
            stderr: true,
            timestamps: true,
            ..DockerLogsOptions::default()
        };
        match progress.newest() {
            // Streams of one container are read in the order of its log; a second covers what came between them.
            Some(place) => options.since = seconds(place.offset as i64) - 1,
            None if container.created_ns >= self.started_ns => {}
            None => {
                options.since = seconds(self.clock.now_ns() - FIRST_CONTACT.as_nanos() as i64);
                FIRST_CONTACT_LINES.clone_into(&mut options.tail);
            }
        }
        options
    }

    async fn read_once(&self, container: &ContainerInfo, progress: &mut Progress) -> Result<(), DockerError> {
        let client = self.link.client().await?;
        let mut first_contact = progress.newest().is_none();
        if first_contact {
            let whole = container.created_ns >= self.started_ns;
            self.begin(container, if whole { container.created_ns } else { self.clock.now_ns() });
        }
        let options = self.log_options(container, progress);
        let mut messages = std::pin::pin!(client.logs(&container.id, Some(options)));
        let mut run = Run::new(self, container, progress);
        loop {
            let Some(message) = messages.next().await else { break };
            run.take(message?);
            // What is there already goes along; nothing waits for more.
            while !run.is_full() {
                match messages.next().now_or_never() {
                    Some(Some(message)) => run.take(message?),
                    Some(None) | None => break,
                }
            }
            if first_contact && let Some(first_ns) = run.first_pending_ns() {
                self.begin(container, first_ns - 1);
                first_contact = false;
            }
            run.hand_over(&self.lines).await;
        }
        run.flush();
        run.hand_over(&self.lines).await;
        Ok(())
    }
}

impl Progress {
    fn newest(&self) -> Option<Place> {
        self.places.iter().flatten().max().copied()
    }

    fn is_done(&self, container: &ContainerInfo) -> bool {
        let ended = self.read_to_end.as_ref().is_some_and(|(started, state)| {
            *started == container.started_ns && *state == container.state && !container.is_running()
        });
        ended || self.unreadable.is_some()
    }
}

/// Reading one stream of messages.
struct Run<'a> {
    progress: &'a mut Progress,
    now_ns: i64,
    clock: &'a Arc<dyn Clock>,
    streams: [RunStream; 3],
    pending_lines: usize,
    pending_bytes: usize,
}

struct RunStream {
    source: Arc<Source>,
    joiner: LineJoiner,
    places: ClockedPlaces,
    /// Lines up to here were read before and come again, as the API knows whole seconds only.
    skip_to: Option<Place>,
    pending: Vec<Line>,
}

impl<'a> Run<'a> {
    fn new(reader: &'a DockerReader, container: &ContainerInfo, progress: &'a mut Progress) -> Self {
        let known = progress.places;
        let stream = |idx: usize, stream: Stream| RunStream {
            source: Arc::new(source(reader, container, stream)),
            joiner: LineJoiner::default(),
            places: ClockedPlaces::default(),
            skip_to: known[idx],
            pending: Vec::new(),
        };
        let streams = [stream(0, Stream::Stdout), stream(1, Stream::Stderr), stream(2, Stream::Console)];
        let now_ns = reader.clock.now_ns();
        Self { progress, now_ns, clock: &reader.clock, streams, pending_lines: 0, pending_bytes: 0 }
    }

    fn take(&mut self, message: LogOutput) {
        let (idx, bytes) = match message {
            LogOutput::StdOut { message } => (0, message),
            LogOutput::StdErr { message } => (1, message),
            LogOutput::Console { message } => (2, message),
            LogOutput::StdIn { .. } => return,
        };
        let mut lines = Vec::new();
        self.streams[idx].joiner.take(&bytes, self.now_ns, &mut lines);
        self.keep(idx, lines);
    }

    fn flush(&mut self) {
        for idx in 0..self.streams.len() {
            let mut lines = Vec::new();
            self.streams[idx].joiner.flush(&mut lines);
            self.keep(idx, lines);
        }
    }

    fn keep(&mut self, idx: usize, lines: Vec<TimedLine>) {
        let stream = &mut self.streams[idx];
        for line in lines {
            let place = stream.places.next(line.time_ns);
            if stream.skip_to.is_some_and(|known| place <= known) {
                continue;
            }
            self.pending_lines += 1;
            self.pending_bytes += line.text.len();
            // Equal times are told apart by a nanosecond each, so that equal lines stay two.
            let timestamp_ns = line.time_ns.saturating_add(i64::from(place.ordinal) - 1);
            stream.pending.push(Line { timestamp_ns, text: line.text, place });
        }
    }

    /// The time of the oldest line that is pending.
    fn first_pending_ns(&self) -> Option<i64> {
        self.streams.iter().filter_map(|stream| stream.pending.first()).map(|line| line.timestamp_ns).min()
    }

    fn is_full(&self) -> bool {
        self.pending_lines >= HANDOVER_LINES || self.pending_bytes >= HANDOVER_BYTES
    }

    /// Hands over what is pending; waits where delivery is behind. Only what was handed over counts as read.
    async fn hand_over(&mut self, lines: &mpsc::Sender<SourceLines>) {
        self.now_ns = self.clock.now_ns();
        (self.pending_lines, self.pending_bytes) = (0, 0);
        for (idx, stream) in self.streams.iter_mut().enumerate() {
            let pending = std::mem::take(&mut stream.pending);
            let Some(last) = pending.last().map(|line| line.place) else { continue };
            let handed = SourceLines { source: Arc::clone(&stream.source), lines: pending };
            if lines.send(handed).await.is_ok() {
                self.progress.places[idx] = Some(last);
            }
        }
    }
}

/// A container's incarnation.
fn generation(container: &ContainerInfo) -> u64 {
    stable_hash(&[container.id.as_bytes()])
}

fn source(reader: &DockerReader, container: &ContainerInfo, stream: Stream) -> Source {
    let text = |text: &str| Field::Text(text.to_owned());
    let fields = BTreeMap::from([
        ("container_created_at".to_owned(), text(&container.created_at)),
        ("container_id".to_owned(), text(&container.id)),
        ("container_name".to_owned(), text(&container.name)),
        ("host".to_owned(), text(&reader.host)),
        ("image".to_owned(), text(&container.image)),
        ("label".to_owned(), Field::Map(container.labels.clone())),
        ("source_type".to_owned(), text("docker")),
        ("stream".to_owned(), text(stream.as_str())),
    ]);
    let identity = identity_labels(&reader.host, container);
    Source {
        key: reader.source_key(container, stream).into(),
        generation: generation(container),
        fields,
        identity: identity.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

fn seconds(ns: i64) -> i32 {
    i32::try_from(ns.div_euclid(1_000_000_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
