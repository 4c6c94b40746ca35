//! Every kind against a server on loopback that gives recorded answers.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use super::*;
use crate::dns::{DnsDiscovery, Resolver};
use crate::refresh::Refresh;

/// A server that answers paths; what is not there is a 404. A path's last answer is given again and again.
struct Recorded {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

/// Answers of a path in order; each with headers and a body.
type Answers = HashMap<String, Vec<(String, String)>>;

fn serve(answers: &[(&str, &str)]) -> Recorded {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let mut all = Answers::new();
    for (path, body) in answers {
        let (path, headers) = path.split_once(' ').unwrap_or((path, ""));
        let header = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
        all.entry(path.to_owned()).or_default().push((header, (*body).to_owned()));
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buf = [0; 8192];
            let Ok(len) = stream.read(&mut buf) else { continue };
            let request = String::from_utf8_lossy(&buf[..len]).into_owned();
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let path = target.split('?').next().unwrap_or_default();
            let path = if target.contains("watch=true") { format!("{path}?watch") } else { path.to_owned() };
            let answer = all
                .get_mut(&path)
                .map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
            noted.lock().expect("alive").push(request);
            let (status, (headers, body)) = match answer {
                Some(answer) => ("200 OK", answer),
                None => ("404 Not Found", Default::default()),
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .ok();
        }
    });
    Recorded { address, seen }
}

impl Recorded {
    fn has_seen(&self, part: &str) -> bool {
        self.seen.lock().expect("alive").iter().any(|request| request.contains(part))
    }
}

/// The first targets that are found, each as its labels with those of its group.
async fn found(yaml: &str) -> Vec<Vec<(String, String)>> {
    let discovery = start(yaml);
    let mut version = discovery.subscribe();
    while discovery.groups().iter().all(|group| group.targets.is_empty()) {
        version.changed().await.expect("discovery lives");
    }
    let targets = all_targets(&discovery);
    discovery.stop().await;
    targets
}

fn all_targets(discovery: &Discovery) -> Vec<Vec<(String, String)>> {
    let merged = |group: &TargetGroup, target: &model::Labels| {
        let pairs = group.labels.iter().chain(target.iter());
        let labels = model::Labels::from_pairs(pairs);
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    let groups = discovery.groups();
    groups.iter().flat_map(|group| group.targets.iter().map(move |target| merged(group, target))).collect()
}

/// Compares a target with lines of `name value`, the prefix left out.
fn assert_target(target: &[(String, String)], prefix: &str, expected: &str) {
    let short = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    let mut shown: Vec<String> =
        target.iter().map(|(name, value)| format!("{} {value}", short(name))).collect();
    let mut expected: Vec<String> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
}

const NETWORKS: &str =
    r#"[{"Id":"n1","Name":"front","Scope":"local","Internal":false,"Ingress":false,"Labels":{"a.b":"c"}}]"#;

#[tokio::test]
async fn containers_are_found_with_their_ports_and_networks() {
    let containers = r#"[
      {"Id":"c1","Names":["/web"],"Image":"nginx:1","ImageID":"sha256:1","HostConfig":{"NetworkMode":"front"},
       "Labels":{"com.x/role":"edge"},"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":53,"Type":"udp"}],
       "NetworkSettings":{"Networks":{"zz":{"NetworkID":"n2","IPAddress":"10.0.0.9"},"front":{"NetworkID":"n1","IPAddress":"10.0.0.2"}}}},
      {"Id":"c2","Names":["/side"],"HostConfig":{"NetworkMode":"container:c1"},"Ports":[],"NetworkSettings":{"Networks":{}}},
      {"Id":"c3","Names":["/host"],"HostConfig":{"NetworkMode":"host"},"Ports":[],"NetworkSettings":{"Networks":{"host":{"NetworkID":"n3","IPAddress":""}}}},
      {"Id":"c4","Names":[],"HostConfig":{"NetworkMode":"front"},"NetworkSettings":{"Networks":{}}}]"#;
    let server = serve(&[("/containers/json", containers), ("/networks", NETWORKS)]);
    let yaml = format!(
        "docker_sd_configs: [{{host: 'tcp://{}', port: 90, filters: [{{name: status, values: [running]}}]}}]",
        server.address
    );
    let targets = found(&yaml).await;
    assert_eq!(targets.len(), 3);
    let network = "network_id n1\nnetwork_name front\nnetwork_scope local\nnetwork_internal false\nnetwork_ingress false\nnetwork_label_a_b c\nnetwork_ip 10.0.0.2\n";
    assert_target(
        &targets[0],
        "__meta_docker_",
        &format!(
            "{network}__address__ 10.0.0.2:80\ncontainer_id c1\ncontainer_name /web\ncontainer_image nginx:1\ncontainer_image_id sha256:1\ncontainer_network_mode front\ncontainer_label_com_x_role edge\nport_private 80\nport_public 8080\nport_public_ip 0.0.0.0"
        ),
    );
    assert_target(
        &targets[1],
        "__meta_docker_",
        &format!(
            "{network}__address__ 10.0.0.2:90\ncontainer_id c2\ncontainer_name /side\ncontainer_network_mode container:c1"
        ),
    );
    assert_target(
        &targets[2],
        "__meta_docker_",
        "__address__ localhost\ncontainer_id c3\ncontainer_name /host\ncontainer_network_mode host",
    );
    assert!(server.has_seen("filters=%7B%22status%22%3A%7B%22running%22%3Atrue%7D%7D"));
    let all = yaml.replace("port: 90", "port: 90, match_first_network: false");
    assert_eq!(found(&all).await.len(), 5, "each network of each container");
}

