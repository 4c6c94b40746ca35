//! Files that people have written for the original, old and new, and what is refused in them.

use std::path::Path;
use std::time::Duration;

use config::Document;

use super::{LoadedConfig, read};

fn load(text: &str) -> Result<LoadedConfig, String> {
    let document = Document::parse_yaml("loki.yaml", text).map_err(|errors| errors.to_string())?;
    read(&document).map_err(|errors| errors.to_string())
}

/// A file as people wrote it for the original in 2021: an old index, a table manager that deletes.
const OLD: &str = r#"
auth_enabled: false
server:
  http_listen_port: 3100
ingester:
  lifecycler: {address: 127.0.0.1, ring: {kvstore: {store: inmemory}, replication_factor: 1}, final_sleep: 0s}
  chunk_idle_period: 5m
  chunk_retain_period: 30s
  max_transfer_retries: 0
schema_config:
  configs:
    - {from: 2018-04-15, store: boltdb, object_store: filesystem, schema: v11, index: {prefix: index_, period: 30d}}
storage_config:
  boltdb: {directory: /mnt/data/index}
  filesystem: {directory: /mnt/data/chunks}
limits_config:
  enforce_metric_name: false
  reject_old_samples: true
  reject_old_samples_max_age: 168h
chunk_store_config:
  max_look_back_period: 0s
table_manager:
  retention_deletes_enabled: true
  retention_period: 30d
"#;

#[test]
fn an_old_file_loads_and_its_retention_holds() {
    let loaded = load(OLD).expect("loads");
    let config = &loaded.config;
    assert!(!config.auth_enabled);
    assert_eq!(config.limits.retention, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(config.flush_age, Some(Duration::from_secs(300)));
    assert_eq!(config.limits.reject_old_max_age, Some(Duration::from_secs(168 * 3600)));
    assert_eq!(config.limits.query_lookback, None);
    assert_eq!(config.data_dir.as_deref(), Some(Path::new("/mnt/data/watchbell-logs")));
    let warned: Vec<&str> = loaded.warnings.iter().filter_map(|warning| warning.split(": ").nth(1)).collect();
    for key in ["ingester.lifecycler", "ingester.max_transfer_retries", "limits_config.enforce_metric_name"] {
        assert_eq!(warned.iter().filter(|warned| **warned == key).count(), 1, "{key} in {warned:?}");
    }
}

#[test]
fn the_sample_file_of_2_2_loads() {
    let loaded = load(
        r#"
auth_enabled: false
server: {http_listen_port: 3100, grpc_listen_port: 9096}
ingester:
  wal: {enabled: true, dir: /tmp/wal}
  lifecycler: {address: 127.0.0.1, ring: {kvstore: {store: inmemory}, replication_factor: 1}, final_sleep: 0s}
  chunk_idle_period: 1h
  max_chunk_age: 1h
  chunk_target_size: 1048576
  chunk_retain_period: 30s
  max_transfer_retries: 0
schema_config:
  configs:
    - {from: 2020-10-24, store: boltdb-shipper, object_store: filesystem, schema: v11, index: {prefix: index_, period: 24h}}
storage_config:
  boltdb_shipper: {active_index_directory: /tmp/loki/boltdb-shipper-active, cache_location: /tmp/loki/boltdb-shipper-cache, cache_ttl: 24h, shared_store: filesystem}
  filesystem: {directory: /tmp/loki/chunks}
compactor: {working_directory: /tmp/loki/boltdb-shipper-compactor, shared_store: filesystem}
limits_config: {reject_old_samples: true, reject_old_samples_max_age: 168h}
chunk_store_config: {max_look_back_period: 0s}
table_manager: {retention_deletes_enabled: false, retention_period: 0s}
ruler:
  storage: {type: local, local: {directory: /tmp/loki/rules}}
  rule_path: /tmp/loki/rules-temp
  alertmanager_url: http://localhost:9093
  ring: {kvstore: {store: inmemory}}
  enable_api: true
"#,
    )
    .expect("loads");
    assert_eq!(loaded.config.server.grpc_listen_port, Some(9096));
    assert_eq!(loaded.config.limits.retention, None);
    assert_eq!(loaded.config.ruler.rules_dir.as_deref(), Some(Path::new("/tmp/loki/rules")));
    assert_eq!(loaded.config.ruler.alertmanager_urls.len(), 1);
}

#[test]
fn a_present_file_loads() {
    let loaded = load(
        r#"
common:
  path_prefix: /loki
  storage: {filesystem: {chunks_directory: /loki/chunks, rules_directory: /loki/rules}}
  replication_factor: 1
  ring: {instance_addr: 127.0.0.1, kvstore: {store: inmemory}}
query_range: {results_cache: {cache: {embedded_cache: {enabled: true, max_size_mb: 100}}}}
limits_config:
  retention_period: 744h
  max_line_size: 256KB
  split_queries_by_interval: 0
  retention_stream: [{selector: '{namespace="dev"}', priority: 1, period: 24h}]
compactor: {retention_enabled: true, delete_request_store: filesystem}
ruler: {alertmanager_url: "http://a:9093,http://b:9093/prefix"}
"#,
    )
    .expect("loads");
    let config = &loaded.config;
    assert!(config.auth_enabled && config.limits.split_interval.is_none());
    assert_eq!(config.limits.retention, Some(Duration::from_secs(744 * 3600)));
    assert_eq!(config.limits.stream_retention.len(), 1);
    assert_eq!(config.data_dir.as_deref(), Some(Path::new("/loki/watchbell-logs")));
    assert_eq!(config.ruler.rules_dir.as_deref(), Some(Path::new("/loki/rules")));
    assert_eq!(config.ruler.alertmanager_urls.len(), 2);
}

#[test]
fn errors_name_file_line_and_key() {
    for (text, expected) in [
        ("auth_enbled: false\n", "loki.yaml:1:1: unknown key \"auth_enbled\", did you mean \"auth_enabled\""),
        ("server:\n  http_listen_port: many\n", "loki.yaml:2:21: server.http_listen_port: "),
        ("limits_config:\n  retention_period: soon\n", "loki.yaml:2:21: limits_config.retention_period: "),
        ("target: everything\n", "loki.yaml:1:9: target: unknown target \"everything\""),
        ("limits_config:\n  retention_stream: [{selector: '{', period: 1d}]\n", "loki.yaml:2:"),
        ("common: {storage: {s3: {bucketnames: x}}}\n", "loki.yaml:1:"),
    ] {
        let error = load(text).expect_err(text);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn retention_without_anyone_to_enforce_it_is_none() {
    let loaded = load("limits_config: {retention_period: 744h}\n").expect("loads");
    assert_eq!(loaded.config.limits.retention, None);
}
