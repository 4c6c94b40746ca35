//! The blog's file, and files that are wrong.

use super::*;

fn read(name: &str, text: &str) -> Result<(LogOptions, Vec<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    load(&path).map_err(|failure| failure.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

const BLOG: &str = "[sources.in]\n  type = \"docker\" # required\n\n[sinks.out]\n  endpoint = \"example.com/loki/\"\n  \
    inputs = [\"in\"]\n  type = \"loki\"\n  labels.containers = \"host1/{{ container_name }}\"\n";

#[test]
fn the_blogs_file_loads() {
    let (options, warnings) = read("vector.toml", BLOG).unwrap();
    let sink = options.sink.as_ref().unwrap();
    let SinkTarget::Loki { url, snappy, .. } = &sink.target else { panic!("{sink:?}") };
    assert_eq!((url.as_str(), *snappy), ("http://example.com/loki/loki/api/v1/push", true));
    assert_eq!(sink.encoding, Encoding::Json);
    assert_eq!(options.host_in_labels().as_deref(), Some("host1"));
    assert!(matches!(options.sources[0].kind, SourceKind::Docker(_)));
    assert!(warnings.len() == 1 && warnings[0].contains("as JSON"), "{warnings:?}");
}

#[test]
fn yaml_says_the_same() {
    let text = "sources:\n  in:\n    type: docker_logs\nsinks:\n  out:\n    type: watchbell\n    inputs: ['i*']\n    \
        endpoint: loki:3100\n    labels:\n      containers: 'h/{{ container_name }}'\n";
    let (options, warnings) = read("vector.yaml", text).unwrap();
    let sink = options.sink.unwrap();
    assert!(matches!(&sink.target, SinkTarget::Grpc { endpoint } if endpoint == "http://loki:3100"));
    assert_eq!((sink.encoding, warnings.len()), (Encoding::Text, 0));
}

#[test]
fn old_and_meaningless_keys_are_named_once() {
    let text = format!(
        "{BLOG}  encoding.codec = \"text\"\n  healthcheck = true\n  request.in_flight_limit = 5\n  batch.max_size = 102400\n  \
         out_of_order_action = \"drop\"\n"
    );
    let (options, warnings) = read("vector.toml", &text).unwrap();
    assert_eq!(options.sink.unwrap().limits.batch_bytes, 102_400);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].starts_with("vector.toml:") || warnings[0].contains("/vector.toml:"), "{warnings:?}");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, part) in [
        (
            BLOG.replace("labels.", "label."),
            "vector.toml:8:3: sinks.out: unknown key \"label\", did you mean \"labels\"",
        ),
        (BLOG.replace("endpoint", "endpoin"), "required key \"endpoint\" is missing"),
        (BLOG.replace("\"docker\"", "\"syslog\""), "vector.toml:2"),
        (BLOG.replace("[\"in\"]", "[\"inn\"]"), "sinks.out.inputs names \"inn\""),
        (BLOG.replace("\"loki\"", "\"kafka\""), "\"kafka\": sink type is not built"),
        (BLOG.replace("{{ container_name }}", "{{ container_name"), "without `}}`"),
        (format!("{BLOG}[transforms.x]\ntype = \"remap\"\n"), "transforms are not built yet"),
        (
            format!("{BLOG}[sinks.b]\ntype = \"watchbell\"\ninputs = [\"in\"]\nendpoint = \"a:1\"\n"),
            "more than one sink",
        ),
        (BLOG.replace("example.com", "ftp://example.com"), "http or https"),
        ("[sources".to_owned(), "vector.toml:1"),
    ] {
        let error = read("vector.toml", &text).unwrap_err();
        assert!(error.contains(part), "{part}: {error}");
    }
}
