//! `test`.

mod backtest;
mod rules;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use resources::{CpuClass, CpuPools, MemoryBudget, RequestContext};
use service::Failure;

use super::console::print;

/// `test`
#[derive(Args, Debug)]
pub struct TestCommand {
    /// File to write results to, in JUnit's XML
    #[arg(long, value_name = "FILE", global = true)]
    junit: Option<PathBuf>,
    #[command(subcommand)]
    kind: TestKind,
}

/// What is tested.
#[derive(Debug, Subcommand)]
pub(crate) enum TestKind {
    /// Run unit tests of rules
    Rules(rules::TestFlags),
    /// Say when an alerting rule would have fired over what a server has stored
    #[command(alias = "back-test")]
    Backtest(Box<backtest::BacktestFlags>),
    /// Run scripts in Prometheus' PromQL test format
    Promql {
        /// Files, or directories whose .test files are run
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
}

impl TestCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.kind {
            TestKind::Rules(flags) => rules::run(&flags, self.junit.as_deref()),
            TestKind::Backtest(flags) => flags.run().await,
            TestKind::Promql { paths } => test_promql(&paths),
        }
    }
}

fn test_promql(paths: &[PathBuf]) -> Result<(), Failure> {
    let mut failed = 0;
    let engine = promql::Engine::new(promql::testscript::script_options());
    let ctx = RequestContext::internal(CpuClass::Query, CpuPools::inline(), MemoryBudget::unlimited("test"));
    for file in scripts(paths)? {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::runtime(format!("{}: {error}", file.display())))?;
        let report = promql::testscript::run(&text, &engine, &ctx);
        print(&format!("{}: {} passed, {} failed\n", file.display(), report.passed, report.failures.len()))?;
        for failure in &report.failures {
            print(&format!("  line {}: {}: {}\n", failure.line, failure.command, failure.message))?;
        }
        failed += usize::from(!report.failures.is_empty());
    }
    if failed > 0 { Err(Failure::runtime(format!("{failed} scripts failed"))) } else { Ok(()) }
}

fn scripts(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(discovery::expand_glob(&path.join("*.test")).map_err(Failure::runtime)?);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}
