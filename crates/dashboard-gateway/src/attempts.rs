//! Failed logins are counted; after some of them the next ones wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

/// Failures within [`WINDOW`] of one user from one address, of one address, and of one user from anywhere.
const PAIR_MAX: usize = 5;
const ADDRESS_MAX: usize = 20;
const USER_MAX: usize = 50;
const WINDOW: Duration = Duration::from_secs(300);
/// Users and addresses that are remembered.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Pair(String, IpAddr),
    Address(IpAddr),
    User(String),
}

/// Failures by who and from where. The caller tells the time.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failures: Mutex<HashMap<Key, Vec<Duration>>>,
}

impl Attempts {
    /// How long this login has to wait, if it has to.
    pub(crate) fn wait(&self, user: &str, address: IpAddr, now: Duration) -> Option<Duration> {
        let failures = self.failures.lock();
        let waits = keys(user, address).into_iter().filter_map(|(key, max)| {
            let times = failures.get(&key)?;
            let recent: Vec<Duration> =
                times.iter().copied().filter(|time| now.saturating_sub(*time) < WINDOW).collect();
            // The oldest of the last `max` failures has to leave the window.
            let blocking = recent.get(recent.len().checked_sub(max)?)?;
            Some(WINDOW.saturating_sub(now.saturating_sub(*blocking)))
        });
        waits.max()
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, user: &str, address: IpAddr, now: Duration) {
        let mut failures = self.failures.lock();
        if failures.len() > REMEMBERED_MAX {
            failures.retain(|_, times| times.last().is_some_and(|time| now.saturating_sub(*time) < WINDOW));
            if failures.len() > REMEMBERED_MAX {
                failures.clear();
            }
        }
        for (key, max) in keys(user, address) {
            let times = failures.entry(key).or_default();
            times.push(now);
            if times.len() > max {
                times.remove(0);
            }
        }
    }

    /// Forgets the failures of who has logged in.
    pub(crate) fn succeeded(&self, user: &str, address: IpAddr) {
        self.failures.lock().remove(&Key::Pair(user.to_lowercase(), address));
    }
}

fn keys(user: &str, address: IpAddr) -> [(Key, usize); 3] {
    // Whatever is typed as a user's name must not fill the memory.
    let user: String = user.to_lowercase().chars().take(100).collect();
    [
        (Key::Pair(user.clone(), address), PAIR_MAX),
        (Key::Address(address), ADDRESS_MAX),
        (Key::User(user), USER_MAX),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_waits_and_others_do_not() {
        let attempts = Attempts::default();
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        let at = Duration::from_secs;
        for second in 0..5 {
            assert_eq!(attempts.wait("Admin", here, at(second)), None);
            attempts.failed("admin", here, at(second));
        }
        assert_eq!(attempts.wait("ADMIN", here, at(10)), Some(at(290)));
        assert_eq!(attempts.wait("admin", there, at(10)), None);
        assert_eq!(attempts.wait("other", here, at(10)), None);
        assert_eq!(attempts.wait("admin", here, at(301)), None);
        attempts.succeeded("admin", here);
        assert_eq!(attempts.wait("admin", here, at(10)), None);
    }

    #[test]
    fn one_address_cannot_try_all_names() {
        let attempts = Attempts::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        for number in 0..20 {
            attempts.failed(&format!("user-{number}"), here, Duration::ZERO);
        }
        assert!(attempts.wait("admin", here, Duration::from_secs(1)).is_some());
    }
}
