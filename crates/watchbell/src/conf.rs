//! Where configuration comes from: a directory, or what is built in.

use std::io;
use std::path::{Path, PathBuf};

/// The files that ship, for a start without a configuration directory, and for what one leaves out.
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
/// The agent's file as it ships says what the agent does by itself, less what it reads where there is no Docker.
const VECTOR: &str = include_str!("../../../conf/vector.toml");

/// The names that each service's file may have.
pub(crate) const METRICS: [&str; 2] = ["prometheus.yaml", "prometheus.yml"];
pub(crate) const METRIC_RULES: [&str; 2] = ["prometheus_alert.rules", "alert.rules"];
pub(crate) const LOGS: [&str; 2] = ["loki.yaml", "loki.yml"];
pub(crate) const ALERTS: [&str; 2] = ["alertmanager.yaml", "alertmanager.yml"];
const AGENT: [&str; 4] = ["vector.toml", "vector.yaml", "vector.yml", "vector.json"];

/// The configuration that the services start with.
#[derive(Clone, Debug)]
pub(crate) struct Conf {
    dir: PathBuf,
    built_in: PathBuf,
}

impl Conf {
    /// The directory `given`, else `./conf` where it exists, else the built-in files, which are written below `data`.
    ///
    /// # Errors
    /// Where `given` is no directory or has none of the files, or the built-in files cannot be written.
    pub(crate) fn open(given: Option<&Path>, data: &Path) -> io::Result<Self> {
        let built_in = data.join("built-in-conf");
        let beside = Path::new("conf");
        let dir = match given {
            Some(given) if !given.is_dir() => {
                let message = format!("--conf {} is no directory", given.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, message));
            }
            Some(given) if !has_any(given) => {
                let wanted = [METRICS[0], LOGS[0], ALERTS[0], AGENT[0]].join(", ");
                let message = format!("--conf {} has none of {wanted}", given.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, message));
            }
            Some(given) => given.to_owned(),
            None if has_any(beside) => beside.to_owned(),
            None => built_in.clone(),
        };
        for (name, content) in BUILT_IN {
            let path = built_in.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, content)?;
        }
        Ok(Self { dir, built_in })
    }

    /// The first of `names` that is there, else the built-in file.
    pub(crate) fn file(&self, names: &[&str]) -> PathBuf {
        let default = names.first().copied().unwrap_or_default();
        find(&self.dir, names).unwrap_or_else(|| self.built_in.join(default))
    }

    /// A directory of the configuration, else the built-in one.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let own = self.dir.join(name);
        if own.is_dir() { own } else { self.built_in.join(name) }
    }

    /// The agent's file, where it is another than the one that ships.
    pub(crate) fn agent_file(&self) -> Option<PathBuf> {
        let own = find(&self.dir, &AGENT)?;
        let shipped = std::fs::read_to_string(&own).is_ok_and(|text| text == VECTOR);
        (!shipped).then_some(own)
    }

    /// The services' main files that the directory leaves out.
    pub(crate) fn left_out(&self) -> Vec<&'static str> {
        let all = [METRICS, METRIC_RULES, LOGS, ALERTS];
        all.into_iter().filter(|names| find(&self.dir, names).is_none()).map(|names| names[0]).collect()
    }
}

fn has_any(dir: &Path) -> bool {
    find(dir, &METRICS).or_else(|| find(dir, &LOGS)).or_else(|| find(dir, &ALERTS)).is_some()
        || find(dir, &AGENT).is_some()
}

fn find(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| dir.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_directory_wins_and_a_missing_one_is_named() -> io::Result<()> {
        let (dir, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let refused = |given: &Path| Conf::open(Some(given), data.path()).map_err(|error| error.to_string());
        assert!(refused(&dir.path().join("nope")).is_err_and(|message| message.contains("no directory")));
        assert!(refused(dir.path()).is_err_and(|message| message.contains("has none of prometheus.yaml")));
        std::fs::write(dir.path().join("prometheus.yml"), "")?;
        let conf = Conf::open(Some(dir.path()), data.path())?;
        assert_eq!(conf.file(&METRICS), dir.path().join("prometheus.yml"));
        Ok(())
    }

    #[test]
    fn what_a_directory_leaves_out_is_built_in() -> io::Result<()> {
        let (dir, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
        std::fs::write(dir.path().join("prometheus.yaml"), "")?;
        let conf = Conf::open(Some(dir.path()), data.path())?;
        assert_eq!(conf.left_out(), ["prometheus_alert.rules", "loki.yaml", "alertmanager.yaml"]);
        let built_in = conf.file(&LOGS);
        assert!(built_in.starts_with(data.path()) && built_in.is_file());
        assert!(conf.dir("dashboards").starts_with(data.path()));
        std::fs::create_dir(dir.path().join("dashboards"))?;
        assert!(conf.dir("dashboards").starts_with(dir.path()));
        Ok(())
    }

    #[test]
    fn the_agents_file_counts_where_it_is_not_the_shipped_one() -> io::Result<()> {
        let (dir, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let path = dir.path().join("vector.toml");
        for (text, counts) in [(VECTOR, false), ("[sources.a]\ntype = \"journald\"\n", true)] {
            std::fs::write(&path, text)?;
            let conf = Conf::open(Some(dir.path()), data.path())?;
            assert_eq!(conf.agent_file(), counts.then(|| path.clone()));
        }
        Ok(())
    }
}
