//! Starts the sources: each reads in a task of its own and hands its lines to delivery.

use std::sync::Arc;
use std::time::Duration;

use service::Lifecycle;
use tokio::sync::mpsc;

use super::beginnings::Beginnings;
use super::docker_source::DockerReader;
use super::file_source::FileReader;
use super::journal::JournalReader;
use super::line::SourceLines;
use super::options::{DockerSource, FileSource, JournalSource, LogOptions, ReadFrom, SourceKind};
use super::{Parts, Positions};

/// How long Docker may take to answer before the machine's own logs stand in for its containers'.
const DOCKER_WAIT: Duration = Duration::from_secs(8);

/// What every source needs.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) parts: Parts,
    pub(super) lines: mpsc::Sender<SourceLines>,
    pub(super) positions: Positions,
    pub(super) beginnings: Beginnings,
    pub(super) lifecycle: Lifecycle,
}

impl Sources {
    /// Starts all that the options name.
    pub(super) fn start(&self, options: &LogOptions) {
        for source in &options.sources {
            match &source.kind {
                SourceKind::Docker(options) => self.docker(options.clone()),
                SourceKind::File(options) => self.files(options.clone()),
                SourceKind::Journal(options) => self.journal(options.clone()),
                SourceKind::Machine => self.machine(),
            }
        }
    }

    fn docker(&self, options: DockerSource) {
        let reader = DockerReader {
            options: Arc::new(options),
            host: Arc::clone(&self.parts.host),
            link: self.parts.link.clone(),
            clock: Arc::clone(&self.parts.clock),
            status: Arc::clone(&self.parts.status),
            lines: self.lines.clone(),
            positions: Arc::clone(&self.positions),
            beginnings: self.beginnings.clone(),
            started_ns: self.parts.clock.now_ns(),
        };
        let run = reader.run(self.parts.inventory.clone(), self.lifecycle.stopping().clone());
        self.lifecycle.spawn("container logs", run);
    }

    fn files(&self, options: FileSource) {
        let positions = Arc::clone(&self.positions);
        let reader =
            FileReader::new(options, &self.parts, self.lines.clone(), positions, self.beginnings.clone());
        let stopping = self.lifecycle.stopping().clone();
        self.lifecycle.spawn_essential("log files", async move {
            tokio::task::spawn_blocking(move || reader.run(&stopping)).await?;
            Ok(())
        });
    }

    fn journal(&self, options: JournalSource) {
        let reader = JournalReader {
            options,
            host: Arc::clone(&self.parts.host),
            clock: Arc::clone(&self.parts.clock),
            status: Arc::clone(&self.parts.status),
            lines: self.lines.clone(),
            positions: Arc::clone(&self.positions),
            beginnings: self.beginnings.clone(),
        };
        self.lifecycle.spawn("journal", reader.run(self.lifecycle.stopping().clone()));
    }

    /// The containers' logs where Docker answers. Where it does not - it is not there, not running, or its socket is not for us -
    /// the machine's own logs, and the containers' too should it answer later.
    fn machine(&self) {
        self.docker(DockerSource::default());
        let this = self.clone();
        let mut inventory = self.parts.inventory.clone();
        let wait = if self.parts.link.is_present() { DOCKER_WAIT } else { Duration::ZERO };
        self.lifecycle.spawn("choice of logs", async move {
            let answered = tokio::time::timeout(wait, inventory.wait_for(|inventory| inventory.connected));
            let answered = tokio::select! {
                answered = answered => matches!(answered, Ok(Ok(_))),
                () = this.lifecycle.stopping().cancelled() => true,
            };
            if !answered {
                this.machine_logs();
            }
        });
    }

    fn machine_logs(&self) {
        let roots = &self.parts.roots;
        let has_journal = ["var/log/journal", "run/log/journal"]
            .iter()
            .any(|path| roots.host_path(path).join(".").exists());
        self.files(self.machine_files(has_journal));
        if has_journal && !roots.is_container() {
            self.journal(JournalSource::default());
        }
    }

    /// The usual files under /var/log; those that the journal has too only where there is none.
    fn machine_files(&self, has_journal: bool) -> FileSource {
        let mut include = vec!["var/log/*.log", "var/log/*/*.log"];
        if !has_journal {
            include.extend(["var/log/syslog", "var/log/messages"]);
        }
        let include = include.into_iter().map(|path| self.parts.roots.host_path(path).display().to_string());
        FileSource { include: include.collect(), read_from: ReadFrom::Recent, ..FileSource::default() }
    }
}
