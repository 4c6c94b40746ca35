//! The systemd journal, as `journalctl -o json` tells it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use sys::Clock;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::beginnings::Beginnings;
use super::line::{
    ClockedPlaces, Field, LINE_BYTES_MAX, Line, Place, Position, Source, SourceLines, stable_hash,
};
use super::options::JournalSource;
use crate::files::names_in;
use crate::status::StatusBoard;

const RETRY_AFTER: Duration = Duration::from_secs(10);
/// At the first contact so much is read back.
const FIRST_CONTACT: &str = "-1h";
const FIRST_CONTACT_LINES: &str = "1000";
const UNITS_MAX: usize = 2_000;
const AREA: &str = "journal";
/// Where journald keeps its files, each machine in a directory of its own.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Reads the journal.
#[derive(Debug)]
pub(super) struct JournalReader {
    pub(super) options: JournalSource,
    pub(super) host: Arc<str>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<StatusBoard>,
    pub(super) lines: mpsc::Sender<SourceLines>,
    pub(super) positions: Arc<BTreeMap<Arc<str>, Position>>,
    pub(super) beginnings: Beginnings,
}

/// An entry of the journal, as far as it is used.
#[derive(Debug, PartialEq)]
struct Entry {
    time_us: u64,
    unit: String,
    identifier: String,
    message: String,
}

/// One unit's lines.
#[derive(Debug)]
struct Unit {
    source: Arc<Source>,
    places: ClockedPlaces,
    skip_to: Option<Place>,
}

