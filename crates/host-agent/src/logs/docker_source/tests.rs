//! The follower of containers against a Docker API of ours.

use std::sync::atomic::{AtomicU32, Ordering};

use bollard::models::ContainerSummary;
use sys::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::logs::delivery::Action;

/// A Docker API all of whose containers have a log driver that cannot be read.
struct Unreadable {
    /// Requests for logs, by the container's first letter.
    asked: [AtomicU32; 2],
    asked_anew: tokio::sync::Notify,
}

impl Unreadable {
    async fn start() -> (Arc<Self>, DockerLink) {
        let api = Arc::new(Self {
            asked: [AtomicU32::new(0), AtomicU32::new(0)],
            asked_anew: tokio::sync::Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::clone(&api);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&server).answer(stream));
            }
        });
        (api, DockerLink::new(Some(format!("tcp://{address}"))))
    }

    async fn answer(self: Arc<Self>, mut stream: TcpStream) {
        let mut head = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let (status, body) = match String::from_utf8_lossy(&head).split_once("/containers/") {
                Some((_, id)) => {
                    self.asked[usize::from(id.starts_with('b'))].fetch_add(1, Ordering::SeqCst);
                    self.asked_anew.notify_one();
                    (501, r#"{"message":"configured logging driver does not support reading"}"#)
                }
                None => (200, r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"20.10"}"#),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            head.clear();
        }
    }

    fn asked(&self) -> [u32; 2] {
        [0, 1].map(|i: usize| self.asked[i].load(Ordering::SeqCst))
    }

    async fn until_asked(&self, wanted: [u32; 2]) {
        while self.asked() != wanted {
            self.asked_anew.notified().await;
        }
    }
}

fn reader(link: DockerLink, disk: &mpsc::UnboundedSender<Action>) -> DockerReader {
    DockerReader {
        options: Arc::default(),
        host: "h".into(),
        link,
        clock: Arc::new(SystemClock::new()),
        status: Arc::new(StatusBoard::default()),
        lines: mpsc::channel(1).0,
        positions: Arc::default(),
        beginnings: Beginnings::new(disk),
        started_ns: 0,
    }
}

fn inventory(ids: &[&str]) -> Arc<Inventory> {
    let container = |id: &&str| {
        let summary = ContainerSummary { id: Some((*id).to_owned()), ..ContainerSummary::default() };
        let info = ContainerInfo::from_summary(&summary).unwrap();
        ((*id).to_owned(), Arc::new(ContainerInfo { state: "running".to_owned(), ..info }))
    };
    let containers = ids.iter().map(container).collect();
    Arc::new(Inventory { containers, connected: true, ..Inventory::default() })
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_asked_for_once() {
    let (api, link) = Unreadable::start().await;
    let status = Arc::new(StatusBoard::default());
    let (lines, _kept) = mpsc::channel(1);
    let (disk, _saved) = mpsc::unbounded_channel();
    let reader = DockerReader { status: Arc::clone(&status), lines, ..reader(link, &disk) };
    let (present, seen) = watch::channel(inventory(&["a"]));
    let cancel = CancellationToken::new();
    let running = tokio::spawn(reader.run(seen, cancel.clone()));

    api.until_asked([1, 0]).await;
    // Were the first one asked for again at once, it would be so while the second one is dealt with.
    present.send_replace(inventory(&["a", "b"]));
    api.until_asked([1, 1]).await;
    let subject = |missing: crate::status::Missing| (missing.what, !missing.grant.is_empty());
    while status.missing().len() < 2 {
        tokio::task::yield_now().await;
    }
    let missing: Vec<_> = status.missing().into_iter().map(subject).collect();
    assert_eq!(missing, [("container logs: a".to_owned(), true), ("container logs: b".to_owned(), true)]);

    // What is no more is no trouble any more.
    present.send_replace(inventory(&["b"]));
    while status.missing().len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(api.asked(), [1, 1]);
    cancel.cancel();
    running.await.unwrap();
}

/// Killed before anything was acknowledged, the agent goes on from its first contact, not from the newest lines of a later one.
#[tokio::test]
async fn where_the_first_contact_began_is_kept() {
    const SECOND: i64 = 1_000_000_000;
    let (api, link) = Unreadable::start().await;
    let (disk, mut saved) = mpsc::unbounded_channel();
    let present = inventory(&["a"]);
    let container = &present.containers["a"];
    for (created_ns, started_ns) in [(50 * SECOND, 40 * SECOND), (30 * SECOND, 40 * SECOND)] {
        let info = ContainerInfo { created_ns, ..ContainerInfo::clone(container) };
        let first = DockerReader { started_ns, ..reader(link.clone(), &disk) };
        let before_ns = first.clock.now_ns();
        let outcome = first.read_once(&info, &mut Progress::default()).await;
        assert!(outcome.is_err_and(|error| error.is_unsupported()));
        let Some(Action::Save { positions, acked_seq: None, disk_empty: false }) = saved.recv().await else {
            panic!("the beginning is saved");
        };
        let begins_ns = positions[0].1.place.offset as i64;
        match created_ns >= started_ns {
            true => assert_eq!(begins_ns, created_ns),
            false => assert!(begins_ns >= before_ns, "history is no duty"),
        }
        let positions = Arc::new(positions.into_iter().collect());
        let second = DockerReader { started_ns: 90 * SECOND, positions, ..reader(link.clone(), &disk) };
        let options = second.log_options(&info, &second.known(&info));
        assert_eq!((i64::from(options.since), options.tail.as_str()), (begins_ns / SECOND - 1, "all"));
    }
    assert_eq!(api.asked(), [2, 0]);
}
