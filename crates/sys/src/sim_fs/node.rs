//! The tree of a simulated file system: what programs see, and what the disk has.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Component, Path};

use crate::fs::DirEntry;
use crate::rng::Rng;

use super::PAGE_BYTES;

/// Index into the tree's nodes; a node stays after its last name is gone, as open files still use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(File),
    Directory(Directory),
}

/// A file's content as programs see it and as it surely is on disk.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Parts of the content that a failed sync dropped: they never reach the disk.
    lost: Vec<Range<usize>>,
}

/// A directory's names as programs see them and as they surely are on disk, with the changes in between in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    names: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    pending: Vec<Vec<Change>>,
}

#[derive(Clone, Debug)]
enum Change {
    Set(String, NodeId),
    Remove(String),
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

const ROOT: NodeId = NodeId(0);

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::Directory(Directory::default())] }
    }
}

impl File {
    pub(super) fn make_durable(&mut self) {
        self.durable.clone_from(&self.content);
        for lost in &self.lost {
            let end = lost.end.min(self.durable.len());
            let start = lost.start.min(end);
            self.durable[start..end].fill(0);
        }
    }

    pub(super) fn resize(&mut self, len: usize) {
        self.content.resize(len, 0);
        for lost in &mut self.lost {
            lost.end = lost.end.min(len);
        }
        self.lost.retain(|lost| lost.start < lost.end);
    }

    pub(super) fn lose_unsynced(&mut self) {
        let same = self.durable.len().min(self.content.len());
        if same < self.content.len() {
            self.lost.push(same..self.content.len());
        }
    }

    fn after_power_loss(&self, rng: &dyn Rng) -> Vec<u8> {
        let mut written = self.clone();
        written.make_durable();
        let (old, new) = (&self.durable, &written.durable);
        if new.len() < old.len() {
            // A cut that was not synced has happened or not.
            return if rng.below(2) == 0 { old.clone() } else { new.clone() };
        }
        let kept = old.len() + rng.below((new.len() - old.len()) as u64 + 1) as usize;
        let mut left = new[..kept].to_vec();
        // Unsynced pages reach the disk in any order: those that did not read as zeros.
        if rng.below(2) == 0 {
            let mut from = old.len();
            while from < kept {
                let to = ((from / PAGE_BYTES + 1) * PAGE_BYTES).min(kept);
                if rng.below(4) == 0 {
                    left[from..to].fill(0);
                }
                from = to;
            }
        }
        left
    }
}

impl Directory {
    fn change(&mut self, changes: Vec<Change>) {
        apply(&mut self.names, &changes);
        self.pending.push(changes);
    }
}

