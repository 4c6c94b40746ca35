//! `tsdb`: data directories, Prometheus' or ours.

mod analyze;
mod dump;
mod import;
mod list;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::tsdb::{StoredBlock, block_dirs};
use clap::{Args, Subcommand};
use go_regex::CompiledMatcher;
use model::{METRIC_NAME_LABEL, MatchOp, Matcher};
use promql::Features;
use service::Failure;
use sys::{Fs, RealFs};

/// `tsdb`
#[derive(Debug, Subcommand)]
pub enum TsdbCommand {
    /// List blocks
    List {
        #[command(flatten)]
        dir: Directory,
        /// Print times and sizes for people
        #[arg(long = "human-readable", short = 'r')]
        human_readable: bool,
    },
    /// Say which labels churn and cost most in a block, and how full its chunks are
    Analyze(analyze::AnalyzeFlags),
    /// Write samples as text, those of the log included
    Dump(dump::DumpFlags),
    /// Write float samples as OpenMetrics
    #[command(name = "dump-openmetrics")]
    DumpOpenMetrics(dump::OpenMetricsFlags),
    /// Make blocks from samples that come from elsewhere
    #[command(name = "create-blocks-from", subcommand)]
    CreateBlocksFrom(import::ImportCommand),
    /// Read all blocks and logs and say what is damaged
    Verify {
        #[command(flatten)]
        dir: Directory,
    },
    /// Write damaged blocks anew without their damage and keep what was there in x-damaged; no server may be running
    Repair {
        #[command(flatten)]
        dir: Directory,
    },
}

/// A data directory.
#[derive(Args, Clone, Debug)]
pub struct Directory {
    /// The data directory
    #[arg(value_name = "DIR", default_value = "data/")]
    path: PathBuf,
}

impl TsdbCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { dir, human_readable } => list::run(&dir.path, human_readable),
            Self::Analyze(flags) => flags.run(),
            Self::Dump(flags) => flags.run(),
            Self::DumpOpenMetrics(flags) => flags.run(),
            Self::CreateBlocksFrom(import) => import.run().await,
            Self::Verify { dir } => verify::verify(&dir.path),
            Self::Repair { dir } => verify::repair(&dir.path),
        }
    }
}

fn real_fs() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}

fn failed(error: ::tsdb::Error) -> Failure {
    Failure::runtime(error)
}

/// All blocks that can be opened, in order of time; the others are told of.
fn open_blocks(dir: &Path) -> Result<Vec<StoredBlock>, Failure> {
    let fs = real_fs();
    let mut blocks = Vec::new();
    for path in block_dirs(&*fs, dir).map_err(failed)? {
        match StoredBlock::open(&*fs, &path) {
            Ok(block) => blocks.push(block),
            Err(error) => super::console::complain(&format!("{}\n", service::error_chain(&error))),
        }
    }
    blocks.sort_by_key(|block| block.info().min_time);
    Ok(blocks)
}

/// What promtool takes for all series. As a query it would be refused, as it matches what has no name.
const ALL_SERIES: &str = "{__name__=~'(?s:.*)'}";

/// A selector's matchers, compiled.
fn matchers(selector: &str) -> Result<Vec<CompiledMatcher>, Failure> {
    let matchers = match selector {
        ALL_SERIES => vec![Matcher::new(METRIC_NAME_LABEL, MatchOp::Regex, "(?s:.*)")],
        selector => promql::parse_selector(selector, Features::all()).map_err(Failure::runtime)?,
    };
    matchers.into_iter().map(CompiledMatcher::new).collect::<Result<_, _>>().map_err(Failure::runtime)
}