#[tokio::test]
async fn a_daemon_is_reached_over_its_socket() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("docker.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buf = [0; 4096];
            let len = stream.read(&mut buf).unwrap_or(0);
            let is_list = String::from_utf8_lossy(&buf[..len]).contains("/containers/json");
            let body = if is_list {
                r#"[{"Id":"c","Names":["/c"],"HostConfig":{"NetworkMode":"b"},"NetworkSettings":{"Networks":{"b":{"NetworkID":"n1","IPAddress":"10.1.1.1"}}}}]"#
            } else {
                NETWORKS
            };
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .ok();
        }
    });
    let targets = found(&format!("docker_sd_configs: [{{host: 'unix://{}'}}]", path.display())).await;
    assert!(targets[0].contains(&("__address__".to_owned(), "10.1.1.1:80".to_owned())), "{targets:?}");
}

const SERVICES: &str = r#"[{"ID":"s1","Spec":{"Name":"web","Labels":{"tier":"1"},"Mode":{"Replicated":{"Replicas":2}},
  "TaskTemplate":{"ContainerSpec":{"Image":"nginx","Hostname":"h"}}},"UpdateStatus":{"State":"completed"},
  "Endpoint":{"Ports":[{"Name":"http","Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":"ingress"},{"Protocol":"udp","PublishedPort":53}],
  "VirtualIPs":[{"NetworkID":"n1","Addr":"10.0.0.5/24"}]}}]"#;
const NODES: &str = r#"[{"ID":"nd1","Spec":{"Role":"manager","Availability":"active","Labels":{"rack":"a"}},
  "Description":{"Hostname":"host1","Platform":{"Architecture":"x86_64","OS":"linux"},"Engine":{"EngineVersion":"25"}},
  "Status":{"State":"ready","Addr":"192.0.2.1"},"ManagerStatus":{"Leader":true,"Reachability":"reachable","Addr":"192.0.2.1:2377"}}]"#;
const TASKS: &str = r#"[{"ID":"t1","ServiceID":"s1","NodeID":"nd1","Slot":2,"DesiredState":"running",
  "Spec":{"ContainerSpec":{"Labels":{"x":"y"}}},"Status":{"State":"running","ContainerStatus":{"ContainerID":"cc"},
  "PortStatus":{"Ports":[{"Protocol":"tcp","PublishedPort":9000,"PublishMode":"host"}]}},
  "NetworksAttachments":[{"Network":{"ID":"n1"},"Addresses":["10.0.0.7/24"]}]}]"#;

