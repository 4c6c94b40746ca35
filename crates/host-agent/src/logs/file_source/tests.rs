//! Files that grow, are renamed, truncated, and read again after a restart.

use std::io::Write as _;

use tokio::sync::watch;

use super::*;
use crate::containers::{DockerLink, Inventory};
use crate::logs::delivery::Action;

struct Bench {
    dir: tempfile::TempDir,
    sender: mpsc::Sender<SourceLines>,
    lines: mpsc::Receiver<SourceLines>,
    positions: BTreeMap<Arc<str>, Position>,
    disk: mpsc::UnboundedSender<Action>,
    saved: mpsc::UnboundedReceiver<Action>,
}

impl Bench {
    fn new() -> Self {
        let (sender, lines) = mpsc::channel(1_000);
        let (disk, saved) = mpsc::unbounded_channel();
        Self { dir: tempfile::tempdir().unwrap(), sender, lines, positions: BTreeMap::new(), disk, saved }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn reader(&self, read_from: ReadFrom) -> FileReader {
        let include = vec![format!("{}/*.log", self.dir.path().display())];
        let options = FileSource { include, read_from, ..FileSource::default() };
        let parts = crate::logs::Parts {
            host: "h".into(),
            clock: Arc::new(sys::ManualClock::at_ms(1_000)),
            status: Arc::default(),
            link: DockerLink::new(None),
            inventory: watch::channel(Arc::new(Inventory::default())).1,
            roots: Roots { rootfs: "/".into(), procfs: "/proc".into(), sysfs: "/sys".into() },
            data_dir: PathBuf::new(),
        };
        let positions = Arc::new(self.positions.clone());
        FileReader::new(options, &parts, self.sender.clone(), positions, Beginnings::new(&self.disk))
    }

    /// Looks and reads once; the lines, and positions as if all were acknowledged.
    fn turn(&mut self, reader: &mut FileReader) -> Vec<String> {
        reader.discover();
        while reader.read_all() {}
        let mut texts = Vec::new();
        while let Ok(handed) = self.lines.try_recv() {
            for line in &handed.lines {
                let position = Position { generation: handed.source.generation, place: line.place };
                self.positions.insert(Arc::clone(&handed.source.key), position);
            }
            texts.extend(handed.lines.into_iter().map(|line| line.text));
        }
        texts
    }
}

#[test]
fn lines_are_read_as_files_grow() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\ntw");
    let mut reader = bench.reader(ReadFrom::Beginning);
    assert_eq!(bench.turn(&mut reader), ["one"]);
    bench.append("a.log", "o\r\nthree\n");
    assert_eq!(bench.turn(&mut reader), ["two", "three"]);
    assert_eq!(bench.turn(&mut reader), Vec::<String>::new());
    // After a restart reading goes on where it stopped.
    bench.append("a.log", "four\n");
    let mut reader = bench.reader(ReadFrom::Beginning);
    assert_eq!(bench.turn(&mut reader), ["four"]);
}

#[test]
fn renamed_files_are_finished_before_their_successors() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\n");
    let mut reader = bench.reader(ReadFrom::Beginning);
    assert_eq!(bench.turn(&mut reader), ["one"]);
    bench.append("a.log", "two\nlast");
    std::fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "new\n");
    assert_eq!(bench.turn(&mut reader), ["two", "last", "new"]);
    assert_eq!(reader.files.len(), 1);
}

#[test]
fn files_renamed_while_nobody_looked_are_finished() {
    for successor in ["new\n", "", "absent"] {
        let mut bench = Bench::new();
        bench.append("a.log", "one\n");
        bench.append("b.log", "other\n");
        let mut reader = bench.reader(ReadFrom::Recent);
        assert_eq!(bench.turn(&mut reader), ["one", "other"]);
        drop(reader);
        bench.append("a.log", "two\nlast");
        std::fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        if successor != "absent" {
            bench.append("a.log", successor);
        }
        let mut reader = bench.reader(ReadFrom::End);
        let expected: &[&str] = if successor == "new\n" { &["two", "last", "new"] } else { &["two", "last"] };
        assert_eq!(bench.turn(&mut reader), expected, "{successor}");
        assert_eq!(bench.turn(&mut reader), Vec::<String>::new());
        bench.append("a.log", "later\n");
        assert_eq!(bench.turn(&mut reader), ["later"], "{successor}");
    }
}

#[test]
fn truncated_files_begin_anew_as_another_generation() {
    let mut bench = Bench::new();
    bench.append("a.log", "banner\none\ntwo\n");
    let mut reader = bench.reader(ReadFrom::Beginning);
    assert_eq!(bench.turn(&mut reader).len(), 3);
    let before = bench.positions.values().next().copied().unwrap();
    std::fs::write(bench.path("a.log"), "banner\n").unwrap();
    assert_eq!(bench.turn(&mut reader), ["banner"]);
    let after = bench.positions.values().next().copied().unwrap();
    assert_ne!(before.generation, after.generation);
    // The same while nobody looked.
    bench.append("a.log", "x\ny\n");
    assert_eq!(bench.turn(&mut reader).len(), 2);
    drop(reader);
    std::fs::write(bench.path("a.log"), "banner\n").unwrap();
    let mut reader = bench.reader(ReadFrom::Beginning);
    assert_eq!(bench.turn(&mut reader), ["banner"]);
}

#[test]
fn first_contact_reads_the_last_lines() {
    let mut bench = Bench::new();
    let many: String = (0..1_500).map(|n| format!("line {n}\n")).collect();
    bench.append("a.log", &many);
    let mut reader = bench.reader(ReadFrom::Recent);
    let lines = bench.turn(&mut reader);
    assert_eq!((lines.len(), lines[0].as_str()), (1_000, "line 500"));
    // A file that appears later is read whole.
    bench.append("b.log", "new\n");
    assert_eq!(bench.turn(&mut reader), ["new"]);
    let mut reader = Bench::new().reader(ReadFrom::End);
    assert_eq!(bench.turn(&mut reader), Vec::<String>::new());
}

/// Killed before anything was acknowledged, the agent goes on from its first contact.
#[test]
fn where_the_first_contact_began_is_kept() {
    let mut bench = Bench::new();
    let lines = |from: u32, to: u32| (from..to).map(|n| format!("line {n}\n")).collect::<String>();
    bench.append("a.log", &lines(0, 1_500));
    let mut killed = bench.reader(ReadFrom::Recent);
    assert_eq!(bench.turn(&mut killed).len(), 1_000);
    bench.positions.clear();
    while let Ok(Action::Save { positions, .. }) = bench.saved.try_recv() {
        bench.positions.extend(positions);
    }
    bench.append("a.log", &lines(1_500, 3_000));
    let mut restarted = bench.reader(ReadFrom::Recent);
    let read = bench.turn(&mut restarted);
    assert_eq!((read.len(), read[0].as_str(), read[2_499].as_str()), (2_500, "line 500", "line 2999"));
    assert!(bench.saved.try_recv().is_err(), "it begins once");
}

#[test]
fn equal_lines_have_times_of_their_own() {
    let bench = Bench::new();
    bench.append("a.log", "same\nsame\n");
    let mut reader = bench.reader(ReadFrom::Beginning);
    reader.discover();
    reader.read_all();
    let mut lines = bench.lines;
    let handed = lines.try_recv().unwrap();
    assert!(handed.lines[0].timestamp_ns < handed.lines[1].timestamp_ns);
}
