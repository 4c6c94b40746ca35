//! Subcommands beside those that every service has: what promtool does, and what is ours.

mod check;
mod client;
mod console;
mod promql;
mod push;
mod query;
mod test;
mod tsdb;

use clap::Subcommand;
use service::Failure;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a server
    #[command(subcommand)]
    Query(query::QueryCommand),
    /// Run tests
    Test(test::TestCommand),
    /// Send metrics to a server
    #[command(subcommand)]
    Push(push::PushCommand),
    /// Look at, fill and mend a data directory
    #[command(subcommand)]
    Tsdb(tsdb::TsdbCommand),
    /// Format and edit expressions
    Promql(promql::PromqlCommand),
    /// Check files and servers
    #[command(subcommand)]
    Check(check::CheckCommand),
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Query(query) => query.run().await,
            Self::Test(test) => test.run().await,
            Self::Check(check) => check.run().await,
            Self::Push(push) => push.run().await,
            Self::Tsdb(tsdb) => tsdb.run().await,
            Self::Promql(promql) => promql.run(),
        }
    }
}