#[tokio::test]
async fn a_swarm_shows_services_tasks_and_nodes() {
    let server =
        serve(&[("/services", SERVICES), ("/nodes", NODES), ("/tasks", TASKS), ("/networks", NETWORKS)]);
    let yaml =
        |role: &str| format!("dockerswarm_sd_configs: [{{host: 'http://{}', role: {role}}}]", server.address);
    let network = "network_id n1\nnetwork_name front\nnetwork_scope local\nnetwork_internal false\nnetwork_ingress false\nnetwork_label_a_b c\n";
    let service = "service_id s1\nservice_name web\nservice_mode replicated\nservice_label_tier 1\n";
    let node = "node_id nd1\nnode_role manager\nnode_availability active\nnode_hostname host1\nnode_platform_architecture x86_64\nnode_platform_os linux\nnode_status ready\nnode_address 192.0.2.1\nnode_label_rack a\n";
    let services = found(&yaml("services")).await;
    assert_target(
        &services[0],
        "__meta_dockerswarm_",
        &format!(
            "{network}{service}__address__ 10.0.0.5:8080\nservice_task_container_hostname h\nservice_task_container_image nginx\nservice_updating_status completed\nservice_endpoint_port_name http\nservice_endpoint_port_publish_mode ingress"
        ),
    );
    assert_eq!(services.len(), 1);
    let nodes = found(&yaml("nodes")).await;
    assert_target(
        &nodes[0],
        "__meta_dockerswarm_",
        &format!(
            "{node}__address__ 192.0.2.1:80\nnode_engine_version 25\nnode_manager_leader true\nnode_manager_reachability reachable\nnode_manager_address 192.0.2.1:2377"
        ),
    );
    let tasks = found(&yaml("tasks")).await;
    let task = format!(
        "{service}{node}task_id t1\ntask_slot 2\ntask_state running\ntask_desired_state running\ntask_container_id cc\ncontainer_label_x y\n"
    );
    assert_eq!(tasks.len(), 2);
    let at =
        |address: &str, mode: &str| format!("{task}__address__ {address}\ntask_port_publish_mode {mode}\n");
    assert_target(&tasks[0], "__meta_dockerswarm_", &at("192.0.2.1:9000", "host"));
    assert_target(&tasks[1], "__meta_dockerswarm_", &format!("{network}{}", at("10.0.0.7:8080", "ingress")));
}

#[tokio::test]
async fn a_catalog_is_followed() {
    let health = r#"[{"Node":{"Node":"host1","Address":"10.0.0.1","TaggedAddresses":{"lan":"10.0.0.1"},"Meta":{"rack":"a"}},
      "Service":{"ID":"web-1","Address":"10.0.0.3","Port":80,"Tags":["prod","v1"],"Meta":{"k-v":"x"},"Namespace":"default","Partition":"p"},
      "Checks":[{"CheckID":"c","Status":"passing"},{"CheckID":"d","Status":"warning"}]},
      {"Node":{"Node":"host2","Address":"10.0.0.2"},"Service":{"ID":"web-2","Address":"","Port":81,"Tags":[]},"Checks":[]}]"#;
    let server = serve(&[
        ("/v1/agent/self", r#"{"Config":{"Datacenter":"dc1"}}"#),
        ("/v1/catalog/services X-Consul-Index:7", r#"{"consul":[],"web":["prod","v1"]}"#),
        ("/v1/health/service/web X-Consul-Index:9", health),
    ]);
    let yaml = format!(
        "consul_sd_configs: [{{server: '{}', token: secret, tags: [prod], node_meta: {{r: x}}, tag_separator: '|'}}]",
        server.address
    );
    let targets = found(&yaml).await;
    assert_eq!(targets.len(), 2);
    assert_target(
        &targets[0],
        "__meta_consul_",
        "__address__ 10.0.0.3:80\naddress 10.0.0.1\ndc dc1\nhealth warning\nnamespace default\npartition p\nmetadata_rack a\nnode host1\nservice web\nservice_address 10.0.0.3\nservice_id web-1\nservice_metadata_k_v x\nservice_port 80\ntagged_address_lan 10.0.0.1\ntags |prod|v1|",
    );
    assert_target(
        &targets[1],
        "__meta_consul_",
        "__address__ 10.0.0.2:81\naddress 10.0.0.2\ndc dc1\nhealth passing\nnode host2\nservice web\nservice_id web-2\nservice_port 81\ntags ||",
    );
    for part in [
        "x-consul-token: secret",
        "stale=",
        "node-meta=r%3Ax",
        "index=0",
        "wait=120000ms",
        "tag=prod",
        "dc=dc1",
    ] {
        assert!(server.has_seen(part), "{part}");
    }
    assert!(!server.has_seen("/v1/health/service/consul"), "only services with the tag are followed");
}

/// A DNS server that knows two names.
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut buf = [0; 512];
        while let Ok((len, peer)) = socket.recv_from(&mut buf) {
            let question = &buf[12..len];
            let mut answer = buf[..len].to_vec();
            let (flags, records): (u8, Vec<Vec<u8>>) = match question {
                question if question.starts_with(b"\x03srv") => {
                    // Priority, weight, port 9100; the name points back to the question's second label.
                    (0x80, vec![[&[0, 1, 0, 1, 0x23, 0x8c, 4][..], b"host", &[0xc0, 16]].concat()])
                }
                question if question.starts_with(b"\x01a") => {
                    (0x80, vec![vec![10, 0, 0, 1], vec![10, 0, 0, 2]])
                }
                question if question.starts_with(b"\x04fail") => (0x82, Vec::new()),
                _ => (0x83, Vec::new()),
            };
            (answer[2], answer[3], answer[7]) = (0x81, flags, records.len() as u8);
            let kind = &buf[len - 4..len - 2];
            for data in records {
                answer.extend_from_slice(&[
                    0xc0,
                    12,
                    kind[0],
                    kind[1],
                    0,
                    1,
                    0,
                    0,
                    0,
                    60,
                    0,
                    data.len() as u8,
                ]);
                answer.extend_from_slice(&data);
            }
            socket.send_to(&answer, peer).ok();
        }
    });
    address
}

