//! Tenants.

use std::fmt;
use std::sync::Arc;

/// Whose data it is: the value of `X-Scope-OrgID`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The tenant of everything where authentication is off (Loki's name for it).
    pub const ANONYMOUS: &'static str = "fake";

    /// Checks and takes a tenant's name: 1 to 150 bytes of `[A-Za-z0-9!_.*'()-]`, neither `.` nor `..`
    /// (it becomes a directory's name). `None` where it breaks these rules.
    pub fn parse(name: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!-_.*'()".contains(&b);
        let valid =
            (1..=150).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(allowed);
        valid.then(|| Self(name.into()))
    }

    /// The tenant where authentication is off.
    pub fn anonymous() -> Self {
        Self(Self::ANONYMOUS.into())
    }

    /// The tenant's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_directory_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a|b", "ä", &"x".repeat(151)] {
            assert_eq!(TenantId::parse(bad), None, "{bad}");
        }
        assert_eq!(TenantId::parse("site-1").map(|t| t.to_string()).as_deref(), Some("site-1"));
    }
}
