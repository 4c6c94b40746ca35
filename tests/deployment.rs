//! The files of a deployment agree with each other.

use std::collections::BTreeMap;

use serde_yaml::Value;
use testkit::text;

const COMPOSE_FILES: [&str; 3] =
    ["docker-compose.yml", "deploy/closed.yml", "deploy/target/docker-compose.yml"];

fn services(name: &str) -> BTreeMap<String, serde_yaml::Mapping> {
    let mut value: Value = serde_yaml::from_str(&text(name)).expect(name);
    value.apply_merge().expect("merge keys");
    serde_yaml::from_value(value["services"].clone()).expect(name)
}

#[test]
fn the_closed_deployment_differs_in_ports_alone() {
    let (mut open, closed) = (services("docker-compose.yml"), services("deploy/closed.yml"));
    for (name, service) in &mut open {
        if name != "grafana" {
            service.remove("ports");
        }
    }
    assert_eq!(closed, open);
}

#[test]
fn every_variable_stands_in_the_example_with_its_default() {
    let example = text(".env.example");
    let mut listed = BTreeMap::new();
    for line in example.lines().filter_map(|line| line.strip_prefix('#')) {
        if let Some((name, default)) = line.split_once('=')
            && !name.contains(' ')
        {
            listed.insert(name.to_owned(), default.to_owned());
        }
    }
    for file in COMPOSE_FILES {
        for variable in text(file).split("${").skip(1) {
            let variable = variable.split_once('}').expect("a closing brace").0;
            // With `-` alone an empty value counts too.
            let parts = variable.split_once(":-").or_else(|| variable.split_once('-'));
            let (name, default) = parts.expect("a default");
            // The agent of an added host has its own port, which its compose file names.
            if name == "WATCHBELL_AGENT_PORT" {
                continue;
            }
            assert_eq!(
                listed.get(name).map(String::as_str),
                Some(default),
                "{name} of {file} in .env.example"
            );
        }
    }
}

#[test]
fn each_service_has_its_own_user_and_directory() {
    let users = [
        ("grafana", "5677:5677", "grafana"),
        ("prometheus", "5678:5678", "prometheus"),
        ("alertmanager", "5679:5679", "alertmanager"),
        ("loki", "5680:5680", "loki"),
        ("cadvisor", "5681:5681", "agent"),
    ];
    let services = services("docker-compose.yml");
    let prepared = serde_yaml::to_string(&services["init"]["command"]).expect("a command");
    for (name, user, directory) in users {
        let service = &services[name];
        assert_eq!(service["user"].as_str(), Some(user), "user of {name}");
        assert!(prepared.contains(&format!("{directory}={user}")), "init makes no {directory} for {user}");
        let volumes = serde_yaml::to_string(&service["volumes"]).expect("volumes");
        assert!(volumes.contains(&format!("/{directory}:/")), "{name} has no data/{directory}: {volumes}");
    }
}
