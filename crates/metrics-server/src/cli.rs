//! Subcommands beside those that every service has.

mod query;

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use resources::{CpuClass, CpuPools, MemoryBudget, RequestContext};
use service::Failure;

use crate::config;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a server
    #[command(subcommand)]
    Query(query::QueryCommand),
    /// Run tests
    #[command(subcommand)]
    Test(TestCommand),
    /// Check files
    #[command(subcommand)]
    Check(CheckCommand),
}

/// `test`
#[derive(Debug, Subcommand)]
pub enum TestCommand {
    /// Run scripts in Prometheus' PromQL test format
    Promql {
        /// Files, or directories whose .test files are run
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
}

/// `check`
#[derive(Debug, Subcommand)]
pub enum CheckCommand {
    /// Check configuration files with the rule files that they name
    Config {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Query(query) => query.run().await,
            Self::Test(TestCommand::Promql { paths }) => test_promql(&paths),
            Self::Check(CheckCommand::Config { files }) => check_config(&files),
        }
    }
}

pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::runtime)
}

fn check_config(files: &[PathBuf]) -> Result<(), Failure> {
    for file in files {
        // promtool ends with 1 where a file is not valid.
        let loaded = config::load(file, &config::PathAliases::default())
            .map_err(|failure| Failure::runtime(failure.error))?;
        let mut text: String =
            loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        text.push_str(&format!(
            "Checking {}\n  SUCCESS: {} rule files found\n",
            file.display(),
            loaded.rule_files.len()
        ));
        let rules: usize =
            loaded.rule_files.iter().flat_map(|file| &file.groups).map(|group| group.rules.len()).sum();
        text.push_str(&format!(
            " SUCCESS: {} is valid prometheus config file syntax\n  SUCCESS: {rules} rules found\n",
            file.display()
        ));
        print(&text)?;
    }
    Ok(())
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