impl JournalReader {
    /// Reads until cancelled.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let mut units: BTreeMap<String, Unit> = BTreeMap::new();
        let mut read_to_us = self.resume_us();
        loop {
            self.note_hidden().await;
            let outcome = tokio::select! {
                outcome = self.read_once(&mut units, &mut read_to_us) => outcome,
                () = cancel.cancelled() => return,
            };
            let reason = match outcome {
                Ok(()) => "journalctl ended".to_owned(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    "there is no journalctl: the journal cannot be read from here".to_owned()
                }
                Err(error) => error.to_string(),
            };
            self.status.set(AREA, "journalctl", reason);
            tokio::select! {
                () = tokio::time::sleep(RETRY_AFTER) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// Without the right to read the system's journal journalctl shows the user's own lines alone, and says nothing.
    async fn note_hidden(&self) {
        const SUBJECT: &str = "system journal";
        let directories = match &self.options.directory {
            Some(directory) => vec![PathBuf::from(directory)],
            None => JOURNALS.map(PathBuf::from).to_vec(),
        };
        let hidden = tokio::task::spawn_blocking(move || hidden_journal(&directories)).await.ok().flatten();
        match hidden {
            Some(path) => {
                let reason = format!(
                    "{} cannot be read: the journal of other users and the system is missing",
                    path.display()
                );
                self.status.set(AREA, SUBJECT, reason);
            }
            None => self.status.clear(AREA, SUBJECT),
        }
    }

    fn key(&self, unit: &str) -> String {
        format!("{}/journal/{unit}", self.host)
    }

    /// The oldest time that has to be read again. Units that are ahead of it skip what they have.
    fn resume_us(&self) -> Option<u64> {
        let prefix = self.key("");
        let own = self.positions.iter().filter(|(key, _)| key.starts_with(&prefix));
        // All units stand in one journal that is read in order: the newest place is where reading stopped.
        own.map(|(_, position)| position.place.offset / 1_000).max()
    }

    fn command(&self, read_to_us: Option<u64>) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--follow", "--all", "--output=json", "--quiet", "--no-pager"]);
        match read_to_us {
            // A second covers what other units wrote in between.
            Some(us) => {
                let from_s = (us / 1_000_000).saturating_sub(1);
                command.arg(format!("--since=@{from_s}")).arg("--lines=all");
            }
            None => {
                command.arg(format!("--since={FIRST_CONTACT}")).arg(format!("--lines={FIRST_CONTACT_LINES}"));
            }
        }
        if self.options.current_boot_only {
            command.arg("--boot");
        }
        if let Some(directory) = &self.options.directory {
            command.arg(format!("--directory={directory}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn read_once(
        &self,
        units: &mut BTreeMap<String, Unit>,
        read_to_us: &mut Option<u64>,
    ) -> std::io::Result<()> {
        for unit in units.values_mut() {
            // The second that is read again has its lines counted again.
            unit.skip_to = unit.skip_to.max(Some(unit.places.last()));
            unit.places = ClockedPlaces::default();
        }
        let mut child = self.command(*read_to_us).spawn()?;
        let Some(stdout) = child.stdout.take() else { return Ok(()) };
        let mut reader = BufReader::new(stdout);
        let mut buf = Vec::new();
        loop {
            buf.clear();
            if reader.read_until(b'\n', &mut buf).await? == 0 {
                break;
            }
            self.status.clear(AREA, "journalctl");
            let Some(entry) = parse_entry(&buf, self.clock.now_ns() as u64 / 1_000) else { continue };
            if !self.wants(&entry.unit) {
                continue;
            }
            if read_to_us.is_none() {
                self.begin(entry.time_us);
            }
            *read_to_us = Some((*read_to_us).unwrap_or(0).max(entry.time_us));
            if let Some(lines) = self.place(units, entry)
                && self.lines.send(lines).await.is_err()
            {
                break;
            }
        }
        child.kill().await
    }

    /// Saves the place before the first entry, under the name of no unit.
    fn begin(&self, time_us: u64) {
        let place = Place { offset: time_us.saturating_mul(1_000), ordinal: 0 };
        self.beginnings.save(vec![(self.key("").into(), Position { generation: generation(), place })]);
    }

    fn wants(&self, unit: &str) -> bool {
        let named = |units: &[String]| {
            units.iter().any(|name| {
                name == unit || (!name.contains('.') && unit.strip_suffix(".service") == Some(name))
            })
        };
        (self.options.include_units.is_empty() || named(&self.options.include_units))
            && !named(&self.options.exclude_units)
    }

    fn place(&self, units: &mut BTreeMap<String, Unit>, entry: Entry) -> Option<SourceLines> {
        if units.len() >= UNITS_MAX && !units.contains_key(&entry.unit) {
            return None;
        }
        let unit = units.entry(entry.unit.clone()).or_insert_with(|| self.unit(&entry));
        let place = unit.places.next(i64::try_from(entry.time_us.saturating_mul(1_000)).unwrap_or(i64::MAX));
        if unit.skip_to.is_some_and(|known| place <= known) {
            return None;
        }
        let timestamp_ns = (entry.time_us as i64).saturating_mul(1_000) + i64::from(place.ordinal) - 1;
        let line = Line { timestamp_ns, text: entry.message, place };
        Some(SourceLines { source: Arc::clone(&unit.source), lines: vec![line] })
    }

    fn unit(&self, entry: &Entry) -> Unit {
        let text = |text: &str| Field::Text(text.to_owned());
        let key: Arc<str> = self.key(&entry.unit).into();
        let generation = generation();
        let known = self.positions.get(&key).filter(|position| position.generation == generation);
        let fields = BTreeMap::from([
            ("host".to_owned(), text(&self.host)),
            ("identifier".to_owned(), text(&entry.identifier)),
            ("source_type".to_owned(), text("journald")),
            ("unit".to_owned(), text(&entry.unit)),
        ]);
        let service = entry.unit.strip_suffix(".service").unwrap_or(&entry.unit);
        let identity =
            vec![("host".to_owned(), self.host.to_string()), ("service_name".to_owned(), service.to_owned())];
        let source = Arc::new(Source { key, generation, fields, identity });
        Unit { source, places: ClockedPlaces::default(), skip_to: known.map(|position| position.place) }
    }
}

/// The system's journal below one of `directories`, if it is there and not for us.
#[expect(clippy::disallowed_methods, reason = "the journal is read where it is; no store is behind it")]
fn hidden_journal(directories: &[PathBuf]) -> Option<PathBuf> {
    let of_machines = directories.iter().flat_map(|dir| {
        let machines = names_in(dir).unwrap_or_default();
        machines.into_iter().map(|machine| dir.join(machine).join("system.journal"))
    });
    let is_denied = |path: &PathBuf| {
        std::fs::File::open(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    of_machines.into_iter().find(is_denied)
}

/// The journal has no incarnations.
fn generation() -> u64 {
    stable_hash(&[b"journal"])
}

/// Reads an entry; `None` for what is none or has no message. `now_us` stands in for a missing time.
fn parse_entry(json: &[u8], now_us: u64) -> Option<Entry> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    let text = |name: &str| value.get(name).and_then(field_text);
    let time = text("__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok());
    let mut message = text("MESSAGE")?;
    if message.len() > LINE_BYTES_MAX {
        let cut = (0..=LINE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(cut);
    }
    let identifier = text("SYSLOG_IDENTIFIER").unwrap_or_default();
    // What belongs to no unit, such as the kernel's lines, goes by its identifier.
    let unit = text("_SYSTEMD_UNIT").unwrap_or_else(|| match identifier.as_str() {
        "" => "none".to_owned(),
        identifier => identifier.to_owned(),
    });
    Some(Entry {
        time_us: time.unwrap_or(now_us),
        unit,
        identifier,
        message: message.trim_end_matches('\n').to_owned(),
    })
}

/// A field is text, or a list of bytes where it is no UTF-8; a field that stands twice is a list of both.
fn field_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(items) => {
            let bytes: Option<Vec<u8>> =
                items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
            match bytes {
                Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                None => items.first().and_then(field_text),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let json = br#"{"__REALTIME_TIMESTAMP":"1700000000000001","MESSAGE":"hello","_SYSTEMD_UNIT":"ssh.service","PRIORITY":"6","SYSLOG_IDENTIFIER":"sshd"}"#;
        let entry = parse_entry(json, 0).unwrap();
        assert_eq!(
            (entry.time_us, entry.unit.as_str(), entry.message.as_str()),
            (1_700_000_000_000_001, "ssh.service", "hello")
        );
        let json = br#"{"MESSAGE":[104,105,255],"SYSLOG_IDENTIFIER":"kernel"}"#;
        let entry = parse_entry(json, 7).unwrap();
        assert_eq!((entry.time_us, entry.unit.as_str(), entry.message.as_str()), (7, "kernel", "hi\u{fffd}"));
        for none in [&b"{}"[..], b"", b"[1]", b"{\"MESSAGE\":null}", b"{\"MESSAGE\":{}}"] {
            assert_eq!(parse_entry(none, 0), None);
        }
    }
}
