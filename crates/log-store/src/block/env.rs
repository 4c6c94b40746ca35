//! What blocks of a store share while they are open: the shapes of templates, and a cache of open blocks.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use super::{BlockMeta, OpenBlock};
use crate::block::lines::Shape;

/// So many shapes are shared; then sharing starts over.
const SHAPES_MAX: usize = 200_000;

/// Shared by all blocks of a store.
#[derive(Debug)]
pub(crate) struct BlockEnv {
    shapes: Mutex<HashSet<ByKey>>,
    next_shape: AtomicU64,
    /// What all open blocks have loaded.
    loaded: AtomicU64,
    cache: Mutex<Cache>,
    cache_bytes: u64,
}

impl Default for BlockEnv {
    fn default() -> Self {
        Self::new(0)
    }
}

/// Open blocks by the address of what is known of them: they hold it, so that nobody else can have that address.
#[derive(Debug, Default)]
struct Cache {
    blocks: HashMap<usize, (Arc<OpenBlock>, u64)>,
    uses: u64,
}

/// A shape, found by its key.
#[derive(Debug)]
struct ByKey(Arc<Shape>);

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0.key).hash(state);
    }
}

impl BlockEnv {
    /// With a cache that open blocks may fill with so many bytes.
    pub(crate) fn new(cache_bytes: u64) -> Self {
        Self {
            shapes: Mutex::default(),
            next_shape: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
            cache: Mutex::default(),
            cache_bytes,
        }
    }

    /// The shape of a template, the same for all templates with this key.
    pub(crate) fn shape(&self, key: &[u8]) -> Arc<Shape> {
        let mut shapes = self.shapes.lock();
        if let Some(known) = shapes.get(key) {
            return Arc::clone(&known.0);
        }
        if shapes.len() >= SHAPES_MAX {
            shapes.clear();
        }
        let shape = Arc::new(Shape::new(self.next_shape.fetch_add(1, Ordering::Relaxed), key));
        shapes.insert(ByKey(Arc::clone(&shape)));
        shape
    }

    /// The open block: one that a query has left, or a new one.
    pub(crate) fn open(&self, meta: &Arc<BlockMeta>, open: impl FnOnce() -> OpenBlock) -> Arc<OpenBlock> {
        if self.cache_bytes == 0 {
            return Arc::new(open());
        }
        let mut cache = self.cache.lock();
        cache.uses += 1;
        let now = cache.uses;
        let slot = cache.blocks.entry(Arc::as_ptr(meta) as usize);
        let slot = slot.or_insert_with(|| (Arc::new(open()), now));
        slot.1 = now;
        let block = Arc::clone(&slot.0);
        let removed = if self.loaded.load(Ordering::Relaxed) > self.cache_bytes {
            cache.take_oldest()
        } else {
            Vec::new()
        };
        drop(cache);
        // Not under the lock: giving a block's memory back takes a while.
        drop(removed);
        block
    }
}

impl Cache {
    /// Takes out the quarter of the blocks that was not used for longest.
    fn take_oldest(&mut self) -> Vec<Arc<OpenBlock>> {
        let mut uses: Vec<u64> = self.blocks.values().map(|(_, used)| *used).collect();
        uses.sort_unstable();
        let Some(limit) = uses.get(uses.len() / 4).copied() else { return Vec::new() };
        self.blocks.extract_if(|_, (_, used)| *used <= limit).map(|(_, (block, _))| block).collect()
    }
}

/// What one open block has loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    env: Arc<BlockEnv>,
    bytes: AtomicU64,
}

impl Loaded {
    pub(crate) fn new(env: &Arc<BlockEnv>) -> Self {
        Self { env: Arc::clone(env), bytes: AtomicU64::new(0) }
    }

    pub(crate) fn env(&self) -> &BlockEnv {
        &self.env
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.env.loaded.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.env.loaded.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
