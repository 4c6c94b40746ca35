//! The configuration file in Vector's format: what of it is built, what has no meaning here, what is an error.
//!
//! Forms of 2021 load: `type = "docker"`, a loki sink without encoding (JSON then, with a warning), an endpoint without scheme.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Document, Map, Node, Reported, Secret, expand_braced};
use service::Failure;

use super::delivery::DeliveryLimits;
use super::options::{
    Credentials, DockerSource, Encoding, FileSource, JournalSource, LogOptions, ReadFrom, SinkOptions,
    SinkTarget, SourceKind, SourceOptions,
};
use super::template::Template;
use crate::glob::Glob;

/// Ports and paths that an endpoint without them gets.
const PUSH_PATH: &str = "loki/api/v1/push";
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads a file; returns what it says and what it says in vain.
pub(super) fn load(path: &Path) -> Result<(LogOptions, Vec<String>), Failure> {
    let shown = path.display().to_string();
    let cannot = |error: &dyn std::fmt::Display| Failure::usage(format!("{shown}: cannot be read: {error}"));
    let length = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(cannot(&format!("it has {length} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
    let mut warnings = Vec::new();
    let mut unset = |name: &str| {
        warnings.push(format!("{shown}: the environment variable {name} is not set: it counts as empty"));
    };
    let text = expand_braced(&text, true, |name| std::env::var(name).ok(), &mut unset)
        .map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let document =
        if is_toml { Document::parse_toml(&shown, &text)? } else { Document::parse_yaml(&shown, &text)? };
    let loaded = document.read(read_root)?;
    warnings.extend(loaded.warnings.iter().map(ToString::to_string));
    Ok((loaded.value, warnings))
}

fn read_root(root: &Node) -> Result<LogOptions, Reported> {
    let map = root.map()?;
    let data_dir = map.read("data_dir", Node::string)?.map(PathBuf::from);
    map.without_meaning(&["timezone", "expire_metrics_secs", "acknowledgements"], "it is always so here");
    map.without_meaning(&["api", "healthchecks", "log_schema", "schema"], "there is no such part here");
    map.not_built(&["secret", "proxy", "enrichment_tables", "tests"])?;
    let sources = map.read_or("sources", Vec::new(), |node| named(node, read_source))?;
    if let Some(transforms) = map.optional("transforms") {
        for (name, transform) in transforms.map()?.entries() {
            transform.error(format_args!("transform {name:?}: transforms are not built yet: remove it"));
        }
    }
    let sinks = map.read_or("sinks", Vec::new(), |node| named(node, read_sink))?;
    map.finish()?;
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    for sink in &sinks {
        for input in &sink.inputs {
            if !names.iter().any(|name| Glob::new(input).matches(name)) {
                return Err(root.error(format_args!(
                    "sinks.{}.inputs names {input:?}, which is no source; there are {}",
                    sink.name,
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                )));
            }
        }
    }
    let mut sinks = sinks.into_iter();
    let sink = sinks.next();
    if sinks.next().is_some() {
        return Err(root.error("more than one sink is not built yet: all lines go to one server"));
    }
    let taken = |source: &SourceOptions| {
        sink.as_ref()
            .is_some_and(|sink| sink.inputs.iter().any(|input| Glob::new(input).matches(&source.name)))
    };
    for source in sources.iter().filter(|source| !taken(source)) {
        root.warn(format_args!("no sink takes the lines of source {:?}: it is not read", source.name));
    }
    let sources = sources.iter().filter(|source| taken(source)).cloned().collect();
    Ok(LogOptions { data_dir, sources, sink })
}

fn named<T>(node: &Node, read: fn(&str, &Node) -> Result<T, Reported>) -> Result<Vec<T>, Reported> {
    let mut values = Vec::new();
    let mut failed = None;
    for (name, value) in node.map()?.entries() {
        match read(&name, &value) {
            Ok(value) => values.push(value),
            Err(reported) => failed = Some(reported),
        }
    }
    failed.map_or(Ok(values), Err)
}

fn read_source(name: &str, node: &Node) -> Result<SourceOptions, Reported> {
    let map = node.map()?;
    let kind = map.required("type")?;
    let kind_name = kind.string()?;
    let kind = match kind_name.as_str() {
        "docker" | "docker_logs" => SourceKind::Docker(read_docker(&map)?),
        "file" => SourceKind::File(read_file(&map)?),
        "journald" => SourceKind::Journal(read_journal(&map)?),
        other => {
            let message = "source type is not built: docker_logs (docker), file and journald are";
            return Err(kind.error(format_args!("{other:?}: {message}")));
        }
    };
    map.finish()?;
    Ok(SourceOptions { name: name.to_owned(), kind })
}

fn read_docker(map: &Map) -> Result<DockerSource, Reported> {
    let mut source = DockerSource::default();
    map.set_some(&mut source.docker_host, "docker_host", Node::non_empty_string);
    map.set(&mut source.include_containers, "include_containers", Node::strings);
    map.set(&mut source.exclude_containers, "exclude_containers", Node::strings);
    map.set(&mut source.include_labels, "include_labels", Node::strings);
    map.set(&mut source.include_images, "include_images", Node::strings);
    map.without_meaning(&["retry_backoff_secs"], "attempts are repeated after 2 s");
    map.without_meaning(
        &["auto_partial_merge", "partial_event_marker_field"],
        "parts of a line are always joined",
    );
    map.without_meaning(&["host_key"], "the machine's name is always in `host`");
    map.not_built(&["tls", "multiline"])?;
    Ok(source)
}

fn read_file(map: &Map) -> Result<FileSource, Reported> {
    let include = map.required("include")?.strings_or_one()?;
    let mut source = FileSource { include, ..FileSource::default() };
    map.set(&mut source.exclude, "exclude", Node::strings_or_one);
    map.set(&mut source.read_from, "read_from", |node| {
        node.one_of(&[("beginning", ReadFrom::Beginning), ("end", ReadFrom::End)])
    });
    if let Some(from_beginning) = map.read("start_at_beginning", Node::bool)? {
        source.read_from = if from_beginning { ReadFrom::Beginning } else { ReadFrom::End };
    }
    for key in ["ignore_older_secs", "ignore_older"] {
        map.set_some(&mut source.ignore_older, key, |node| node.integer().map(Duration::from_secs));
    }
    map.set(&mut source.line_bytes_max, "max_line_bytes", Node::integer);
    map.set(&mut source.file_key, "file_key", Node::string);
    map.set(&mut source.ignore_checkpoints, "ignore_checkpoints", Node::bool);
    let keys = [
        "max_read_bytes",
        "oldest_first",
        "glob_minimum_cooldown_ms",
        "glob_minimum_cooldown",
        "rotate_wait_secs",
        "ignore_not_found",
        "internal_metrics",
        "host_key",
        "data_dir",
    ];
    map.without_meaning(&keys, "it is set by itself here");
    map.without_meaning(
        &["fingerprint", "fingerprinting"],
        "a file is known by its inode and its first line",
    );
    map.not_built(&[
        "multiline",
        "message_start_indicator",
        "multi_line_timeout",
        "remove_after_secs",
        "encoding",
        "line_delimiter",
        "offset_key",
    ])?;
    Ok(source)
}

fn read_journal(map: &Map) -> Result<JournalSource, Reported> {
    let mut source = JournalSource::default();
    for key in ["units", "include_units"] {
        map.set(&mut source.include_units, key, Node::strings);
    }
    map.set(&mut source.exclude_units, "exclude_units", Node::strings);
    map.set(&mut source.current_boot_only, "current_boot_only", Node::bool);
    map.set_some(&mut source.directory, "journal_directory", Node::string);
    map.without_meaning(
        &["batch_size", "remap_priority", "since_now", "data_dir"],
        "it is set by itself here",
    );
    map.not_built(&[
        "include_matches",
        "exclude_matches",
        "journalctl_path",
        "extra_args",
        "journal_namespace",
    ])?;
    Ok(source)
}

fn read_sink(name: &str, node: &Node) -> Result<SinkOptions, Reported> {
    let map = node.map()?;
    let kind = map.required("type")?;
    let kind_name = kind.string()?;
    let inputs = map.required("inputs")?.strings_or_one()?;
    let endpoint = map.required("endpoint")?;
    let target = match kind_name.as_str() {
        "loki" => read_loki_target(&map, &endpoint)?,
        "watchbell" => SinkTarget::Grpc { endpoint: grpc_endpoint(&endpoint)? },
        other => {
            let message = "sink type is not built: loki (HTTP push) and watchbell (gRPC, acknowledged) are";
            return Err(kind.error(format_args!("{other:?}: {message}")));
        }
    };
    let is_loki = kind_name == "loki";
    let labels = map.read("labels", read_labels)?;
    if is_loki && labels.as_ref().is_none_or(Vec::is_empty) {
        // Reported, so that the file is refused; reading goes on to the next error, such as a misspelt key.
        map.error("a loki sink needs at least one label: labels.containers = \"host1/{{ container_name }}\"");
    }
    let encoding = read_encoding(&map, is_loki)?;
    let mut limits = DeliveryLimits::default();
    if let Some(batch) = map.optional("batch") {
        read_batch(&batch, &mut limits)?;
    }
    if let Some(buffer) = map.optional("buffer") {
        read_buffer(&buffer, &mut limits)?;
    }
    if let Some(request) = map.optional("request") {
        read_request(&request)?;
    }
    let identity_labels = map.read_or("identity_labels", true, Node::bool)?;
    let remove_label_fields = map.read_or("remove_label_fields", false, Node::bool)?;
    map.without_meaning(&["healthcheck"], "the status page shows whether the server answers");
    map.without_meaning(&["acknowledgements"], "positions move only with acknowledgements");
    map.without_meaning(&["out_of_order_action"], "lines out of order are taken");
    map.without_meaning(&["remove_timestamp"], "the time is always taken out of the line");
    map.not_built(&["structured_metadata", "remove_structured_metadata_fields", "proxy"])?;
    map.finish()?;
    let name = name.to_owned();
    Ok(SinkOptions { name, inputs, target, labels, encoding, identity_labels, remove_label_fields, limits })
}

fn read_loki_target(map: &Map, endpoint: &Node) -> Result<SinkTarget, Reported> {
    let text = endpoint.non_empty_string()?;
    let with_scheme = if text.contains("://") { text } else { format!("http://{text}") };
    let path = map.read_or("path", format!("/{PUSH_PATH}"), Node::string)?;
    let full = format!("{}/{}", with_scheme.trim_end_matches('/'), path.trim_start_matches('/'));
    let url = url::Url::parse(&full).map_err(|error| endpoint.error(format_args!("{full}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(endpoint.error("an http or https address is needed"));
    }
    let snappy = map.read_or("compression", true, |node| {
        node.one_of(&[("snappy", true), ("none", false), ("gzip", false)])
    })?;
    let tenant = map.read("tenant_id", Node::non_empty_string)?;
    if tenant.as_ref().is_some_and(|tenant| tenant.contains("{{")) {
        return Err(map.error("tenant_id with a template is not built yet: name one tenant"));
    }
    let credentials = map.read("auth", read_auth)?;
    let mut tls = http_client::TlsClientConfig::default();
    if let Some(node) = map.optional("tls") {
        read_tls(&node, &mut tls)?;
    }
    Ok(SinkTarget::Loki { url, snappy, tenant, credentials, tls: Box::new(tls) })
}

fn grpc_endpoint(endpoint: &Node) -> Result<String, Reported> {
    let text = endpoint.non_empty_string()?;
    let with_scheme = if text.contains("://") { text } else { format!("http://{text}") };
    let url = url::Url::parse(&with_scheme)
        .map_err(|error| endpoint.error(format_args!("{with_scheme}: {error}")))?;
    match url.scheme() {
        "http" => Ok(with_scheme.trim_end_matches('/').to_owned()),
        "https" => {
            Err(endpoint.error("TLS is not built for this sink: use type = \"loki\" with an https endpoint"))
        }
        _ => Err(endpoint.error("an http address such as http://loki:3100 is needed")),
    }
}

fn read_auth(node: &Node) -> Result<Credentials, Reported> {
    let map = node.map()?;
    let strategy = map.required("strategy")?.one_of(&[("basic", true), ("bearer", false)])?;
    let credentials = if strategy {
        let user = map.required("user")?.string()?;
        Credentials::Basic { user, password: map.read_or("password", Secret::new(""), Node::secret)? }
    } else {
        Credentials::Bearer(map.required("token")?.secret()?)
    };
    map.finish()?;
    Ok(credentials)
}

fn read_tls(node: &Node, tls: &mut http_client::TlsClientConfig) -> Result<(), Reported> {
    let map = node.map()?;
    let file = |node: &Node| node.string().map(|path| http_client::SecretSource::File(PathBuf::from(path)));
    for key in ["ca_file", "ca_path"] {
        map.set_some(&mut tls.ca, key, file);
    }
    for key in ["crt_file", "crt_path"] {
        map.set_some(&mut tls.cert, key, file);
    }
    for key in ["key_file", "key_path"] {
        map.set_some(&mut tls.key, key, file);
    }
    tls.insecure_skip_verify = !map.read_or("verify_certificate", true, Node::bool)?;
    map.without_meaning(&["enabled", "verify_hostname", "alpn_protocols"], "the address decides");
    map.not_built(&["key_pass"])?;
    map.finish()
}

fn read_labels(node: &Node) -> Result<Vec<(Template, Template)>, Reported> {
    let mut labels = Vec::new();
    for (name, value) in node.map()?.entries() {
        let text = value.string()?;
        if name.contains('*') {
            return Err(value.error("labels with a `*` are not built yet: name each label"));
        }
        let template = Template::parse(&text).map_err(|error| value.error(error))?;
        let key = Template::parse(&name).map_err(|error| value.error(error))?;
        labels.push((key, template));
    }
    Ok(labels)
}

fn read_encoding(map: &Map, is_loki: bool) -> Result<Encoding, Reported> {
    const CODECS: &[(&str, Encoding)] = &[
        ("json", Encoding::Json),
        ("text", Encoding::Text),
        ("raw_message", Encoding::Text),
        ("logfmt", Encoding::Logfmt),
    ];
    let Some(node) = map.optional("encoding") else {
        if is_loki {
            map.node().warn("no encoding is given: the lines are whole events as JSON, as in 2021");
            return Ok(Encoding::Json);
        }
        return Ok(Encoding::Text);
    };
    if node.kind() == config::Kind::Scalar {
        return node.one_of(CODECS);
    }
    let inner = node.map()?;
    let codec = inner.required("codec")?.one_of(CODECS)?;
    inner.without_meaning(&["timestamp_format"], "the time is always taken out of the line");
    inner.not_built(&["only_fields", "except_fields", "json"])?;
    inner.finish()?;
    Ok(codec)
}

fn read_batch(node: &Node, limits: &mut DeliveryLimits) -> Result<(), Reported> {
    let map = node.map()?;
    for key in ["max_bytes", "max_size"] {
        let bytes: Option<usize> = map.read(key, Node::integer)?;
        limits.batch_bytes = bytes.unwrap_or(limits.batch_bytes).clamp(1 << 10, 1 << 20);
    }
    let lines: Option<usize> = map.read("max_events", Node::integer)?;
    limits.batch_lines = lines.unwrap_or(limits.batch_lines).clamp(1, 100_000);
    if let Some(seconds) = map.read("timeout_secs", Node::f64)? {
        limits.batch_wait = Duration::from_secs_f64(seconds.clamp(0.0, 60.0));
    }
    map.finish()
}

fn read_buffer(node: &Node, limits: &mut DeliveryLimits) -> Result<(), Reported> {
    let map = node.map()?;
    let kind = map.required("type")?.one_of(&[("memory", false), ("disk", true)])?;
    if kind && let Some(bytes) = map.read("max_size", Node::integer::<u64>)? {
        limits.disk_bytes = bytes.max(1 << 20);
    }
    map.without_meaning(&["max_events", "max_size"], "what waits long goes to disk by itself");
    let block =
        map.read_or("when_full", true, |node| node.one_of(&[("block", true), ("drop_newest", false)]))?;
    if !block {
        map.node()
            .warn("when_full = \"drop_newest\" counts as \"block\": the sources wait, nothing is dropped");
    }
    map.finish()
}

fn read_request(node: &Node) -> Result<(), Reported> {
    let map = node.map()?;
    let keys = [
        "in_flight_limit",
        "concurrency",
        "rate_limit_num",
        "rate_limit_duration_secs",
        "timeout_secs",
        "retry_attempts",
        "retry_initial_backoff_secs",
        "retry_max_duration_secs",
        "retry_jitter_mode",
        "adaptive_concurrency",
    ];
    map.without_meaning(&keys, "one batch is under way at a time, and repeated until it is taken");
    map.not_built(&["headers"])?;
    map.finish()
}

#[cfg(test)]
mod tests;