#[tokio::test]
async fn names_become_targets() {
    let server = name_server();
    for (kind, names, port, expected) in [
        (
            "SRV",
            &["srv.example."][..],
            0,
            &[
                "{__address__=\"host.example:9100\", __meta_dns_name=\"srv.example.\", __meta_dns_srv_record_port=\"9100\", __meta_dns_srv_record_target=\"host.example.\"}",
            ][..],
        ),
        (
            "A",
            &["a.example", "none.example"],
            80,
            &[
                "{__address__=\"10.0.0.1:80\", __meta_dns_name=\"a.example\"}",
                "{__address__=\"10.0.0.2:80\", __meta_dns_name=\"a.example\"}",
            ],
        ),
    ] {
        let yaml = format!(
            "dns_sd_configs: [{{names: {names:?}, type: {kind}{}}}]",
            if port > 0 { ", port: 80" } else { "" }
        );
        let DiscoveryConfig::Dns(config) = configs(&yaml).expect("valid").remove(0) else { panic!("{yaml}") };
        let metrics = Metrics::register(&Registry::new());
        let resolver = Resolver::with_servers(vec![server]);
        let mut discovery =
            DnsDiscovery { config, resolver, metrics, known: std::collections::BTreeMap::new() };
        let groups = discovery.refresh().await.expect("answered");
        let shown: Vec<String> =
            groups.iter().flat_map(|group| group.targets.iter().map(ToString::to_string)).collect();
        assert_eq!(shown, expected, "{kind}");
        // A server that fails is no reason to forget what was known.
        discovery.config.names = vec!["fail.example.".to_owned()];
        assert_eq!(discovery.refresh().await.expect("kept"), groups);
        assert_eq!(discovery.metrics.dns_failures.get(), 1);
    }
}

const POD: &str = r#"{"metadata":{"namespace":"ns","name":"web-1","uid":"u","resourceVersion":"5","labels":{"app.k/x":"web"},"annotations":{"scrape":"yes"},
  "ownerReferences":[{"kind":"ReplicaSet","name":"web-abc","controller":true}]},
  "spec":{"nodeName":"node1","containers":[{"name":"main","image":"i:1","ports":[{"name":"http","containerPort":80,"protocol":"TCP"},{"name":"admin","containerPort":81,"protocol":"TCP"}]}],
  "initContainers":[{"name":"init","image":"i:0"}]},
  "status":{"podIP":"10.1.0.1","hostIP":"192.0.2.1","phase":"Running","conditions":[{"type":"Ready","status":"True"}],
  "containerStatuses":[{"name":"main","containerID":"docker://m"}]}}"#;