fn apply(names: &mut BTreeMap<String, NodeId>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Set(name, id) => drop(names.insert(name.clone(), *id)),
            Change::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl Tree {
    pub(super) fn id(&self, path: &Path) -> io::Result<NodeId> {
        let mut id = ROOT;
        for name in names_of(path)? {
            let Node::Directory(directory) = &self.nodes[id.0] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            id = *directory.names.get(&name).ok_or_else(|| not_found(path))?;
        }
        Ok(id)
    }

    pub(super) fn node(&self, path: &Path) -> io::Result<&Node> {
        Ok(&self.nodes[self.id(path)?.0])
    }

    pub(super) fn file_id(&self, path: &Path) -> io::Result<NodeId> {
        let id = self.id(path)?;
        match &self.nodes[id.0] {
            Node::File(_) => Ok(id),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<&File> {
        Ok(self.open_file(self.file_id(path)?))
    }

    pub(super) fn file_mut(&mut self, path: &Path) -> io::Result<&mut File> {
        let id = self.file_id(path)?;
        Ok(self.open_file_mut(id))
    }

    pub(super) fn open_file(&self, id: NodeId) -> &File {
        match &self.nodes[id.0] {
            Node::File(file) => file,
            Node::Directory(_) => unreachable!("only files are opened, and a node keeps its kind"),
        }
    }

    pub(super) fn open_file_mut(&mut self, id: NodeId) -> &mut File {
        match &mut self.nodes[id.0] {
            Node::File(file) => file,
            Node::Directory(_) => unreachable!("only files are opened, and a node keeps its kind"),
        }
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<&Directory> {
        match self.node(path)? {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn directory_mut(&mut self, path: &Path) -> io::Result<&mut Directory> {
        let id = self.id(path)?;
        match &mut self.nodes[id.0] {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entry = |(name, id): (&String, &NodeId)| match &self.nodes[id.0] {
            Node::File(file) => {
                DirEntry { name: name.clone(), is_dir: false, len: file.content.len() as u64 }
            }
            Node::Directory(_) => DirEntry { name: name.clone(), is_dir: true, len: 0 },
        };
        Ok(self.directory(path)?.names.iter().map(entry).collect())
    }

    /// Bytes of all files that have a name.
    pub(super) fn bytes_used(&self) -> u64 {
        let mut counted = vec![false; self.nodes.len()];
        let mut open = vec![ROOT];
        let mut bytes = 0;
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut counted[id.0], true) {
                continue;
            }
            match &self.nodes[id.0] {
                Node::File(file) => bytes += file.content.len() as u64,
                Node::Directory(directory) => open.extend(directory.names.values()),
            }
        }
        bytes
    }

    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<NodeId> {
        let id = NodeId(self.nodes.len());
        self.link(path, id)?;
        self.nodes.push(node);
        Ok(id)
    }

    pub(super) fn link(&mut self, path: &Path, id: NodeId) -> io::Result<()> {
        let (parent, name) = split(path)?;
        let directory = self.directory_mut(parent)?;
        if directory.names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        directory.change(vec![Change::Set(name, id)]);
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = split(path)?;
        self.directory_mut(parent)?.change(vec![Change::Remove(name)]);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.id(from)?;
        let (from_parent, from_name) = split(from)?;
        let (to_parent, to_name) = split(to)?;
        if let Ok(Node::Directory(replaced)) = self.node(to)
            && !replaced.names.is_empty()
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (set, remove) = (Change::Set(to_name, id), Change::Remove(from_name));
        if self.id(from_parent)? == self.id(to_parent)? {
            // Within a directory a rename happens whole or not at all.
            self.directory_mut(from_parent)?.change(vec![remove, set]);
            return Ok(());
        }
        self.directory_mut(to_parent)?.change(vec![set]);
        self.directory_mut(from_parent)?.change(vec![remove]);
        Ok(())
    }

    pub(super) fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        let directory = self.directory_mut(path)?;
        directory.durable.clone_from(&directory.names);
        directory.pending.clear();
        Ok(())
    }

    /// A tree in which all that was written is on disk.
    pub(super) fn as_written(&self) -> Self {
        let mut tree = self.clone();
        for node in &mut tree.nodes {
            match node {
                Node::File(file) => {
                    file.durable.clone_from(&file.content);
                    file.lost.clear();
                }
                Node::Directory(directory) => {
                    directory.durable.clone_from(&directory.names);
                    directory.pending.clear();
                }
            }
        }
        tree
    }

    /// A tree that has lost some of what was not synced.
    pub(super) fn after_power_loss(&self, rng: &dyn Rng) -> Self {
        let mut tree = self.clone();
        for node in &mut tree.nodes {
            match node {
                Node::File(file) => {
                    let left = file.after_power_loss(rng);
                    *file = File { content: left.clone(), durable: left, lost: Vec::new() };
                }
                Node::Directory(directory) => {
                    let kept = rng.below(directory.pending.len() as u64 + 1) as usize;
                    let mut names = std::mem::take(&mut directory.durable);
                    for changes in &directory.pending[..kept] {
                        apply(&mut names, changes);
                    }
                    *directory = Directory { names: names.clone(), durable: names, pending: Vec::new() };
                }
            }
        }
        tree
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

fn split(path: &Path) -> io::Result<(&Path, String)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().unwrap_or(Path::new(""));
    Ok((parent, name.to_string_lossy().into_owned()))
}

fn names_of(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}
