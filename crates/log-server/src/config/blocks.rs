//! The blocks of the file beside limits and rules.

use std::path::{Path, PathBuf};

use config::{Map, Node, Reported};
use model::ByteSize;

use super::{Config, Limits, block, duration, keys, otlp, positive_duration};

/// The directory that is made beside the chunks of the original's layout.
const DATA_DIR_NAME: &str = "watchbell-logs";

/// Reads all blocks but limits and rules.
pub(super) fn read(map: &Map, config: &mut Config, limits: &mut Limits) -> Result<(), Reported> {
    map.read("target", target)?;
    block(map, "server", |server| read_server(server, config))?;
    block(map, "common", |common| read_common(common, config))?;
    block(map, "ingester", |ingester| {
        ingester.set_some(&mut config.flush_age, "chunk_idle_period", duration);
        ingester.set(&mut config.max_chunk_age, "max_chunk_age", duration);
        ingester.without_meaning(&keys::INGESTER, keys::NO_MEANING);
        Ok(())
    })?;
    block(map, "distributor", |distributor| {
        let size = |node: &Node| node.byte_size().map(|ByteSize(bytes)| bytes);
        distributor.set(&mut config.push_bytes_max, "max_recv_msg_size", size);
        distributor.set(&mut config.push_expanded_bytes_max, "max_decompressed_size", size);
        otlp::read_defaults(distributor, &mut limits.otlp)?;
        distributor.without_meaning(&keys::DISTRIBUTOR, keys::NO_MEANING);
        Ok(())
    })?;
    block(map, "schema_config", |schema| {
        schema.read("configs", |list| list.list_of(schema_period)).map(drop)
    })?;
    block(map, "storage_config", |storage| read_storage(storage, config))?;
    read_query_blocks(map, config, limits)?;
    read_retention_blocks(map, config, limits)?;
    block(map, "runtime_config", |runtime| {
        runtime.set_some(&mut config.overrides_file, "file", Node::file_path);
        runtime.set(&mut config.overrides_period, "period", duration);
        Ok(())
    })?;
    block(map, "ruler_storage", |storage| {
        storage.read("backend", |node| node.one_of(&[("local", ()), ("filesystem", ())]))?;
        for key in ["local", "filesystem"] {
            block(storage, key, |local| {
                local.set_some(&mut config.ruler.common_dir, "directory", Node::file_path);
                local.set_some(&mut config.ruler.common_dir, "dir", Node::file_path);
                Ok(())
            })?;
        }
        Ok(())
    })
}

fn target(node: &Node) -> Result<(), Reported> {
    let all = ["all", "read", "write", "backend"];
    let parts = [
        "distributor",
        "ingester",
        "querier",
        "query-frontend",
        "query-scheduler",
        "ruler",
        "compactor",
        "index-gateway",
        "pattern-ingester",
        "table-manager",
    ];
    let text = node.string()?;
    for word in text.split(',').map(str::trim) {
        if !all.contains(&word) && !parts.contains(&word) {
            return Err(node.error(format_args!("unknown target {word:?}")));
        }
    }
    if text != "all" {
        node.warn("all parts run in this process");
    }
    Ok(())
}

fn read_server(server: &Map, config: &mut Config) -> Result<(), Reported> {
    let own = &mut config.server;
    server.set(&mut own.http_listen_address, "http_listen_address", Node::string);
    server.set(&mut own.http_listen_port, "http_listen_port", Node::integer);
    server.set(&mut own.grpc_listen_address, "grpc_listen_address", Node::string);
    let port = |node: &Node| node.integer::<u16>().map(|port| (port > 0).then_some(port));
    server.set(&mut own.grpc_listen_port, "grpc_listen_port", port);
    server.set(&mut own.http_path_prefix, "http_prefix", Node::string);
    server.set(&mut own.http_path_prefix, "http_path_prefix", Node::string);
    server.set(&mut own.graceful_shutdown_timeout, "graceful_shutdown_timeout", duration);
    server.set(&mut own.read_timeout, "http_server_read_timeout", duration);
    server.without_meaning(&keys::SERVER, keys::NO_MEANING);
    Ok(())
}