const POD_LABELS: &str = "pod_name web-1\npod_ip 10.1.0.1\npod_ready true\npod_phase Running\npod_node_name node1\npod_host_ip 192.0.2.1\npod_uid u\npod_label_app_k_x web\npod_labelpresent_app_k_x true\npod_annotation_scrape yes\npod_annotationpresent_scrape true\npod_controller_kind ReplicaSet\npod_controller_name web-abc\nnamespace ns\n";
const SERVICE: &str = r#"{"metadata":{"namespace":"ns","name":"web","labels":{"team":"a"}},"spec":{"type":"ClusterIP","clusterIP":"10.2.0.1","ports":[{"name":"http","port":80,"protocol":"TCP"}]}}"#;
const SERVICE_LABELS: &str = "service_name web\nservice_label_team a\nservice_labelpresent_team true\n";
const CONTAINER: &str = "pod_container_name main\npod_container_image i:1\npod_container_init false\n";
const HTTP_PORT: &str =
    "pod_container_port_name http\npod_container_port_number 80\npod_container_port_protocol TCP\n";
const ADMIN_PORT: &str =
    "pod_container_port_name admin\npod_container_port_number 81\npod_container_port_protocol TCP\n";

fn list(items: &[&str]) -> String {
    format!(r#"{{"metadata":{{"resourceVersion":"10"}},"items":[{}]}}"#, items.join(","))
}

fn cluster() -> Recorded {
    let node = r#"{"metadata":{"name":"node1","labels":{"zone":"z"}},"spec":{"providerID":"p"},"status":{"addresses":[{"type":"Hostname","address":"h1"},{"type":"InternalIP","address":"192.0.2.1"}],
      "conditions":[{"type":"Ready","status":"True"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}"#;
    let endpoints = r#"{"metadata":{"namespace":"ns","name":"web"},"subsets":[{"addresses":[{"ip":"10.1.0.1","nodeName":"node1","targetRef":{"kind":"Pod","namespace":"ns","name":"web-1"}}],
      "notReadyAddresses":[{"ip":"10.1.0.9","hostname":"late"}],"ports":[{"name":"http","port":80,"protocol":"TCP"}]}]}"#;
    let slice = r#"{"metadata":{"namespace":"ns","name":"web-x","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
      "endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"node1","zone":"z","targetRef":{"kind":"Pod","namespace":"ns","name":"web-1"}}],
      "ports":[{"name":"http","port":80,"protocol":"TCP","appProtocol":"http"}]}"#;
    let ingress = r#"{"metadata":{"namespace":"ns","name":"i"},"spec":{"ingressClassName":"nginx","tls":[{"hosts":["*.example.org"]}],
      "rules":[{"host":"a.example.org","http":{"paths":[{"path":"/x"},{}]}},{"host":"b.c.example.org"}]}}"#;
    let replica_set = r#"{"metadata":{"namespace":"ns","name":"web-abc","ownerReferences":[{"kind":"Deployment","name":"web","controller":true}]}}"#;
    let lists = [
        ("/api/v1/nodes", list(&[node])),
        ("/api/v1/pods", list(&[POD])),
        ("/api/v1/namespaces/ns/pods", list(&[POD])),
        ("/api/v1/services", list(&[SERVICE])),
        ("/api/v1/endpoints", list(&[endpoints])),
        ("/apis/discovery.k8s.io/v1/endpointslices", list(&[slice])),
        ("/apis/networking.k8s.io/v1/ingresses", list(&[ingress])),
        ("/apis/apps/v1/replicasets", list(&[replica_set])),
        ("/api/v1/namespaces", list(&[r#"{"metadata":{"name":"ns","labels":{"env":"prod"}}}"#])),
    ];
    let mut answers: Vec<(&str, &str)> = lists.iter().map(|(path, body)| (*path, body.as_str())).collect();
    let gone = POD.replace('\n', " ");
    let deleted = format!("{{\"type\":\"DELETED\",\"object\":{gone}}}\n");
    answers.push(("/api/v1/namespaces/ns/pods?watch", &deleted));
    serve(&answers)
}

#[tokio::test]
async fn a_cluster_shows_its_objects() {
    let server = cluster();
    let yaml = |role: &str, more: &str| {
        format!("kubernetes_sd_configs: [{{api_server: 'http://{}', role: {role}{more}}}]", server.address)
    };
    let prefix = "__meta_kubernetes_";
    let nodes = found(&yaml("node", "")).await;
    assert_target(
        &nodes[0],
        prefix,
        "__address__ 192.0.2.1:10250\ninstance node1\nnode_name node1\nnode_provider_id p\nnode_label_zone z\nnode_labelpresent_zone true\nnode_condition_ready true\nnode_address_Hostname h1\nnode_address_InternalIP 192.0.2.1",
    );
    let services = found(&yaml("service", "")).await;
    assert_target(
        &services[0],
        prefix,
        &format!(
            "{SERVICE_LABELS}namespace ns\n__address__ web.ns.svc:80\nservice_cluster_ip 10.2.0.1\nservice_type ClusterIP\nservice_port_name http\nservice_port_number 80\nservice_port_protocol TCP"
        ),
    );
    let pods =
        found(&yaml("pod", ", attach_metadata: {node: true, namespace: true, deployment: true}")).await;
    let attached = "node_name node1\nnode_label_zone z\nnode_labelpresent_zone true\nnamespace_label_env prod\nnamespace_labelpresent_env true\npod_deployment_name web\n";
    assert_eq!(pods.len(), 3);
    assert_target(
        &pods[0],
        prefix,
        &format!(
            "{POD_LABELS}{attached}{CONTAINER}{HTTP_PORT}__address__ 10.1.0.1:80\npod_container_id docker://m"
        ),
    );
    assert_target(
        &pods[2],
        prefix,
        &format!(
            "{POD_LABELS}{attached}__address__ 10.1.0.1\npod_container_name init\npod_container_image i:0\npod_container_init true"
        ),
    );
    let endpoints = found(&yaml("endpoints", "")).await;
    let common = format!("{SERVICE_LABELS}namespace ns\nendpoints_name web\n");
    assert_eq!(endpoints.len(), 3);
    let port = "endpoint_port_name http\nendpoint_port_protocol TCP\n";
    let pod_labels = POD_LABELS.replace("namespace ns\n", "");
    assert_target(
        &endpoints[0],
        prefix,
        &format!(
            "{common}{pod_labels}{CONTAINER}{HTTP_PORT}{port}__address__ 10.1.0.1:80\nendpoint_ready true\nendpoint_node_name node1\nendpoint_address_target_kind Pod\nendpoint_address_target_name web-1"
        ),
    );
    assert_target(
        &endpoints[1],
        prefix,
        &format!("{common}{port}__address__ 10.1.0.9:80\nendpoint_ready false\nendpoint_hostname late"),
    );
    assert_target(
        &endpoints[2],
        prefix,
        &format!("{common}{pod_labels}{CONTAINER}{ADMIN_PORT}__address__ 10.1.0.1:81"),
    );
    let slices = found(&yaml("endpointslice", "")).await;
    let common = format!(
        "{SERVICE_LABELS}namespace ns\nendpointslice_name web-x\nendpointslice_address_type IPv4\nendpointslice_label_kubernetes_io_service_name web\nendpointslice_labelpresent_kubernetes_io_service_name true\n"
    );
    assert_eq!(slices.len(), 2);
    assert_target(
        &slices[0],
        prefix,
        &format!(
            "{common}{pod_labels}{CONTAINER}{HTTP_PORT}__address__ 10.1.0.1:80\nendpointslice_port 80\nendpointslice_port_name http\nendpointslice_port_protocol TCP\nendpointslice_port_app_protocol http\nendpointslice_endpoint_conditions_ready true\nendpointslice_endpoint_conditions_serving true\nendpointslice_endpoint_conditions_terminating false\nendpointslice_endpoint_node_name node1\nendpointslice_endpoint_zone z\nendpointslice_address_target_kind Pod\nendpointslice_address_target_name web-1"
        ),
    );
    let ingresses = found(&yaml("ingress", "")).await;
    let shown: Vec<String> = ingresses
        .iter()
        .map(|target| {
            let label = |name: &str| {
                target.iter().find(|(key, _)| key.ends_with(name)).map_or("", |(_, value)| value)
            };
            format!("{} {}{}", label("ingress_scheme"), label("__address__"), label("ingress_path"))
        })
        .collect();
    assert_eq!(shown, ["https a.example.org/x", "https a.example.org/", "http b.c.example.org/"]);
}

#[tokio::test]
async fn changes_of_a_cluster_are_followed() {
    let server = cluster();
    let yaml = format!(
        "kubernetes_sd_configs: [{{api_server: 'http://{}', role: pod, namespaces: {{names: [ns]}}, selectors: [{{role: pod, label: 'a=b', field: 'c=d'}}]}}]",
        server.address
    );
    let discovery = start(&yaml);
    let mut version = discovery.subscribe();
    let mut states = Vec::new();
    // First the list, then what the watch says of it.
    while states.last() != Some(&0) {
        version.changed().await.expect("discovery lives");
        states.push(all_targets(&discovery).len());
    }
    assert!(server.has_seen("labelSelector=a%3Db") && server.has_seen("fieldSelector=c%3Dd"));
    assert!(server.has_seen("resourceVersion=10"));
    discovery.stop().await;
}

#[tokio::test]
async fn instances_are_found_page_by_page() {
    let page = |body: &str, token: &str| {
        format!(
            "<?xml version=\"1.0\"?><DescribeInstancesResponse><reservationSet><item><ownerId>42</ownerId><instancesSet>{body}</instancesSet></item></reservationSet>{token}</DescribeInstancesResponse>"
        )
    };
    let first = page(
        "<item><instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>p.int</privateDnsName><dnsName>d.ext</dnsName><instanceType>t3</instanceType><placement><availabilityZone>eu-1a</availabilityZone></placement><subnetId>sn-1</subnetId><vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>192.0.2.7</ipAddress><architecture>arm64</architecture><tagSet><item><key>Name:x</key><value>a &amp; b</value></item></tagSet><networkInterfaceSet><item><subnetId>sn-1</subnetId><attachment><deviceIndex>0</deviceIndex></attachment><ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item><item><subnetId>sn-2</subnetId></item></networkInterfaceSet></item>",
        "<nextToken>more</nextToken>",
    );
    let second = page(
        "<item><instanceId>i-2</instanceId></item><item><instanceId>i-3</instanceId><privateIpAddress>10.0.0.3</privateIpAddress></item>",
        "",
    );
    let zones = "<r><availabilityZoneInfo><item><zoneName>eu-1a</zoneName><zoneId>euz1</zoneId></item></availabilityZoneInfo></r>";
    let server = serve(&[("/", zones), ("/", &first), ("/", &second)]);
    let yaml = format!(
        "ec2_sd_configs: [{{endpoint: 'http://{}/', region: eu-1, access_key: AK, secret_key: SK, port: 9100, filters: [{{name: 'tag:env', values: [prod, x]}}]}}]",
        server.address
    );
    let targets = found(&yaml).await;
    assert_eq!(targets.len(), 2, "an instance without an address is left out");
    assert_target(
        &targets[0],
        "__meta_ec2_",
        "__address__ 10.0.0.1:9100\nami ami-1\narchitecture arm64\navailability_zone eu-1a\navailability_zone_id euz1\ndefault_ipv6_address 2001:db8::1\ninstance_id i-1\ninstance_state running\ninstance_type t3\nipv6_addresses ,2001:db8::1,\nowner_id 42\nprimary_ipv6_addresses ,2001:db8::1,\nprimary_subnet_id sn-1\nprivate_dns_name p.int\nprivate_ip 10.0.0.1\npublic_dns_name d.ext\npublic_ip 192.0.2.7\nregion eu-1\nsubnet_id ,sn-1,sn-2,\ntag_Name_x a & b\nvpc_id vpc-1",
    );
    for part in [
        "Action=DescribeInstances",
        "NextToken=more",
        "Filter.1.Name=tag%3Aenv&Filter.1.Value.1=prod&Filter.1.Value.2=x",
        "authorization: AWS4-HMAC-SHA256 Credential=AK/",
    ] {
        assert!(server.has_seen(part), "{part}");
    }
}
