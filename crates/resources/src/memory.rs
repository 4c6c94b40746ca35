//! Memory as a hierarchy of budgets: what is reserved in a child is reserved in its parents.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{ByteSize, ErrorCode};

/// A share of memory with a name and a limit. Clones share the same account.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Account>);

struct Account {
    name: Arc<str>,
    /// The flag or key that raises the limit.
    setting: Arc<str>,
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
    parent: Option<MemoryBudget>,
}

/// A reservation that would go over a budget's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryExceeded {
    /// The budget's name.
    pub budget: Arc<str>,
    /// Its limit.
    pub limit: ByteSize,
    /// How much was asked for on top of what is in use.
    pub requested: ByteSize,
    /// The flag or key that raises the limit.
    pub setting: Arc<str>,
}

impl MemoryExceeded {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::Unprocessable
    }
}

impl fmt::Display for MemoryExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, limit, requested, setting } = self;
        write!(
            f,
            "{budget} memory limit of {limit} reached, {requested} more needed: narrow the request or raise {setting}"
        )
    }
}

impl std::error::Error for MemoryExceeded {}

impl MemoryBudget {
    /// A budget without a parent.
    pub fn root(name: &str, setting: &str, limit: ByteSize) -> Self {
        Self::new(name, setting, limit, None)
    }

    /// A budget that counts and never refuses.
    pub fn unlimited(name: &str) -> Self {
        Self::new(name, "", ByteSize(u64::MAX), None)
    }

    /// A budget within this one.
    pub fn child(&self, name: &str, setting: &str, limit: ByteSize) -> Self {
        Self::new(name, setting, limit, Some(self.clone()))
    }

    fn new(name: &str, setting: &str, limit: ByteSize, parent: Option<Self>) -> Self {
        let (used, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Account {
            name: name.into(),
            setting: setting.into(),
            limit: limit.0,
            used,
            peak,
            parent,
        }))
    }

    /// Takes `bytes` here and in every parent, or nothing.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, MemoryExceeded> {
        self.take(bytes)?;
        Ok(Reservation { budget: self.clone(), bytes })
    }

    /// Bytes in use.
    pub fn used(&self) -> ByteSize {
        ByteSize(self.0.used.load(Ordering::Relaxed))
    }

    /// The most bytes that were ever in use.
    pub fn peak(&self) -> ByteSize {
        ByteSize(self.0.peak.load(Ordering::Relaxed))
    }

    /// The limit.
    pub fn limit(&self) -> ByteSize {
        ByteSize(self.0.limit)
    }

    fn take(&self, bytes: u64) -> Result<(), MemoryExceeded> {
        let account = &self.0;
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= account.limit);
        let before = account.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits).map_err(|_| {
            MemoryExceeded {
                budget: Arc::clone(&account.name),
                limit: ByteSize(account.limit),
                requested: ByteSize(bytes),
                setting: Arc::clone(&account.setting),
            }
        })?;
        if let Some(parent) = &account.parent {
            parent.take(bytes).inspect_err(|_| {
                account.used.fetch_sub(bytes, Ordering::AcqRel);
            })?;
        }
        account.peak.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        let before = self.0.used.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "more memory given back than was taken");
        if let Some(parent) = &self.0.parent {
            parent.give_back(bytes);
        }
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBudget({}: {} of {})", self.0.name, self.used(), self.limit())
    }
}

/// Memory taken from a budget; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl Reservation {
    /// Takes `bytes` more.
    pub fn grow(&mut self, bytes: u64) -> Result<(), MemoryExceeded> {
        self.budget.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` back, at most what is held.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.budget.give_back(bytes);
        self.bytes -= bytes;
    }

    /// What is held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_takes_from_its_parents_and_gives_back() {
        let root = MemoryBudget::root("process", "--memory.limit", ByteSize(100));
        let queries = root.child("queries", "--query.memory", ByteSize(80));
        let one = queries.child("query", "--query.max-memory", ByteSize(50));
        let mut held = one.reserve(40).expect("fits");
        assert_eq!(root.used(), ByteSize(40));
        let refused = held.grow(20).expect_err("over the query's own limit");
        assert_eq!((&*refused.budget, refused.setting.as_ref()), ("query", "--query.max-memory"));
        let other = queries.child("query", "--query.max-memory", ByteSize(50));
        assert_eq!(other.reserve(45).map(drop).map_err(|e| e.budget.to_string()), Err("queries".to_owned()));
        assert_eq!(other.used(), ByteSize(0));
        held.shrink(10);
        drop(held);
        assert_eq!((root.used(), root.peak()), (ByteSize(0), ByteSize(40)));
    }
}
