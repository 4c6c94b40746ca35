//! The query log: a line of JSON for each query, as Prometheus writes it (`global.query_log_file`).

use std::path::{Path, PathBuf};

use model::{TimestampMs, format_rfc3339_ns};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sys::{AppendFile, Fs};

/// The log, or none. Lines are written by threads that may block.
#[derive(Debug, Default)]
pub(crate) struct QueryLog(Mutex<Option<OpenLog>>);

#[derive(Debug)]
struct OpenLog {
    path: PathBuf,
    file: Box<dyn AppendFile>,
}

/// Where a query came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) client: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) at: TimestampMs,
    pub(crate) query: &'a str,
    pub(crate) start: TimestampMs,
    pub(crate) end: TimestampMs,
    pub(crate) step_ms: i64,
    pub(crate) stats: Value,
    pub(crate) error: Option<&'a str>,
    pub(crate) asker: Asker<'a>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker<'a> {
    Client(&'a Origin),
    RuleGroup { file: &'a str, name: &'a str },
}

impl QueryLog {
    /// Writes to this file from now on, created where missing; an empty path ends the log. Where the path has not changed
    /// the file is opened anew, so that a log that was moved away is let go.
    pub(crate) fn open(&self, fs: &dyn Fs, path: &Path) -> std::io::Result<()> {
        let mut log = self.0.lock();
        if path.as_os_str().is_empty() {
            *log = None;
            return Ok(());
        }
        let file = if fs.exists(path) { fs.open_append(path)? } else { fs.create_new(path)? };
        *log = Some(OpenLog { path: path.to_owned(), file });
        Ok(())
    }

    /// Whether lines are written.
    pub(crate) fn is_on(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Writes a line; whether that worked.
    pub(crate) fn write(&self, entry: &Entry<'_>) -> bool {
        let mut log = self.0.lock();
        let Some(OpenLog { path, file }) = &mut *log else { return true };
        let mut line = entry.to_json().to_string();
        line.push('\n');
        let written = file.append(line.as_bytes());
        if let Err(error) = &written {
            tracing::warn!(path = %path.display(), error = %error, "query log line is lost");
        }
        written.is_ok()
    }
}

impl Entry<'_> {
    fn to_json(&self) -> Value {
        let time = |ms: TimestampMs| format_rfc3339_ns(ms.saturating_mul(1_000_000));
        let mut line = json!({
            "params": {
                "end": time(self.end),
                "query": self.query,
                "start": time(self.start),
                "step": self.step_ms / 1000,
            },
            "stats": self.stats,
            "ts": time(self.at),
        });
        match self.asker {
            Asker::Client(Origin { client, method, path }) => {
                line["httpRequest"] = json!({ "clientIP": client, "method": method, "path": path });
            }
            Asker::RuleGroup { file, name } => line["ruleGroup"] = json!({ "file": file, "name": name }),
        }
        if let Some(error) = self.error {
            line["error"] = Value::from(error);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sys::RealFs;

    use super::*;

    #[test]
    fn queries_are_written_a_line_each() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (log, fs) = (QueryLog::default(), Arc::new(RealFs));
        let path = dir.path().join("query.log");
        let origin = Origin { client: "10.0.0.1".into(), method: "GET".into(), path: "/api/v1/query".into() };
        let entry = |error| Entry {
            at: 3000,
            query: "up{a=\"b\"}",
            start: 1000,
            end: 2000,
            step_ms: 15_000,
            stats: json!({"samples": {"totalQueryableSamples": 1}}),
            error,
            asker: Asker::Client(&origin),
        };
        assert!(log.write(&entry(None)), "no log: nothing is written, nothing is lost");
        for _ in 0..2 {
            log.open(&*fs, &path).expect("opened");
            assert!(log.is_on() && log.write(&entry(Some("no"))) && log.write(&entry(None)));
        }
        log.open(&*fs, Path::new("")).expect("closed");
        assert!(!log.is_on());
        let text = std::fs::read_to_string(&path).expect("the log");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1]["params"]["start"], "1970-01-01T00:00:01Z");
        assert_eq!(lines[1]["params"]["query"], "up{a=\"b\"}");
        assert_eq!((&lines[0]["error"], &lines[1]["error"]), (&Value::from("no"), &Value::Null));
        assert_eq!(lines[3]["httpRequest"]["path"], "/api/v1/query");
        let asker = Asker::RuleGroup { file: "r.yml", name: "g" };
        let of_rule = Entry { asker, ..entry(None) }.to_json();
        assert_eq!(of_rule["ruleGroup"], json!({"file": "r.yml", "name": "g"}));
        assert_eq!(of_rule["httpRequest"], Value::Null);
    }
}
