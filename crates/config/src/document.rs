//! A file as a whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::node::Node;
use crate::place::{Place, Position};
use crate::problem::{ConfigError, ConfigErrors, Reported, Warning};
use crate::toml_tree;
use crate::tree::Raw;
use crate::yaml_tree::{self, Limits};

/// A parsed file, and what was found while it was read.
#[derive(Clone, Debug)]
pub struct Document {
    shared: Arc<Shared>,
    root: Raw,
}

/// A value with the warnings of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<T> {
    /// What was read.
    pub value: T,
    /// What was accepted without effect.
    pub warnings: Vec<Warning>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) file: Arc<str>,
    pub(crate) base_dir: PathBuf,
    found: Mutex<Found>,
    /// Whether unknown keys only warn.
    pub(crate) lenient: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) secrets: HashMap<usize, &'static str>,
}

impl Shared {
    pub(crate) fn found(&self) -> MutexGuard<'_, Found> {
        // A panic while the lists were held leaves them as they were: still usable.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn place(&self, position: Position) -> Place {
        Place { file: Arc::clone(&self.file), line: position.line, column: position.column }
    }
}

impl Document {
    /// Reads YAML (and so JSON). `file` is the name that errors show; relative paths inside are taken from its directory.
    pub fn parse_yaml(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        let name: Arc<str> = file.into();
        let (root, later) = yaml_tree::parse(&name, text, Limits::default())?;
        let document = Self::new(name, root);
        if let Some(position) = later {
            let place = document.shared.place(position);
            let message = "only the first YAML document of a file is read, this one is not".to_owned();
            document.shared.found().warnings.push(ConfigError { place, key: String::new(), message });
        }
        Ok(document)
    }

    /// Reads TOML, like [`Self::parse_yaml`].
    pub fn parse_toml(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        let name: Arc<str> = file.into();
        let root = toml_tree::parse(&name, text, Limits::default())?;
        Ok(Self::new(name, root))
    }

    /// Reads a file: TOML where its name ends in `.toml`, else YAML. Blocks.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        let text = read_text(path)?;
        if path.extension().is_some_and(|extension| extension == "toml") {
            Self::parse_toml(&file, &text)
        } else {
            Self::parse_yaml(&file, &text)
        }
    }

    fn new(file: Arc<str>, root: Raw) -> Self {
        let base_dir = Path::new(&*file).parent().unwrap_or(Path::new("")).to_owned();
        let lenient = AtomicBool::new(false);
        Self { shared: Arc::new(Shared { file, base_dir, found: Mutex::default(), lenient }), root }
    }

    /// The file's name as errors show it.
    pub fn file(&self) -> &str {
        &self.shared.file
    }

    /// From now on a key that nobody reads is a warning instead of an error.
    pub fn allow_unknown_keys(&self) {
        self.shared.lenient.store(true, Ordering::Relaxed);
    }

    /// The top of the tree; null for an empty file.
    pub fn root(&self) -> Node {
        Node::root(Arc::clone(&self.shared), self.root.clone())
    }

    /// Gives the tree its type with `reader`; fails with all errors that were reported, in the order of the file.
    pub fn read<T>(
        &self,
        reader: impl FnOnce(&Node) -> Result<T, Reported>,
    ) -> Result<Loaded<T>, ConfigErrors> {
        let value = reader(&self.root());
        let mut found = self.shared.found();
        let mut errors = std::mem::take(&mut found.errors);
        let warnings = std::mem::take(&mut found.warnings);
        drop(found);
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        errors.dedup();
        match value {
            Ok(value) if errors.is_empty() => Ok(Loaded { value, warnings }),
            _ => Err(ConfigErrors { errors }),
        }
    }

    /// The file as YAML, with everything that was read as a secret masked.
    pub fn to_masked_yaml(&self) -> String {
        self.root().to_masked_yaml()
    }
}

/// Reads a text file of at most [`Limits::bytes_max`] bytes.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigErrors> {
    let whole = || Place { file: path.display().to_string().into(), line: 0, column: 0 };
    let cannot =
        |error: &dyn std::fmt::Display| ConfigErrors::one(whole(), format!("cannot be read: {error}"));
    let metadata = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    let bytes_max = Limits::default().bytes_max;
    if metadata.is_dir() {
        return Err(ConfigErrors::one(whole(), "is a directory, a file is needed"));
    }
    if metadata.len() > bytes_max as u64 {
        let message = format!("the file has {} bytes, at most {bytes_max} are read", metadata.len());
        return Err(ConfigErrors::one(whole(), message));
    }
    std::fs::read_to_string(path).map_err(|error| cannot(&error))
}
