//! The agent as a program.

use std::path::{Path, PathBuf};

use service::{Failure, Process, Program};
use telemetry::Registry;

use crate::app::Agent;
use crate::args::Flags;

/// What the program does beside serving.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Make data directories and give them to the users that services run as; for an init container
    PrepareData {
        /// Directory that holds them
        dir: PathBuf,
        /// Subdirectories with their owners, such as agent=5681:5681
        #[arg(required = true, value_name = "NAME=UID:GID")]
        owners: Vec<String>,
    },
}

/// `watchbell-agent`.
#[derive(Debug)]
pub struct AgentProgram;

impl Program for AgentProgram {
    const NAME: &'static str = "watchbell-agent";
    const ABOUT: &'static str = "Container and host metrics for scraping, logs delivered to a log server.";
    type Flags = Flags;
    type Command = Command;
    type App = Agent;

    fn health_url(flags: &Flags) -> String {
        flags.health_url()
    }

    async fn build(flags: Flags, process: &Process) -> Result<Agent, Failure> {
        let options = flags.into_options()?;
        let registry = Registry::new();
        process.logging.register_metrics(&registry);
        registry.process_metrics();
        Agent::new(options, &registry).await
    }

    async fn command(command: Command) -> Result<(), Failure> {
        let Command::PrepareData { dir, owners } = command;
        let prepared = tokio::task::spawn_blocking(move || prepare_data(&dir, &owners)).await;
        prepared.map_err(Failure::runtime)?
    }

    fn check_config(file: &Path) -> Result<Vec<String>, Failure> {
        crate::logs::check_config(file)
    }
}

/// Makes the directories and changes owners where they differ. Blocks.
fn prepare_data(dir: &Path, owners: &[String]) -> Result<(), Failure> {
    for owner in owners {
        let parsed = owner.split_once('=').and_then(|(name, ids)| {
            let (uid, gid) = ids.split_once(':')?;
            let plain = !name.is_empty() && !name.contains('/') && name != "..";
            plain.then_some(())?;
            Some((name, uid.parse::<u32>().ok()?, gid.parse::<u32>().ok()?))
        });
        let Some((name, uid, gid)) = parsed else {
            return Err(Failure::usage(format!("{owner:?} is not of the form agent=5681:5681")));
        };
        let path = dir.join(name);
        let cannot =
            |error: std::io::Error| Failure::usage(format!("cannot prepare {}: {error}", path.display()));
        std::fs::create_dir_all(&path).map_err(cannot)?;
        give(&path, uid, gid).map_err(cannot)?;
    }
    Ok(())
}

/// Gives a directory and all below it to a user. Links are not followed.
fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.uid() != uid || metadata.gid() != gid {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn directories_are_made_for_their_owners() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = std::fs::metadata(dir.path()).unwrap();
        let owner = format!("agent={}:{}", metadata.uid(), metadata.gid());
        prepare_data(&dir.path().join("new"), std::slice::from_ref(&owner)).unwrap();
        assert!(dir.path().join("new/agent").is_dir());
        for wrong in ["agent", "agent=1", "../x=1:1", "=1:1", "..=1:1"] {
            assert!(prepare_data(dir.path(), &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shipped_files_load() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for file in ["conf/vector.toml", "deploy/target/vector.toml"] {
            let warnings = AgentProgram::check_config(&root.join(file)).unwrap();
            assert_eq!(warnings, Vec::<String>::new(), "{file}");
        }
    }
}
