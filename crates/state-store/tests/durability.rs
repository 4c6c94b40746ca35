//! What is there after a crash, a full disk, damage and an upgrade.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use state_store::{Error, Keyspace, KeyspaceOptions, SimulatedDisk, StateStore};
use sys::RealFs;
use telemetry::{Format, Registry};

fn open(dir: &Path) -> StateStore {
    StateStore::open(dir, Arc::new(RealFs), &Registry::new()).expect("the store opens")
}

fn values(store: &StateStore) -> Keyspace<Value> {
    store.keyspace(KeyspaceOptions::new("values", 1)).expect("the keyspace opens")
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let disk = SimulatedDisk::new();
    let store = StateStore::open_simulated(&disk, &Registry::new()).unwrap();
    let space = values(&store);
    space.put("a", &json!(1)).unwrap();
    disk.fail_flushes(1);
    assert!(matches!(space.put("b", &json!(2)), Err(Error::Io { .. })));
    disk.crash();
    assert!(matches!(space.get("a"), Err(Error::Closed)));
    let space = values(&StateStore::open_simulated(&disk, &Registry::new()).unwrap());
    assert_eq!(space.scan("").unwrap(), [("a".to_owned(), json!(1))]);
}

#[test]
fn several_writers_share_syncs_and_lose_nothing() {
    let disk = SimulatedDisk::new();
    let store = StateStore::open_simulated(&disk, &Registry::new()).unwrap();
    let space = values(&store);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let space = &space;
            scope.spawn(move || {
                for number in 0..50 {
                    space.put(&format!("{writer}-{number}"), &json!(number)).unwrap();
                }
            });
        }
    });
    disk.crash();
    assert_eq!(values(&StateStore::open_simulated(&disk, &Registry::new()).unwrap()).len(), 400);
    assert!(disk.flushes() <= 402);
}

#[test]
fn a_store_on_disk_opens_again_and_excludes_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let space = values(&store);
    store.write(space.batch().put("x", &json!({"a": 1})).unwrap().put("y", &json!(2)).unwrap()).unwrap();
    space.remove("y").unwrap();
    let second = StateStore::open(dir.path(), Arc::new(RealFs), &Registry::new());
    assert!(matches!(second, Err(Error::Locked { .. })));
    store.close().unwrap();
    assert!(matches!(space.put("z", &json!(3)), Err(Error::Closed)));
    drop((space, store));
    assert_eq!(values(&open(dir.path())).scan("").unwrap(), [("x".to_owned(), json!({"a": 1}))]);
}

#[test]
fn a_damaged_database_is_set_aside_and_rebuilt_from_the_export() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    values(&store).put("kept", &json!("é\0")).unwrap();
    store.close().unwrap();
    drop(store);
    for name in ["conf", "db"] {
        std::fs::write(dir.path().join("sled").join(name), vec![0x5a; 1 << 16]).unwrap();
    }
    let registry = Registry::new();
    let store = StateStore::open(dir.path(), Arc::new(RealFs), &registry).unwrap();
    assert_eq!(values(&store).get("kept").unwrap(), Some(json!("é\0")));
    assert!(dir.path().join("damaged-1").exists());
    assert!(registry.render(Format::Prometheus).contains("state_store_rebuilds_total 1\n"));
}

#[test]
fn bounds_hold_and_say_what_they_are() {
    let store = StateStore::open_simulated(&SimulatedDisk::new(), &Registry::new()).unwrap();
    let options = KeyspaceOptions { entries_max: 2, value_bytes_max: 10, ..KeyspaceOptions::new("small", 1) };
    let space: Keyspace<String> = store.keyspace(options).unwrap();
    space.put("a", &"1".to_owned()).unwrap();
    space.put("b", &"2".to_owned()).unwrap();
    space.put("b", &"3".to_owned()).unwrap();
    let full = space.put("c", &"4".to_owned()).unwrap_err().to_string();
    assert_eq!(full, "keyspace small is full: at most 2 entries");
    assert!(space.put("b", &"x".repeat(20)).is_err());
    space.remove("a").unwrap();
    space.put("c", &"4".to_owned()).unwrap();
    assert_eq!(space.len(), 2);
}

#[test]
fn values_move_to_a_newer_schema_and_never_back() {
    let disk = SimulatedDisk::new();
    let store = StateStore::open_simulated(&disk, &Registry::new()).unwrap();
    values(&store).put("a", &json!("1")).unwrap();
    let second = KeyspaceOptions {
        migrate: Some(|from, _, old| Ok(json!({"from": from, "old": old}))),
        ..KeyspaceOptions::new("values", 2)
    };
    let space: Keyspace<Value> = store.keyspace(second).unwrap();
    assert_eq!(space.get("a").unwrap(), Some(json!({"from": 1, "old": "1"})));
    let space: Keyspace<Value> = store.keyspace(second).unwrap();
    assert_eq!(space.get("a").unwrap(), Some(json!({"from": 1, "old": "1"})));
    let older = store.keyspace::<Value>(KeyspaceOptions::new("values", 1));
    assert!(matches!(older, Err(Error::Newer { found: 2, known: 1, .. })));
}
