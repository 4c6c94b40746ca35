//! Users and their passwords.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};
use config::Secret;
use parking_lot::Mutex;
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use state_store::{Keyspace, KeyspaceOptions, StateStore};

use crate::error::ApiError;

/// Characters of a generated password.
const GENERATED_LEN: usize = 20;
/// The shortest password that a user may choose.
pub(crate) const PASSWORD_LEN_MIN: usize = 8;
/// The longest one: more only costs time.
const PASSWORD_LEN_MAX: usize = 1000;
/// Right passwords that are remembered by their fingerprint, so that basic auth does not cost a hash per request.
const REMEMBERED_MAX: usize = 200;

/// What a user may do, as in Grafana.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Also saves dashboards and silences alerts.
    Editor,
    /// Everything.
    Admin,
}

impl Role {
    /// The role's name in Grafana's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::Admin => "Admin",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    password_hash: String,
    role: Role,
    /// Whether the password is the one that was generated at the first start.
    generated: bool,
}

/// A password reset that the `reset-password` command left for a running gateway.
#[derive(Serialize, Deserialize)]
struct Reset {
    user: String,
    password_hash: String,
}

/// The users. All calls block.
#[derive(Debug)]
pub(crate) struct Users {
    space: Keyspace<User>,
    data_dir: PathBuf,
    remembered: Mutex<HashMap<[u8; 32], Role>>,
    /// What an unknown user's password is compared with, so that the time taken does not tell who exists.
    nobody: String,
}

impl Users {
    pub(crate) fn open(store: &StateStore, data_dir: &Path) -> Result<Arc<Self>, ApiError> {
        let space = store.keyspace(KeyspaceOptions::new("users", 1))?;
        let nobody = hash(&generate())?;
        Ok(Arc::new(Self { space, data_dir: data_dir.to_owned(), remembered: Mutex::default(), nobody }))
    }

    /// Makes sure that the first user exists: with the password that is set, or with a generated one.
    pub(crate) fn ensure_admin(&self, name: &str, password: Option<&Secret>) -> Result<(), ApiError> {
        let present = self.space.get(name)?;
        match (password, &present) {
            (Some(password), Some(user)) if verify(password.expose(), &user.password_hash) => Ok(()),
            (Some(password), _) => self.set(name, password.expose(), Role::Admin, false),
            (None, Some(_)) => Ok(()),
            (None, None) => {
                let password = generate();
                let file = self.initial_password_file();
                write_private(&file, &password).map_err(|error| {
                    ApiError::from_io(&format!("cannot write {}", file.display()), &error)
                })?;
                self.set_hash(name, hash(&password)?, Role::Admin, true)
            }
        }
    }

    /// The generated password, while it is in use.
    pub(crate) fn initial_password(&self, name: &str) -> Option<String> {
        let generated = matches!(self.space.get(name), Ok(Some(user)) if user.generated);
        let text = generated.then(|| std::fs::read_to_string(self.initial_password_file()).ok())??;
        Some(text.trim().to_owned())
    }

    /// Whether the user still has the generated password.
    pub(crate) fn has_initial_password(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.space.get(name)?.is_some_and(|user| user.generated))
    }

    /// The role of a user who gives the right password.
    pub(crate) fn check(&self, name: &str, password: &str) -> Result<Option<Role>, ApiError> {
        if password.len() > PASSWORD_LEN_MAX {
            return Ok(None);
        }
        let user = self.space.get(name)?;
        let hash = user.as_ref().map_or(self.nobody.as_str(), |user| user.password_hash.as_str());
        let fingerprint = fingerprint(name, password, hash);
        if let Some(role) = self.remembered.lock().get(&fingerprint) {
            return Ok(Some(*role));
        }
        let right = verify(password, hash);
        let Some(user) = user.filter(|_| right) else { return Ok(None) };
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(fingerprint, user.role);
        Ok(Some(user.role))
    }

    /// The role of a user who has a session.
    pub(crate) fn role(&self, name: &str) -> Result<Option<Role>, ApiError> {
        Ok(self.space.get(name)?.map(|user| user.role))
    }

    /// Sets a new password that the user chose.
    pub(crate) fn change_password(&self, name: &str, new: &str) -> Result<(), ApiError> {
        if new.chars().count() < PASSWORD_LEN_MIN || new.len() > PASSWORD_LEN_MAX {
            let message =
                format!("the new password needs {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} characters");
            return Err(ApiError::bad_request(message));
        }
        let role = self.space.get(name)?.map_or(Role::Viewer, |user| user.role);
        self.set(name, new, role, false)
    }

    /// Takes over a reset that the command left, if there is one; returns the user.
    pub(crate) fn take_reset(&self) -> Result<Option<String>, ApiError> {
        let file = reset_file(&self.data_dir);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ApiError::from_io("cannot read the password reset", &error)),
        };
        let taken = match serde_json::from_slice::<Reset>(&text) {
            Ok(reset) => {
                let role = self.space.get(&reset.user)?.map_or(Role::Admin, |user| user.role);
                self.set_hash(&reset.user, reset.password_hash, role, false)?;
                Some(reset.user)
            }
            Err(error) => {
                tracing::warn!(path = %file.display(), error = %error, "password reset cannot be read, removed");
                None
            }
        };
        std::fs::remove_file(&file)
            .map_err(|error| ApiError::from_io("cannot remove the password reset", &error))?;
        self.forget_initial_password();
        Ok(taken)
    }

    fn set(&self, name: &str, password: &str, role: Role, generated: bool) -> Result<(), ApiError> {
        self.set_hash(name, hash(password)?, role, generated)?;
        self.forget_initial_password();
        Ok(())
    }

    fn set_hash(
        &self,
        name: &str,
        password_hash: String,
        role: Role,
        generated: bool,
    ) -> Result<(), ApiError> {
        self.remembered.lock().clear();
        Ok(self.space.put(name, &User { password_hash, role, generated })?)
    }

    fn initial_password_file(&self) -> PathBuf {
        self.data_dir.join("initial-password")
    }

    fn forget_initial_password(&self) {
        match std::fs::remove_file(self.initial_password_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(error = %error, "file with the first password cannot be removed");
            }
            _ => {}
        }
    }
}

