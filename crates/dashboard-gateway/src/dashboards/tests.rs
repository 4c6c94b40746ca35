//! Dashboards from files and edits, and which of them counts.

use std::path::Path;

use serde_json::json;
use state_store::SimulatedDisk;

use super::*;

fn dashboards(dir: &Path) -> Arc<Dashboards> {
    let store =
        StateStore::open_simulated(&SimulatedDisk::new(), &telemetry::Registry::new()).expect("opens");
    let clock = Arc::new(sys::ManualClock::at_ms(5_000));
    Dashboards::open(&store, vec![dir.to_owned(), dir.join("missing")], clock).expect("opens")
}

fn save(model: Value) -> Save {
    Save { model, message: "m".to_owned(), overwrite: false, user: "admin".to_owned() }
}

#[test]
fn files_are_found_edited_and_win_again_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("Team")).unwrap();
    let file = dir.path().join("Team/a.json");
    std::fs::write(&file, r#"{"uid": "a", "title": "From file", "version": 7}"#).unwrap();
    std::fs::write(dir.path().join("b.json"), r#"{"title": "No uid"}"#).unwrap();
    std::fs::write(dir.path().join("broken.json"), "{").unwrap();
    std::fs::write(dir.path().join("twice.json"), r#"{"dashboard": {"uid": "a", "title": "Again"}}"#)
        .unwrap();
    let dashboards = dashboards(dir.path());
    let problems = dashboards.reload_files();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let titles: Vec<_> = dashboards.all().unwrap().iter().map(|d| title_of(&d.model).to_owned()).collect();
    assert_eq!(titles, ["From file", "No uid"]);
    let first = dashboards.get("a").unwrap().unwrap();
    assert_eq!((first.version, first.folder.as_str(), first.provisioned), (1, "Team", true));

    let edited = dashboards.save(save(json!({"uid": "a", "title": "Edited", "version": 1}))).unwrap();
    assert_eq!((edited.version, title_of(&edited.model)), (2, "Edited"));
    assert!(dashboards.delete("a").is_err());
    std::fs::write(&file, r#"{"uid": "a", "title": "New file"}"#).unwrap();
    dashboards.reload_files();
    let again = dashboards.get("a").unwrap().unwrap();
    assert_eq!((again.version, title_of(&again.model)), (3, "New file"));
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(dir.path().join("twice.json")).unwrap();
    dashboards.reload_files();
    assert_eq!(
        title_of(&dashboards.get("a").unwrap().unwrap().model),
        "Edited",
        "the edit outlives its file"
    );
}

#[test]
fn saving_checks_versions_and_keeps_twenty() {
    let dir = tempfile::tempdir().unwrap();
    let dashboards = dashboards(dir.path());
    let first = dashboards.save(save(json!({"title": "T", "id": 5}))).unwrap();
    assert!(is_uid(&first.uid) && first.model.get("id").is_none());
    let stale = dashboards.save(save(json!({"uid": first.uid, "title": "T", "version": 9}))).unwrap_err();
    assert_eq!(stale.reason, Some("version-mismatch"));
    let mut version = first.version;
    for number in 0..25 {
        let model = json!({"uid": first.uid, "title": format!("T{number}"), "version": version});
        version = dashboards.save(save(model)).unwrap().version;
    }
    let versions: Vec<u64> = dashboards.versions(&first.uid).unwrap().iter().map(|d| d.version).collect();
    assert_eq!((versions.len(), versions[0], version), (20, 26, 26));
    for bad in [json!({"title": " "}), json!({"title": "x", "uid": "a/b"}), json!([1])] {
        assert!(dashboards.save(save(bad.clone())).is_err(), "{bad}");
    }
    dashboards.star("admin", &first.uid, true).unwrap();
    assert_eq!(dashboards.starred("admin").unwrap(), std::slice::from_ref(&first.uid));
    assert_eq!(dashboards.starred("adm").unwrap(), [""; 0]);
    dashboards.delete(&first.uid).unwrap();
    assert!(
        dashboards.get(&first.uid).unwrap().is_none() && dashboards.versions(&first.uid).unwrap().is_empty()
    );
    assert!(dashboards.star("admin", "none", true).is_err());
}
