//! `check config`: the configuration, and every file that it names.

use std::path::{Path, PathBuf};

use clap::Args;
use discovery::{ADDRESS_LABEL, DiscoveryConfig, TargetGroup, expand_glob, read_target_file};
use http_client::{HttpClientConfig, SecretSource};
use model::{format_duration_ms, parse_duration_ms};
use service::Failure;

use super::Verdict;
use super::rules::{self, Lint};
use crate::cli::console::{complain, print};
use crate::config::{Config, ScrapeConfig, Syntax, load_job_files, load_syntax};

/// `check config`
#[derive(Args, Clone, Debug)]
pub struct ConfigFlags {
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Look at the files alone, not at those that they name
    #[arg(long = "syntax-only")]
    syntax_only: bool,
    /// Checks of style: all, duplicate-rules, too-long-scrape-interval, none; separated by commas
    #[arg(long, value_name = "CHECKS", default_value = "duplicate-rules")]
    lint: String,
    /// End with 3 where a check of style fails
    #[arg(long = "lint-fatal")]
    lint_fatal: bool,
    /// Only warn of unknown keys in rule files
    #[arg(long = "ignore-unknown-fields")]
    ignore_unknown_fields: bool,
    /// Check for a server in agent mode
    #[arg(long)]
    agent: bool,
    /// What the server looks back, for too-long-scrape-interval
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = lookback)]
    lookback_ms: i64,
}

fn lookback(text: &str) -> Result<i64, String> {
    parse_duration_ms(text).map_err(|error| error.to_string())
}

/// What is left to be looked at once a configuration is found good.
struct Checked {
    rule_files: Vec<PathBuf>,
    jobs: Vec<ScrapeConfig>,
}

impl ConfigFlags {
    pub(super) fn run(self) -> Result<(), Failure> {
        let lint = Lint::parse(&self.lint, self.ignore_unknown_fields)?;
        let mut verdict = Verdict::default();
        for file in &self.files {
            print(&format!("Checking {}\n", file.display()))?;
            let checked = match self.check(file) {
                Ok(checked) => {
                    if !checked.rule_files.is_empty() {
                        print(&format!("  SUCCESS: {} rule files found\n", checked.rule_files.len()))?;
                    }
                    print(&format!(" SUCCESS: {} is valid prometheus config file syntax\n", file.display()))?;
                    Some(checked)
                }
                Err(failure) => {
                    complain(&format!("  FAILED: {failure}\n"));
                    verdict.join(Verdict { failed: true, has_errors: true });
                    None
                }
            };
            print("\n")?;
            if let Some(checked) = checked.filter(|_| !self.syntax_only) {
                verdict.join(self.lint_jobs(&checked.jobs, lint));
                verdict.join(rules::check_files(&checked.rule_files, lint)?);
            }
        }
        verdict.outcome(self.lint_fatal)
    }

    fn check(&self, file: &Path) -> Result<Checked, Failure> {
        let Syntax { mut config, mut warnings, .. } = load_syntax(file)?;
        if self.agent {
            check_agent(&config)?;
        }
        let mut rule_files = Vec::new();
        if !self.syntax_only {
            for pattern in &config.rule_files {
                let found = expand_glob(pattern).map_err(Failure::runtime)?;
                if found.is_empty() && !pattern.to_string_lossy().contains('*') {
                    let shown = pattern.display();
                    return Err(Failure::runtime(format!("\"{shown}\" does not point to an existing file")));
                }
                rule_files.extend(found);
            }
            let errors = load_job_files(file, &mut config, &mut warnings)?;
            if !errors.is_empty() {
                return Err(Failure::runtime(errors.join("\n")));
            }
            check_named_files(&config, &mut warnings)?;
        }
        for warning in warnings {
            print(&format!("  WARNING: {warning}\n"))?;
        }
        Ok(Checked { rule_files, jobs: config.scrape_configs })
    }

