//! The export: a first line that says what it is, then one JSON object per entry, then a line with their number.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The first line's `format`.
const FORMAT: &str = "watchbell-state";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    space: &'a str,
    key: &'a str,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
struct OwnedLine {
    space: String,
    key: String,
    value: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    entries: usize,
}

/// Full keys with their JSON.
pub(crate) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Writes entries: full keys (keyspace, zero byte, key) with JSON values. What is not text cannot be ours and is left out.
pub(crate) fn write(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line = |json: serde_json::Result<String>| {
        if let Ok(json) = json {
            out.extend_from_slice(json.as_bytes());
            out.push(b'\n');
        }
    };
    line(serde_json::to_string(&Header { format: FORMAT.to_owned(), version: 1 }));
    let mut written = 0;
    for (full_key, json) in entries {
        let text = (std::str::from_utf8(full_key), std::str::from_utf8(json));
        if let (Ok(full_key), Ok(json)) = text
            && let Some((space, key)) = full_key.split_once('\0')
            && let Ok(value) = serde_json::from_str::<&RawValue>(json)
        {
            line(serde_json::to_string(&Line { space, key, value }));
            written += 1;
        }
    }
    line(serde_json::to_string(&Footer { entries: written }));
    out
}

/// Reads an export; `Err` says what is wrong with it.
pub(crate) fn read(text: &[u8]) -> Result<Entries, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let mut lines = text.lines();
    let header: Header =
        serde_json::from_str(lines.next().unwrap_or("")).map_err(|error| format!("first line: {error}"))?;
    if header.format != FORMAT || header.version != 1 {
        return Err(format!("format {} version {} is not known", header.format, header.version));
    }
    let mut entries = Vec::new();
    for (idx, line) in lines.enumerate() {
        if let Ok(footer) = serde_json::from_str::<Footer>(line) {
            let complete = footer.entries == entries.len();
            return if complete { Ok(entries) } else { Err("the number of entries is wrong".to_owned()) };
        }
        let entry: OwnedLine =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", idx + 2))?;
        let full_key = format!("{}\0{}", entry.space, entry.key).into_bytes();
        entries.push((full_key, entry.value.get().as_bytes().to_vec()));
    }
    Err("the last line is missing".to_owned())
}
