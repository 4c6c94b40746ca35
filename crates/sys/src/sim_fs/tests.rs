//! The simulated disk keeps what was synced, loses only what was not, and fails as told.

use super::*;

fn write(fs: &SimFs, path: &str, data: &[u8]) -> Box<dyn AppendFile> {
    let mut file = fs.create_new(Path::new(path)).unwrap();
    file.append(data).unwrap();
    file
}

#[test]
fn synced_data_with_a_synced_name_survives_and_the_rest_may_not() {
    let (mut lost_names, mut lost_ends, mut zeroed) = (0, 0, 0);
    for seed in 0..200 {
        let fs = SimFs::new(seed);
        fs.create_dir_all(Path::new("/d/e")).unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
        fs.sync_dir(Path::new("/d")).unwrap();
        let mut file = write(&fs, "/d/e/safe", b"head ");
        file.sync().unwrap();
        fs.sync_dir(Path::new("/d/e")).unwrap();
        let tail = vec![b'x'; 3 * PAGE_BYTES];
        file.append(&tail).unwrap();
        write(&fs, "/d/e/nameless", b"synced content").sync().unwrap();
        let left = fs.crash();
        let content = left.read(Path::new("/d/e/safe"), 1 << 20).unwrap();
        assert!(content.starts_with(b"head ") && content.len() <= 5 + tail.len(), "seed {seed}");
        assert!(content[5..].iter().all(|b| matches!(b, b'x' | 0)), "seed {seed}: bytes were invented");
        lost_ends += usize::from(content.len() < 5 + tail.len());
        zeroed += usize::from(content.contains(&0));
        lost_names += usize::from(!left.exists(Path::new("/d/e/nameless")));
        assert_eq!(fs.kill().read(Path::new("/d/e/safe"), 1 << 20).unwrap().len(), 5 + tail.len());
    }
    assert!(lost_names > 20 && lost_ends > 100 && zeroed > 20, "{lost_names} {lost_ends} {zeroed}");
}

#[test]
fn an_atomic_write_is_old_or_new_after_a_stop_anywhere() {
    let mut seen = BTreeSet::new();
    for stop in 1..8 {
        for seed in 0..20 {
            let fs = SimFs::new(seed);
            fs.create_dir_all(Path::new("d")).unwrap();
            fs.sync_dir(Path::new("")).unwrap();
            fs.write_atomic(Path::new("d/f"), b"old").unwrap();
            fs.set_faults(SimFaults { stop_after: Some(stop), ..SimFaults::default() });
            let done = fs.write_atomic(Path::new("d/f"), b"new").is_ok();
            let content = fs.crash().read(Path::new("d/f"), 10).unwrap();
            assert!(content == b"old" || content == b"new", "stop {stop} seed {seed}: {content:?}");
            assert!(!done || content == b"new", "stop {stop} seed {seed}: acknowledged and gone");
            seen.insert(content);
        }
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_room_when_files_go() {
    let fs = SimFs::new(1);
    fs.set_faults(SimFaults { capacity: Some(10), ..SimFaults::default() });
    write(&fs, "a", b"123456");
    let mut file = write(&fs, "b", b"12");
    let refused = file.append(b"3456").unwrap_err();
    assert_eq!((refused.kind(), AppendFile::len(&*file)), (io::ErrorKind::StorageFull, 4));
    file.truncate(2).unwrap();
    fs.remove_file(Path::new("a")).unwrap();
    file.append(b"34567890").unwrap();
    assert_eq!(fs.disk_space(Path::new("")).unwrap(), DiskSpace { available: 0, total: 10 });
}

#[test]
fn what_a_failed_sync_dropped_never_reaches_the_disk() {
    let fs = SimFs::new(3);
    let mut file = write(&fs, "f", b"first");
    file.sync().unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    file.append(b" lost").unwrap();
    fs.set_faults(SimFaults { sync_errors_per_mille: 1000, ..SimFaults::default() });
    assert!(file.sync().is_err());
    fs.set_faults(SimFaults::default());
    file.append(b" last").unwrap();
    file.sync().unwrap();
    assert_eq!(fs.read(Path::new("f"), 99).unwrap(), b"first lost last");
    assert_eq!(fs.crash().read(Path::new("f"), 99).unwrap(), b"first\0\0\0\0\0 last");
}

#[test]
fn names_behave_as_on_a_real_disk() {
    let fs = SimFs::new(4);
    fs.create_dir_all(Path::new("/a/b")).unwrap();
    write(&fs, "/a/b/f", b"1");
    assert_eq!(fs.create_new(Path::new("/a/b/f")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs.create_new(Path::new("/x/f")).unwrap_err().kind(), io::ErrorKind::NotFound);
    fs.hard_link(Path::new("/a/b/f"), Path::new("/a/g")).unwrap();
    fs.rename(Path::new("/a/b"), Path::new("/a/c")).unwrap();
    fs.remove_file(Path::new("/a/c/f")).unwrap();
    assert_eq!(fs.files_below(Path::new("/")), [PathBuf::from("/a/g")]);
    assert_eq!(fs.read(Path::new("/a/g"), 9).unwrap(), b"1");
    let held = fs.lock(Path::new("/lock")).unwrap();
    assert_eq!(fs.lock(Path::new("/lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    fs.lock(Path::new("/lock")).unwrap();
    fs.flip_bit(Path::new("/a/g"), 0).unwrap();
    assert_eq!(fs.map(Path::new("/a/g")).unwrap().bytes(), b"0");
    fs.remove_dir_all(Path::new("/a")).unwrap();
    assert!(!fs.exists(Path::new("/a/g")) && fs.exists(Path::new("/lock")));
}
