//! Container metrics under cAdvisor's names: numbers from cgroup files (or the Docker API where those cannot be read), names
//! and states from the Docker API.

mod api_stats;
mod cgroup;
mod cgroup_v1;
mod cgroup_v2;
mod collect;
mod docker;
mod identity;
mod inventory;
mod machine;
mod options;
mod processes;
mod render;
mod stats;

pub(crate) use collect::ContainerCollectors;
pub(crate) use docker::{DockerError, DockerLink, DockerWatch};
pub(crate) use identity::identity_labels;
pub(crate) use inventory::{ContainerInfo, Inventory};
pub use options::ContainerOptions;
pub(crate) use options::{DEFAULT_OFF_SETS, METRIC_SETS};

#[cfg(test)]
mod tests;
