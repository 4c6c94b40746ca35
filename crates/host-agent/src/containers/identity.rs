//! The labels that say which container a sample or a line is from: the same names and values on metrics and logs.

use super::inventory::ContainerInfo;

/// `container`, `compose_project`, `compose_service` and `host`, without those that are empty.
pub(crate) fn identity_labels<'a>(host: &'a str, container: &'a ContainerInfo) -> Vec<(&'a str, &'a str)> {
    let all: [(&'a str, &'a str); 4] = [
        ("compose_project", container.compose_project().unwrap_or("")),
        ("compose_service", container.compose_service().unwrap_or("")),
        ("container", container.name.as_str()),
        ("host", host),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
