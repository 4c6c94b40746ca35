//! Basic authentication with bcrypt hashes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::Secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use resources::Principal;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// Outcomes that are remembered, so that not every request costs a bcrypt.
const REMEMBERED_MAX: usize = 100;

/// Passwords that are checked at a time: each takes a core for a while.
const HASHES_MAX: usize = 2;

/// The hash that an unknown user's password is compared with, so that the time taken does not tell who exists.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Checks credentials; remembers what it checked.
#[derive(Debug)]
pub(crate) struct Authenticator {
    remembered: Mutex<HashMap<[u8; 32], bool>>,
    hashing: Semaphore,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self { remembered: Mutex::default(), hashing: Semaphore::new(HASHES_MAX) }
    }
}

impl Authenticator {
    /// Who sends these headers; `None` where the credentials are missing or wrong.
    pub(crate) async fn check(
        self: &Arc<Self>,
        headers: &HeaderMap,
        users: &BTreeMap<String, Secret>,
    ) -> Option<Principal> {
        if users.is_empty() {
            return Some(Principal::Anonymous);
        }
        let (user, password) = basic_credentials(headers)?;
        let known = users.get(&user);
        let hash = known.map_or(NOBODY, Secret::expose).to_owned();
        let mut digest = Sha256::new();
        for part in [&user, &hash, &password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        let fingerprint: [u8; 32] = digest.finalize().into();
        let remembered = self.remembered.lock().get(&fingerprint).copied();
        let right = match remembered {
            Some(right) => right,
            None => {
                let _permit = self.hashing.acquire().await.ok();
                let verified = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
                let right = matches!(verified.await, Ok(Ok(true)));
                let mut remembered = self.remembered.lock();
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.clear();
                }
                remembered.insert(fingerprint, right);
                right
            }
        };
        (right && known.is_some()).then(|| Principal::User(user.into()))
    }
}

/// User and password of an `Authorization: Basic` header.
pub fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
