//! Target discovery: static, file, HTTP, DNS, Docker, Docker Swarm, Consul, Kubernetes and EC2; a kind that is known to
//! Prometheus and not built here is refused by name.
//!
//! A [`Discovery`] runs one task per configuration and holds the newest groups of all; a failed refresh keeps the last
//! good ones. New kinds implement [`Discoverer`].

#![warn(missing_docs)]

mod api;
mod config;
mod consul;
mod discoverer;
mod discovery;
mod dns;
mod docker;
mod dockerswarm;
mod ec2;
mod file;
mod glob;
mod http;
mod kubernetes;
mod meta;
mod metrics;
mod refresh;
mod relabel_config;
mod target_group;

pub use config::{DiscoveryConfig, FileConfig, HttpConfig};
pub use consul::ConsulConfig;
pub use discoverer::{Discoverer, Updates};
pub use discovery::{Discovery, DiscoveryEnv};
pub use dns::{DnsConfig, RecordType};
pub use docker::{Daemon, DockerConfig, DockerHost};
pub use dockerswarm::{DockerSwarmConfig, SwarmRole};
pub use ec2::Ec2Config;
pub use file::read_target_file;
pub use glob::{expand_glob, is_valid_glob};
pub use kubernetes::{Attach, KubernetesConfig, Role, Selector};
pub use metrics::Metrics;
pub use relabel_config::read_relabel_rules;
pub use target_group::{ADDRESS_LABEL, TargetGroup};
