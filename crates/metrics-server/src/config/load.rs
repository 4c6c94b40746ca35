//! From files to a configuration that can be applied.

use std::path::{Path, PathBuf};

use ::config::Document;
use service::Failure;

use super::{Config, Global, LoadedConfig, ScrapeConfig, repeated_job, rule_file};

/// Other places for rule files: where one process serves another machine's files.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathAliases(Vec<(PathBuf, PathBuf)>);

impl PathAliases {
    /// Reads entries of the form `FROM=TO`.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, Failure> {
        let one = |entry: &String| {
            let (from, to) = entry
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--config.path-alias: {entry:?} is not FROM=TO")))?;
            Ok((PathBuf::from(from), PathBuf::from(to)))
        };
        entries.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    fn apply<'p>(&'p self, path: &'p Path) -> &'p Path {
        self.0.iter().find(|(from, _)| from == path).map_or(path, |(_, to)| to)
    }
}

/// Reads the configuration and all rule files. `.yml` and `.yaml` stand in for each other where only the other one is there.
/// Blocks.
///
/// # Errors
/// With all errors of all files, each with its place.
pub(crate) fn load(path: &Path, aliases: &PathAliases) -> Result<LoadedConfig, Failure> {
    let path = &existing(path);
    let Syntax { mut config, mut warnings, document } = load_syntax(path)?;
    let mut rule_files = Vec::new();
    let mut errors = Vec::new();
    for pattern in &config.rule_files {
        let found = discovery::expand_glob(aliases.apply(pattern)).map_err(Failure::usage)?;
        if found.is_empty() {
            warnings.push(format!(
                "{}: rule_files: {} matches no file, so no rules come from it",
                path.display(),
                pattern.display()
            ));
        }
        for file in found {
            match rule_file::load(&file, false) {
                Ok(rules) => {
                    rule_files.push(rules.file);
                    warnings.extend(rules.warnings);
                }
                Err(more) => errors.extend(more.lines),
            }
        }
    }
    errors.extend(load_job_files(path, &mut config, &mut warnings)?);
    if !errors.is_empty() {
        return Err(Failure::usage(errors.join("\n")));
    }
    // A file that two patterns name counts once.
    rule_files.sort_by(|a, b| a.path.cmp(&b.path));
    rule_files.dedup_by(|a, b| a.path == b.path);
    Ok(LoadedConfig { config, rule_files, warnings, yaml: document.to_masked_yaml() })
}

/// A configuration file by itself: no other file has been looked at.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<String>,
    pub(crate) document: Document,
}

/// Reads the file and nothing that it names. Blocks.
pub(crate) fn load_syntax(path: &Path) -> Result<Syntax, Failure> {
    let document = Document::load(&existing(path))?;
    let loaded = document.read(Config::read)?;
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    Ok(Syntax { config: loaded.value, warnings, document })
}

/// Adds the jobs of `scrape_config_files` and returns what is wrong with them. Blocks.
pub(crate) fn load_job_files(
    path: &Path,
    config: &mut Config,
    warnings: &mut Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut errors = Vec::new();
    for pattern in config.scrape_config_files.clone() {
        for file in discovery::expand_glob(&pattern).map_err(Failure::usage)? {
            match load_jobs(&file, &config.global) {
                Ok((jobs, more)) => {
                    config.scrape_configs.extend(jobs);
                    warnings.extend(more);
                }
                Err(failure) => errors.push(failure.to_string()),
            }
        }
    }
    if let Some(name) = repeated_job(&config.scrape_configs) {
        errors.push(format!("{}: found multiple scrape configs with job name {name:?}", path.display()));
    }
    Ok(errors)
}

/// The jobs of one of `scrape_config_files`; paths in it start at its directory.
fn load_jobs(
    path: &Path,
    global: &Global,
) -> Result<(Vec<ScrapeConfig>, Vec<String>), ::config::ConfigErrors> {
    let document = Document::load(path)?;
    let loaded = document.read(|root| {
        let map = root.map()?;
        let jobs = map.read_or("scrape_configs", Vec::new(), |node| {
            node.list_of(|item| ScrapeConfig::read(item, global))
        })?;
        map.finish()?;
        Ok(jobs)
    })?;
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    Ok((loaded.value, warnings))
}

fn existing(path: &Path) -> PathBuf {
    let other = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yml") => path.with_extension("yaml"),
        Some("yaml") => path.with_extension("yml"),
        _ => return path.to_owned(),
    };
    if !path.exists() && other.exists() { other } else { path.to_owned() }
}
