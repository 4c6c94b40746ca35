//! Secrets that cannot be printed by accident.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

/// What is shown in a secret's place.
pub const MASK: &str = "<secret>";
/// What is shown instead of a URL that is secret, where clients want to read one.
pub(crate) const MASK_URL: &str = "http://<secret>";

/// How many bytes a secret's file may have.
const SECRET_FILE_BYTES_MAX: u64 = 1 << 20;

/// A text that shows itself only to who asks for it by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a `*_file`: the file's text without white space at its ends. Such files are read again at each use, as they
    /// are replaced while the service runs. Blocks.
    pub fn read_file(path: &Path) -> std::io::Result<Self> {
        let len = std::fs::metadata(path)?.len();
        if len > SECRET_FILE_BYTES_MAX {
            let message =
                format!("{} has {len} bytes, a secret may have {SECRET_FILE_BYTES_MAX}", path.display());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        Ok(Self(std::fs::read_to_string(path)?.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// An empty secret is shown empty, any other one as [`MASK`].
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { MASK })
    }
}

/// A URL with its password, if it has one, shown as `xxxxx`.
pub fn mask_url_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_len = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_len);
    match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:xxxxx@{host}{tail}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "<secret> <secret>");
        assert_eq!(serde_yaml::to_string(&secret).unwrap().trim(), "<secret>");
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, shown) in [
            ("http://a:b@h:1/p?q", "http://a:xxxxx@h:1/p?q"),
            ("http://a:b@c@h", "http://a:xxxxx@h"),
            ("http://a@h/x:y@z", "http://a@h/x:y@z"),
            ("h:1", "h:1"),
        ] {
            assert_eq!(mask_url_password(url), shown);
        }
    }
}