impl ApiError {
    fn from_io(what: &str, error: &io::Error) -> Self {
        Self::new(http::StatusCode::SERVICE_UNAVAILABLE, format!("{what}: {error}"))
    }
}

fn reset_file(data_dir: &Path) -> PathBuf {
    data_dir.join("password-reset")
}

/// Leaves a new, generated password for `user` in the data directory; a running gateway takes it within seconds, another
/// one at its start. Blocks.
pub(crate) fn leave_reset(data_dir: &Path, user: &str) -> Result<String, ApiError> {
    let password = generate();
    let reset = Reset { user: user.to_owned(), password_hash: hash(&password)? };
    let file = reset_file(data_dir);
    let text = serde_json::to_string(&reset)
        .map_err(|error| ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    write_private(&file, &text)
        .map_err(|error| ApiError::from_io(&format!("cannot write {}", file.display()), &error))?;
    Ok(password)
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

fn generate() -> String {
    rand::rng().sample_iter(Alphanumeric).take(GENERATED_LEN).map(char::from).collect()
}

fn argon2() -> Argon2<'static> {
    Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::DEFAULT)
}

fn hash(password: &str) -> Result<String, ApiError> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| argon2().verify_password(password.as_bytes(), &parsed).is_ok())
}

fn fingerprint(name: &str, password: &str, hash: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [name, password, hash] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(dir: &Path) -> Arc<Users> {
        let disk = state_store::SimulatedDisk::new();
        let store = StateStore::open_simulated(&disk, &telemetry::Registry::new()).expect("the store opens");
        Users::open(&store, dir).expect("the keyspace opens")
    }

    #[test]
    fn the_first_password_is_generated_shown_and_forgotten_when_changed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let users = users(dir.path());
        users.ensure_admin("admin", None).unwrap();
        let password = users.initial_password("admin").unwrap();
        let mode = std::fs::metadata(dir.path().join("initial-password")).unwrap().permissions().mode();
        assert_eq!((password.len(), mode & 0o777), (GENERATED_LEN, 0o600));
        users.ensure_admin("admin", None).unwrap();
        for _again in 0..2 {
            assert_eq!(users.check("admin", &password).unwrap(), Some(Role::Admin));
        }
        assert_eq!(users.check("admin", "wrong").unwrap(), None);
        assert_eq!(users.check("nobody", &password).unwrap(), None);
        assert!(users.change_password("admin", "short").is_err());
        users.change_password("admin", "long enough").unwrap();
        assert_eq!(users.check("admin", &password).unwrap(), None);
        assert_eq!(
            (users.initial_password("admin"), users.has_initial_password("admin").unwrap()),
            (None, false)
        );
        assert!(!dir.path().join("initial-password").exists());
    }

    #[test]
    fn a_set_password_counts_at_every_start_and_a_reset_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let users = users(dir.path());
        users.ensure_admin("root", Some(&Secret::new("from the environment"))).unwrap();
        assert_eq!(users.check("root", "from the environment").unwrap(), Some(Role::Admin));
        let password = leave_reset(dir.path(), "root").unwrap();
        assert_eq!(users.take_reset().unwrap().as_deref(), Some("root"));
        assert_eq!(users.take_reset().unwrap(), None);
        assert_eq!(users.check("root", &password).unwrap(), Some(Role::Admin));
        users.ensure_admin("root", Some(&Secret::new("from the environment"))).unwrap();
        assert_eq!(users.check("root", &password).unwrap(), None);
    }
}
