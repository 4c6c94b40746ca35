//! A whole pipeline against a server in this process: outage, restart, no line twice in the store, no own log lines.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;

use futures::Stream;
use telemetry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use wire::delivery::deliver_request::Message as Ask;
use wire::delivery::deliver_response::Message as Answer;
use wire::delivery::delivery_server::{Delivery as DeliveryService, DeliveryServer};
use wire::delivery::{Ack, DeliverRequest, DeliverResponse, SlowDown, Welcome};

use super::*;
use crate::containers::{DockerLink, Inventory};
use crate::files::Roots;
use crate::logs::options::{FileSource, SourceKind, SourceOptions};

/// What a server has stored, in order, by source; a place that comes again is dropped, as the real one does.
#[derive(Debug, Default)]
struct Store {
    lines: Vec<String>,
    reached: BTreeMap<(String, u64), (u64, u32)>,
    received: u64,
    slow_downs: u64,
}

#[derive(Clone, Debug, Default)]
struct FakeServer(Arc<Mutex<Store>>);

type Answers = Pin<Box<dyn Stream<Item = Result<DeliverResponse, Status>> + Send>>;

#[tonic::async_trait]
impl DeliveryService for FakeServer {
    type DeliverStream = Answers;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let mut requests = request.into_inner();
        let (sender, receiver) = mpsc::channel(4);
        let store = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok(Some(DeliverRequest { message: Some(message) })) = requests.message().await {
                let answer = match message {
                    Ask::Hello(hello) => {
                        assert_eq!(hello.agent, "h");
                        Answer::Welcome(Welcome {
                            positions: vec![],
                            batches_in_flight_max: 1,
                            batch_bytes_max: 0,
                        })
                    }
                    Ask::Batch(batch) => store.lock().take(batch),
                };
                if sender.send(Ok(DeliverResponse { message: Some(answer) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Store {
    fn take(&mut self, batch: wire::delivery::Batch) -> Answer {
        let sequence = batch.sequence;
        if self.slow_downs > 0 {
            self.slow_downs -= 1;
            return Answer::SlowDown(SlowDown { sequence, retry_after_ms: 10, reason: "busy".to_owned() });
        }
        let mut stored = 0;
        for source in batch.sources {
            let reached = self.reached.entry((source.source, source.generation)).or_default();
            for line in source.lines {
                self.received += 1;
                if (line.offset, line.ordinal) > *reached {
                    *reached = (line.offset, line.ordinal);
                    self.lines.push(line.text);
                    stored += 1;
                }
            }
        }
        Answer::Ack(Ack { sequence, stored, ..Ack::default() })
    }
}

impl FakeServer {
    async fn serve(&self, listener: TcpListener) {
        let routes = DeliveryServer::new(self.clone());
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(routes).serve_with_incoming(incoming));
    }

    async fn wait_for(&self, count: usize) -> Vec<String> {
        for _ in 0..1_000 {
            if self.0.lock().lines.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.0.lock().lines.clone()
    }
}

async fn start(dir: &Path, endpoint: &str) -> Lifecycle {
    let lifecycle = Lifecycle::new("test", &Registry::new());
    let include = vec![format!("{}/*.log", dir.display())];
    let mut options = LogOptions::defaults(endpoint.to_owned());
    options.sources = vec![SourceOptions {
        name: "files".to_owned(),
        kind: SourceKind::File(FileSource { include, ..FileSource::default() }),
    }];
    if let Some(sink) = &mut options.sink {
        sink.limits.backoff_max = Duration::from_millis(50);
        sink.limits.spill_after = Duration::from_millis(300);
    }
    let pipeline = LogPipeline::open(options, parts(dir, "/"), &lifecycle).await.unwrap().unwrap();
    pipeline.start(&lifecycle);
    lifecycle
}

/// A machine whose Docker has a socket and does not answer.
fn parts(dir: &Path, rootfs: impl Into<PathBuf>) -> Parts {
    let socket = dir.join("docker.sock");
    std::fs::write(&socket, "").unwrap();
    Parts {
        host: "h".into(),
        clock: Arc::new(sys::SystemClock::new()),
        status: Arc::default(),
        link: DockerLink::new(Some(socket.display().to_string())),
        inventory: watch::channel(Arc::new(Inventory::default())).1,
        roots: Roots { rootfs: rootfs.into(), procfs: "/proc".into(), sysfs: "/sys".into() },
        data_dir: dir.join("data"),
    }
}

fn append(dir: &Path, from: usize, to: usize) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("a.log")).unwrap();
    for number in from..to {
        writeln!(file, "line {number}").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_survive_outages_and_restarts_of_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    append(dir.path(), 0, 500);
    // The server is not there: its port is taken and nobody answers.
    let first = start(dir.path(), &endpoint).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let report = first.stop(Duration::from_secs(20)).await;
    assert_eq!(report.failed, []);
    // What was read is on disk now: the file itself may go.
    std::fs::remove_file(dir.path().join("a.log")).unwrap();
    let server = FakeServer::default();
    server.0.lock().slow_downs = 2;
    server.serve(listener).await;
    let second = start(dir.path(), &endpoint).await;
    let lines = server.wait_for(500).await;
    let expected: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, expected);
    append(dir.path(), 500, 700);
    assert_eq!(server.wait_for(700).await.len(), 700);
    second.stop(Duration::from_secs(20)).await;
    // Positions were saved: nothing is sent again.
    let received = server.0.lock().received;
    let third = start(dir.path(), &endpoint).await;
    append(dir.path(), 700, 701);
    assert_eq!(server.wait_for(701).await.last().map(String::as_str), Some("line 700"));
    third.stop(Duration::from_secs(20)).await;
    assert_eq!(server.0.lock().received, received + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_does_not_answer_is_no_reason_to_read_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("var/log");
    std::fs::create_dir_all(&logs).unwrap();
    append(&logs, 0, 3);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = LogOptions::defaults(format!("http://{}", listener.local_addr().unwrap()));
    let server = FakeServer::default();
    server.serve(listener).await;
    let lifecycle = Lifecycle::new("test", &Registry::new());
    let pipeline =
        LogPipeline::open(options, parts(dir.path(), dir.path()), &lifecycle).await.unwrap().unwrap();
    pipeline.start(&lifecycle);
    assert_eq!(server.wait_for(3).await, ["line 0", "line 1", "line 2"]);
    lifecycle.stop(Duration::from_secs(20)).await;
}

/// Counts what would be written at the usual level.
struct EventCounter(Arc<std::sync::atomic::AtomicU64>);

impl tracing::Subscriber for EventCounter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO && metadata.target().starts_with("host_agent")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Our own lines are read as all others are: were one written per batch or per attempt, reading it would make the next.
#[tokio::test]
async fn delivering_and_failing_write_no_line_each_time() {
    let written = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let _guard = tracing::subscriber::set_default(EventCounter(Arc::clone(&written)));
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    append(dir.path(), 0, 10);
    let lifecycle = start(dir.path(), &format!("http://{address}")).await;
    // Attempts are at most 50 ms apart: enough of them fail here.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let server = FakeServer::default();
    server.serve(TcpListener::bind(address).await.unwrap()).await;
    for round in 1..5 {
        append(dir.path(), round * 10, round * 10 + 10);
        server.wait_for(round * 10 + 10).await;
    }
    assert_eq!(server.0.lock().lines.len(), 50);
    lifecycle.stop(Duration::from_secs(20)).await;
    // One when the server was away, one when it was back.
    assert_eq!(written.load(std::sync::atomic::Ordering::SeqCst), 2);
}