fn read_common(common: &Map, config: &mut Config) -> Result<(), Reported> {
    if let Some(prefix) = common.read("path_prefix", Node::file_path)? {
        config.data_dir = Some(prefix.join(DATA_DIR_NAME));
    }
    block(common, "storage", |storage| {
        block(storage, "filesystem", |filesystem| {
            if let Some(chunks) = filesystem.read("chunks_directory", Node::file_path)? {
                note_chunks(config, &chunks);
            }
            filesystem.set_some(&mut config.ruler.common_dir, "rules_directory", Node::file_path);
            Ok(())
        })?;
        storage.not_built(&["s3", "gcs", "azure", "swift", "bos", "cos"])?;
        storage.without_meaning(&["hedging", "object_store", "congestion_control"], keys::NO_MEANING);
        Ok(())
    })?;
    common.without_meaning(&keys::COMMON, keys::NO_MEANING);
    Ok(())
}

/// Data are kept beside the original's chunks, which are left alone.
fn note_chunks(config: &mut Config, chunks: &Path) {
    let parent = chunks.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
    config.data_dir.get_or_insert_with(|| parent.join(DATA_DIR_NAME));
    config.foreign_dirs.push(chunks.to_owned());
}

fn read_storage(storage: &Map, config: &mut Config) -> Result<(), Reported> {
    block(storage, "filesystem", |filesystem| {
        if let Some(chunks) = filesystem.read("directory", Node::file_path)? {
            note_chunks(config, &chunks);
        }
        Ok(())
    })?;
    for key in ["boltdb", "tsdb_shipper", "boltdb_shipper"] {
        if let Some(node) = storage.optional(key) {
            node.warn("accepted without effect: the index is kept with the data");
        }
    }
    storage.without_meaning(&keys::STORAGE, keys::NO_MEANING);
    Ok(())
}

fn schema_period(node: &Node) -> Result<(), Reported> {
    let map = node.map()?;
    let from = map.read("from", Node::string)?.unwrap_or_default();
    for key in keys::SCHEMA_PERIOD {
        map.optional(key);
    }
    node.warn(format_args!(
        "accepted without effect: the period from {from} describes data of another system; new data have one format"
    ));
    map.finish()
}

fn read_query_blocks(map: &Map, config: &mut Config, limits: &mut Limits) -> Result<(), Reported> {
    block(map, "querier", |querier| {
        querier.set(&mut config.tail_max_duration, "tail_max_duration", duration);
        querier.set(&mut config.max_concurrent, "max_concurrent", Node::integer);
        // Limits hold these since; a file of that time means the same.
        querier.set(&mut limits.query_timeout, "query_timeout", duration);
        block(querier, "engine", |engine| {
            engine.set(&mut limits.query_timeout, "timeout", duration);
            engine.without_meaning(&["max_look_back_period"], keys::NO_MEANING);
            Ok(())
        })?;
        querier.without_meaning(&keys::QUERIER, keys::NO_MEANING);
        Ok(())
    })?;
    block(map, "query_range", |range| {
        range.set(&mut limits.split_interval, "split_queries_by_interval", positive_duration);
        range.without_meaning(&keys::QUERY_RANGE, keys::NO_MEANING);
        Ok(())
    })?;
    block(map, "chunk_store_config", |store| {
        let lookback = store.read("max_look_back_period", positive_duration)?.flatten();
        limits.query_lookback = limits.query_lookback.or(lookback);
        store.without_meaning(&keys::CHUNK_STORE, keys::NO_MEANING);
        Ok(())
    })
}

/// Retention is what the limits say where the compactor or, in old files, the table manager is told to enforce it.
fn read_retention_blocks(map: &Map, config: &mut Config, limits: &mut Limits) -> Result<(), Reported> {
    let mut compactor_deletes = None;
    block(map, "compactor", |compactor| {
        compactor_deletes = compactor.read("retention_enabled", Node::bool)?;
        compactor.set(&mut config.delete_cancel_period, "delete_request_cancel_period", duration);
        compactor.without_meaning(&["working_directory"], "working files lie with the data");
        compactor.without_meaning(&keys::COMPACTOR, keys::NO_MEANING);
        Ok(())
    })?;
    let mut table_period = None;
    block(map, "table_manager", |manager| {
        let deletes = manager.read_or("retention_deletes_enabled", false, Node::bool)?;
        let period = manager.read("retention_period", positive_duration)?.flatten();
        table_period = period.filter(|_| deletes);
        manager.without_meaning(&keys::TABLE_MANAGER, keys::NO_MEANING);
        Ok(())
    })?;
    config.retention_enabled = compactor_deletes.unwrap_or(table_period.is_some());
    if compactor_deletes == Some(false) || (compactor_deletes.is_none() && table_period.is_none()) {
        // Not enforced in the original either.
        limits.retention = None;
        limits.stream_retention.clear();
    }
    if limits.retention.is_none() {
        limits.retention = table_period;
    }
    Ok(())
}
