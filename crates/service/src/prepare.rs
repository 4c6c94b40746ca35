//! Data directories and their owners, made by an init container before services start as their own users.

use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::str::FromStr;

/// `NAME=UID:GID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The directory's name.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl FromStr for Ownership {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || format!("{text:?} is not NAME=UID:GID");
        let (name, ids) = text.split_once('=').ok_or_else(fail)?;
        let (uid, gid) = ids.split_once(':').ok_or_else(fail)?;
        let plain =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let (uid, gid) = (uid.parse().map_err(|_| fail())?, gid.parse().map_err(|_| fail())?);
        if plain { Ok(Self { name: name.to_owned(), uid, gid }) } else { Err(fail()) }
    }
}

/// Makes `dir/NAME` for each and gives it, and all in it, to its user. A directory that belongs to its user already is left
/// as it is, so that a second start does not walk through the data.
///
/// # Errors
/// Where a directory cannot be made or given away, with its path.
pub fn prepare_data(dir: &Path, owners: &[Ownership]) -> io::Result<()> {
    for owner in owners {
        let path = dir.join(&owner.name);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        std::fs::create_dir_all(&path).map_err(named)?;
        let metadata = std::fs::metadata(&path).map_err(named)?;
        if (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid) {
            give(&path, owner.uid, owner.gid).map_err(named)?;
        }
    }
    Ok(())
}

/// Gives what is in a directory before the directory itself, so that a walk that was cut off is done again.
fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    // A link's target may lie anywhere: only the link itself is given.
    lchown(path, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_and_paths_refused() {
        assert_eq!("loki=5680:5681".parse(), Ok(Ownership { name: "loki".to_owned(), uid: 5680, gid: 5681 }));
        for bad in ["loki", "=1:1", "../x=1:1", "a/b=1:1", "loki=1", "loki=x:1", "loki=1:-1"] {
            assert!(bad.parse::<Ownership>().is_err(), "{bad}");
        }
    }

    #[test]
    fn directories_are_made_and_kept() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let own = std::fs::metadata(dir.path())?;
        let owner = Ownership { name: "prometheus".to_owned(), uid: own.uid(), gid: own.gid() };
        prepare_data(dir.path(), std::slice::from_ref(&owner))?;
        std::fs::write(dir.path().join("prometheus/kept"), b"1")?;
        prepare_data(dir.path(), &[owner])?;
        assert_eq!(std::fs::read(dir.path().join("prometheus/kept"))?, b"1");
        Ok(())
    }
}
