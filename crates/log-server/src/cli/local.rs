//! `fmt` and `inspect`: what needs no server.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use log_store::{SegmentSummary, SummaryDepth, summarize};
use model::{ByteSize, format_rfc3339_ns};
use serde_json::json;
use service::Failure;
use sys::RealFs;

use super::output;

/// The longest query that is formatted.
const QUERY_BYTES_MAX: u64 = 1 << 20;
/// How deep segments are looked for below a directory.
const DEPTH_MAX: usize = 4;

/// `fmt`
#[derive(Args, Clone, Copy, Debug)]
pub struct FmtArgs {}

impl FmtArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(QUERY_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| Failure::runtime(format!("standard input: {error}")))?;
        let expr = logql_syntax::parse(text.trim()).map_err(Failure::usage)?;
        logql::check(&expr).map_err(Failure::usage)?;
        output::print(&format!("{}\n", expr.pretty()))
    }
}

/// `inspect`
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Read every block and compare checksums
    #[arg(long = "verify", action = ArgAction::SetTrue)]
    verify: bool,
    /// Show each stream
    #[arg(long = "streams", action = ArgAction::SetTrue)]
    streams: bool,
    /// Show a JSON object per segment
    #[arg(long = "json", action = ArgAction::SetTrue)]
    json: bool,
    /// Segment files, or directories that hold some
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

impl InspectArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut files = Vec::new();
        for path in &self.paths {
            find(path, DEPTH_MAX, &mut files)?;
        }
        let depth = if self.verify { SummaryDepth::Blocks } else { SummaryDepth::Index };
        let (mut text, mut damaged) = (String::new(), 0);
        for path in &files {
            match summarize(&RealFs, path, depth) {
                Ok(summary) => {
                    damaged += usize::from(!summary.damaged.is_empty());
                    text.push_str(&if self.json {
                        as_json(path, &summary)
                    } else {
                        self.as_text(path, &summary)
                    });
                }
                Err(error) => {
                    damaged += 1;
                    text.push_str(&format!("{}: {}\n", path.display(), service::error_chain(&error)));
                }
            }
        }
        output::print(&text)?;
        match (files.is_empty(), damaged) {
            (true, _) => Err(Failure::usage("no segment (*.wbls) is there")),
            (false, 0) => Ok(()),
            (false, _) => Err(Failure::runtime(format!("{damaged} of {} segments are damaged", files.len()))),
        }
    }

    fn as_text(&self, path: &Path, summary: &SegmentSummary) -> String {
        let sum =
            |count: fn(&log_store::StreamSummary) -> u64| summary.streams.iter().map(count).sum::<u64>();
        let (entries, lines) = (sum(|stream| stream.entries), sum(|stream| stream.line_bytes));
        let mut text = format!(
            "{}\n  {} .. {}\n  {} streams, {} blocks, {entries} entries, {} of lines in {} ({:.1} to 1)\n",
            path.display(),
            format_rfc3339_ns(summary.min),
            format_rfc3339_ns(summary.max),
            summary.streams.len(),
            sum(|stream| stream.blocks as u64),
            ByteSize(lines),
            ByteSize(summary.bytes),
            lines as f64 / summary.bytes.max(1) as f64
        );
        for stream in summary.streams.iter().filter(|_| self.streams) {
            text.push_str(&format!(
                "  {}: {} entries in {} blocks, {} of lines in {}",
                stream.labels,
                stream.entries,
                stream.blocks,
                ByteSize(stream.line_bytes),
                ByteSize(stream.bytes)
            ));
            if self.verify {
                text.push_str(&format!(", {} templates", stream.templates));
            }
            text.push('\n');
        }
        for reason in &summary.damaged {
            text.push_str(&format!("  damaged: {reason}\n"));
        }
        text
    }
}

fn as_json(path: &Path, summary: &SegmentSummary) -> String {
    let streams: Vec<_> = summary
        .streams
        .iter()
        .map(|stream| {
            json!({
                "labels": stream.labels.to_string(),
                "blocks": stream.blocks,
                "entries": stream.entries,
                "line_bytes": stream.line_bytes,
                "bytes": stream.bytes,
                "templates": stream.templates,
                "min": format_rfc3339_ns(stream.min),
                "max": format_rfc3339_ns(stream.max),
            })
        })
        .collect();
    let object = json!({
        "path": path.display().to_string(),
        "id": summary.id,
        "partition": summary.partition,
        "replaces": summary.replaces,
        "bytes": summary.bytes,
        "min": format_rfc3339_ns(summary.min),
        "max": format_rfc3339_ns(summary.max),
        "streams": streams,
        "damaged": summary.damaged,
    });
    format!("{object}\n")
}

/// The segments that a path names or holds, in order.
fn find(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && depth > 0 {
            find(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|name| name == "wbls") {
            files.push(path);
        }
    }
    Ok(())
}