    fn lint_jobs(&self, jobs: &[ScrapeConfig], lint: Lint) -> Verdict {
        let longest = jobs.iter().find(|job| job.interval.as_millis() as i64 >= self.lookback_ms);
        match longest.filter(|_| lint.long_intervals) {
            None => Verdict::default(),
            Some(job) => {
                complain(&format!(
                    "  FAILED: too long scrape interval found, data point will be marked as stale - job: {}, interval: {}\n",
                    job.job_name,
                    format_duration_ms(job.interval.as_millis() as i64)
                ));
                Verdict { failed: true, has_errors: false }
            }
        }
    }
}

fn check_agent(config: &Config) -> Result<(), Failure> {
    let refused = [
        ("rule_files", !config.rule_files.is_empty()),
        ("alerting", !config.alerting.alertmanagers.is_empty()),
    ];
    match refused.iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => Err(Failure::runtime(format!("field {key} is not allowed in agent mode"))),
        None if config.remote_write.is_empty() => {
            Err(Failure::runtime("at least one remote_write target must be specified in agent mode"))
        }
        None => Ok(()),
    }
}

fn check_named_files(config: &Config, warnings: &mut Vec<String>) -> Result<(), Failure> {
    for job in &config.scrape_configs {
        let may_have_paths = !job.relabel.is_empty();
        check_client(&job.client)?;
        let place = format!("scrape job {:?}", job.job_name);
        for discovery in &job.discovery {
            check_discovery(discovery, &place, may_have_paths, warnings)?;
        }
    }
    for alertmanager in &config.alerting.alertmanagers {
        check_client(&alertmanager.client)?;
        let may_have_paths = !alertmanager.relabel.is_empty();
        for discovery in &alertmanager.discovery {
            check_discovery(discovery, "alertmanager config", may_have_paths, warnings)?;
        }
    }
    for entry in &config.remote_write {
        check_client(&entry.client)?;
    }
    Ok(())
}

/// The files of a client's secrets and certificates have to be there.
fn check_client(client: &HttpClientConfig) -> Result<(), Failure> {
    let authorization = client.authorization.as_ref().and_then(|block| block.credentials.as_ref());
    let basic = client.basic_auth.as_ref();
    let sources = [
        ("authorization credentials or bearer token", authorization),
        ("basic auth username", basic.and_then(|basic| basic.username.as_ref())),
        ("basic auth password", basic.and_then(|basic| basic.password.as_ref())),
        ("ca", client.tls.ca.as_ref()),
        ("client cert", client.tls.cert.as_ref()),
        ("client key", client.tls.key.as_ref()),
    ];
    for (what, source) in sources {
        if let Some(SecretSource::File(path)) = source
            && let Err(error) = std::fs::metadata(path)
        {
            let path = path.display();
            return Err(Failure::runtime(format!("error checking {what} file \"{path}\": {error}")));
        }
    }
    Ok(())
}

fn check_discovery(
    discovery: &DiscoveryConfig,
    place: &str,
    may_have_paths: bool,
    warnings: &mut Vec<String>,
) -> Result<(), Failure> {
    let DiscoveryConfig::File(config) = discovery else { return Ok(()) };
    for pattern in &config.files {
        let found = expand_glob(pattern).map_err(Failure::runtime)?;
        if found.is_empty() {
            let pattern = pattern.display();
            warnings.push(format!("file \"{pattern}\" for file_sd in {place} does not exist"));
        }
        for file in found {
            let groups = read_target_file(&file).map_err(|error| {
                Failure::runtime(format!("checking SD file \"{}\": {error}", file.display()))
            })?;
            if !may_have_paths {
                check_addresses(&groups)?;
            }
        }
    }
    Ok(())
}

/// A path in an address is a mistake where no rule could take it apart.
fn check_addresses(groups: &[TargetGroup]) -> Result<(), Failure> {
    let targets = groups.iter().flat_map(|group| &group.targets);
    match targets.map(|target| target.value(ADDRESS_LABEL)).find(|address| address.contains('/')) {
        Some(address) => Err(Failure::runtime(format!("{address:?} is not a valid hostname"))),
        None => Ok(()),
    }
}
