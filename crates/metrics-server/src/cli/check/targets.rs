//! `check service-discovery`: what a job finds, before and after relabelling.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use discovery::{ADDRESS_LABEL, Discovery, DiscoveryEnv, TargetGroup};
use http_client::HostAliases;
use model::{Labels, LabelsBuilder, parse_duration_ms};
use serde_json::{Map, Value, json};
use service::Failure;

use crate::cli::console::{FAILED, complain, print};
use crate::config::{ScrapeConfig, load_job_files, load_syntax};
use crate::scrape::{Outcome, before_relabelling, from_groups};

/// `check service-discovery`
#[derive(Args, Clone, Debug)]
pub struct DiscoveryFlags {
    /// The configuration file
    config: PathBuf,
    /// The job's name
    job: String,
    /// How long to wait for all discoveries of the job
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration_ms(text)
        .map(|ms| Duration::from_millis(ms.unsigned_abs()))
        .map_err(|error| error.to_string())
}

impl DiscoveryFlags {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let refused = |failure: Failure| {
            complain(&format!("Cannot load config {failure}\n"));
            Failure::told(FAILED)
        };
        let mut loaded = load_syntax(&self.config).map_err(refused)?;
        let errors =
            load_job_files(&self.config, &mut loaded.config, &mut loaded.warnings).map_err(refused)?;
        if !errors.is_empty() {
            return Err(refused(Failure::runtime(errors.join("\n"))));
        }
        let jobs = loaded.config.scrape_configs;
        let Some(job) = jobs.iter().find(|job| job.job_name == self.job) else {
            let names: String = jobs.iter().map(|job| format!("\t{}\n", job.job_name)).collect();
            complain(&format!("Job {} not found. Select one of:\n{names}", self.job));
            return Err(Failure::told(FAILED));
        };
        let groups = self.discover(job).await?;
        let mut shown: Vec<Value> = Vec::new();
        for group in &groups {
            for target in &group.targets {
                let target = described(group, target, job);
                if !shown.contains(&target) {
                    shown.push(target);
                }
            }
        }
        let text = serde_json::to_string_pretty(&Value::Array(shown)).map_err(Failure::runtime)?;
        print(&text)
    }

    async fn discover(&self, job: &ScrapeConfig) -> Result<Vec<TargetGroup>, Failure> {
        let env = DiscoveryEnv {
            metrics: discovery::Metrics::register(&telemetry::Registry::new()),
            user_agent: concat!("watchbell-metrics/", env!("CARGO_PKG_VERSION")).to_owned(),
            aliases: HostAliases::default(),
        };
        let discovery = Discovery::start(&job.job_name, "scrape", &job.discovery, &env)
            .map_err(|error| Failure::runtime(error.chain()))?;
        let mut changes = discovery.subscribe();
        let complete = async { while !discovery.is_complete() && changes.changed().await.is_ok() {} };
        if tokio::time::timeout(self.timeout, complete).await.is_err() {
            complain("not every discovery of the job has answered in time\n");
        }
        let groups = discovery.groups();
        discovery.stop().await;
        Ok(groups)
    }
}

fn described(group: &TargetGroup, target: &Labels, job: &ScrapeConfig) -> Value {
    let mut labels = LabelsBuilder::from_labels(&group.labels);
    for (name, value) in target.iter() {
        labels.set(name, value);
    }
    let mut labels = before_relabelling(&labels.build(), job);
    let discovered = labels.build();
    let one = TargetGroup { targets: vec![target.clone()], ..group.clone() };
    let outcome = from_groups(&[one], job).pop();
    let is_dropped = matches!(outcome, Some(Outcome::Dropped(..)));
    if is_dropped || !job.relabel.iter().all(|rule| rule.apply(&mut labels)) {
        return json!({"discoveredLabels": as_map(&discovered), "labels": {}});
    }
    if labels.get("instance").is_none() {
        let address = labels.get(ADDRESS_LABEL).unwrap_or_default().to_owned();
        labels.set("instance", &address);
    }
    labels.retain(|name, _| !name.starts_with("__meta_"));
    let mut shown = json!({"discoveredLabels": as_map(&discovered), "labels": as_map(&labels.build())});
    if let Some(Outcome::Failed(reason)) = outcome {
        shown["labels"] = json!({});
        shown["error"] = Value::String(reason);
    }
    shown
}

fn as_map(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::String(value.to_owned()))).collect()
}
