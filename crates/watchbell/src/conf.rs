//! Where configuration comes from: a directory, or what is built in.

use std::io;
use std::path::{Path, PathBuf};

/// The files that ship, for a start without a configuration directory.
const BUILT_IN: [(&str, &str); 9] = [
    ("prometheus.yaml", include_str!("../../../conf/prometheus.yaml")),
    ("prometheus_alert.rules", include_str!("../../../conf/prometheus_alert.rules")),
    ("loki.yaml", include_str!("../../../conf/loki.yaml")),
    ("loki-rules/fake/logs.yaml", include_str!("../../../conf/loki-rules/fake/logs.yaml")),
    ("alertmanager.yaml", include_str!("../../../conf/alertmanager.yaml")),
    ("dashboards/containers.json", include_str!("../../../conf/dashboards/containers.json")),
    ("dashboards/hosts.json", include_str!("../../../conf/dashboards/hosts.json")),
    ("dashboards/logs.json", include_str!("../../../conf/dashboards/logs.json")),
    ("dashboards/watchbell.json", include_str!("../../../conf/dashboards/watchbell.json")),
];

/// The configuration directory: `given`, else `./conf` where it exists, else the built-in files, written below `data`.
///
/// # Errors
/// Where `given` is no directory or the built-in files cannot be written.
pub(crate) fn directory(given: Option<&Path>, data: &Path) -> io::Result<PathBuf> {
    if let Some(given) = given {
        if given.is_dir() {
            return Ok(given.to_owned());
        }
        let message = format!("--conf {} is no directory", given.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let beside = Path::new("conf");
    if beside.join("prometheus.yaml").is_file() || beside.join("prometheus.yml").is_file() {
        return Ok(beside.to_owned());
    }
    let built_in = data.join("built-in-conf");
    for (name, content) in BUILT_IN {
        let path = built_in.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content)?;
    }
    Ok(built_in)
}

/// The first of `names` that is there; the first one where none is, so that the error names it.
pub(crate) fn file(dir: &Path, names: &[&str]) -> PathBuf {
    let found = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| dir.join(names.first().copied().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_directory_wins_and_a_missing_one_is_named() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(directory(Some(dir.path()), dir.path())?, dir.path());
        let missing =
            directory(Some(&dir.path().join("nope")), dir.path()).map_err(|error| error.to_string());
        assert!(missing.is_err_and(|message| message.contains("--conf") && message.contains("nope")));
        std::fs::write(dir.path().join("prometheus.yml"), "")?;
        assert_eq!(
            file(dir.path(), &["prometheus.yaml", "prometheus.yml"]),
            dir.path().join("prometheus.yml")
        );
        assert_eq!(file(dir.path(), &["loki.yaml", "loki.yml"]), dir.path().join("loki.yaml"));
        Ok(())
    }
}
