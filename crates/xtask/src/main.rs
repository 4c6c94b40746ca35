//! Project chores in the project's own language: `cargo xtask tidy`, `cargo xtask codegen`.

mod codegen;
mod tidy;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "xtask", about = "Project chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check the rules that no compiler checks: layers, file sizes, module documents.
    Tidy,
    /// Write `crates/wire/src/generated` anew from `proto/` (needs `--features codegen`).
    Codegen,
}

fn main() -> anyhow::Result<()> {
    let root = workspace_root()?;
    match Arguments::parse().chore {
        Chore::Tidy => tidy::run(&root),
        Chore::Codegen => codegen::run(&root),
    }
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in crates/")?;
    Ok(crates.parent().context("crates/ lies in the workspace")?.to_owned())
}
