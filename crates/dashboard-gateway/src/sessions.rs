//! Sessions: a random token in a cookie, its hash in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use state_store::{Keyspace, KeyspaceOptions, StateStore};
use sys::Clock;

use crate::error::ApiError;

/// The cookie's name.
pub(crate) const COOKIE: &str = "watchbell_session";
/// How long a session lives without being used, and in all (Grafana's defaults).
const IDLE_MAX: Duration = Duration::from_secs(7 * 86_400);
const AGE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// How stale the time of the last use may be in the store.
const SEEN_STALE: Duration = Duration::from_secs(600);
/// Sessions of all users; the one that was used least recently gives way.
const SESSIONS_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    user: String,
    created_ms: i64,
    seen_ms: i64,
}

/// All sessions. All calls but [`Self::user`] block.
#[derive(Debug)]
pub(crate) struct Sessions {
    space: Keyspace<Session>,
    clock: Arc<dyn Clock>,
    live: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    pub(crate) fn open(store: &StateStore, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ApiError> {
        let options =
            KeyspaceOptions { entries_max: SESSIONS_MAX + 100, ..KeyspaceOptions::new("sessions", 1) };
        let space: Keyspace<Session> = store.keyspace(options)?;
        let live = space.scan("")?.into_iter().collect();
        let sessions = Self { space, clock, live: Mutex::new(live) };
        sessions.sweep()?;
        Ok(Arc::new(sessions))
    }

    /// Begins a session and returns its token.
    pub(crate) fn begin(&self, user: &str) -> Result<String, ApiError> {
        let mut bytes = [0u8; 32];
        rand::rng().fill(&mut bytes);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let now_ms = self.clock.now_ms();
        let session = Session { user: user.to_owned(), created_ms: now_ms, seen_ms: now_ms };
        let key = key_of(&token);
        self.make_room()?;
        self.space.put(&key, &session)?;
        self.live.lock().insert(key, session);
        Ok(token)
    }

    /// The user of a token; `true` with it where [`Self::save_seen`] is due.
    pub(crate) fn user(&self, token: &str) -> Option<(String, bool)> {
        let now_ms = self.clock.now_ms();
        let mut live = self.live.lock();
        let session = live.get_mut(&key_of(token))?;
        if expired(session, now_ms) {
            return None;
        }
        let due = now_ms - session.seen_ms > SEEN_STALE.as_millis() as i64;
        if due {
            session.seen_ms = now_ms;
        }
        Some((session.user.clone(), due))
    }

    /// Stores when the session was used last.
    pub(crate) fn save_seen(&self, token: &str) -> Result<(), ApiError> {
        let key = key_of(token);
        let session = self.live.lock().get(&key).cloned();
        if let Some(session) = session {
            self.space.put(&key, &session)?;
        }
        Ok(())
    }

    /// Ends a session.
    pub(crate) fn end(&self, token: &str) -> Result<(), ApiError> {
        let key = key_of(token);
        self.live.lock().remove(&key);
        Ok(self.space.remove(&key)?)
    }

    /// Ends all sessions of a user, but for the one of `keep`: their password changed.
    pub(crate) fn end_all(&self, user: &str, keep: Option<&str>) -> Result<(), ApiError> {
        let keep = keep.map(key_of);
        self.remove_where(|key, session| session.user == user && Some(key) != keep.as_ref())
    }

    /// Forgets the sessions that have expired.
    pub(crate) fn sweep(&self) -> Result<(), ApiError> {
        let now_ms = self.clock.now_ms();
        self.remove_where(|_, session| expired(session, now_ms))
    }

    fn make_room(&self) -> Result<(), ApiError> {
        let oldest = {
            let live = self.live.lock();
            if live.len() < SESSIONS_MAX {
                return Ok(());
            }
            live.iter().min_by_key(|(_, session)| session.seen_ms).map(|(key, _)| key.clone())
        };
        self.remove_where(|key, _| Some(key) == oldest.as_ref())
    }

    fn remove_where(&self, gone: impl Fn(&String, &Session) -> bool) -> Result<(), ApiError> {
        let mut live = self.live.lock();
        let mut keys: Vec<String> =
            live.iter().filter(|(key, session)| gone(key, session)).map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        for key in &keys {
            live.remove(key);
        }
        drop(live);
        for key in keys {
            self.space.remove(&key)?;
        }
        Ok(())
    }
}

fn expired(session: &Session, now_ms: i64) -> bool {
    let over = |since_ms: i64, max: Duration| now_ms - since_ms > max.as_millis() as i64;
    over(session.seen_ms, IDLE_MAX) || over(session.created_ms, AGE_MAX)
}

/// The store never holds a token, so that who reads it cannot log in.
fn key_of(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_survive_a_restart_and_expire() {
        let store =
            || StateStore::open_simulated(&DISK.with(Clone::clone), &telemetry::Registry::new()).unwrap();
        let clock = Arc::new(sys::ManualClock::at_ms(1_000));
        let sessions = Sessions::open(&store(), clock.clone()).unwrap();
        let token = sessions.begin("admin").unwrap();
        let other = sessions.begin("admin").unwrap();
        let sessions = Sessions::open(&store(), clock.clone()).unwrap();
        assert_eq!(sessions.user(&token), Some(("admin".to_owned(), false)));
        assert_eq!(sessions.user("forged"), None);
        sessions.end_all("admin", Some(&token)).unwrap();
        assert_eq!(sessions.user(&other), None);
        clock.advance(Duration::from_secs(6 * 86_400));
        assert_eq!(sessions.user(&token), Some(("admin".to_owned(), true)));
        sessions.save_seen(&token).unwrap();
        clock.advance(Duration::from_secs(6 * 86_400));
        assert!(sessions.user(&token).is_some(), "its use has renewed it");
        clock.advance(Duration::from_secs(8 * 86_400));
        assert_eq!(sessions.user(&token), None);
        sessions.sweep().unwrap();
        assert!(sessions.space.is_empty());
    }

    thread_local! {
        static DISK: state_store::SimulatedDisk = state_store::SimulatedDisk::new();
    }
}
