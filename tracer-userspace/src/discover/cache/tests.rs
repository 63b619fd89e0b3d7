use std::os::unix::fs::symlink;

use super::*;
use crate::discover::{Basis, Cost, Function, Site, Stack};

fn finding(offset: u64) -> Finding {
    let (cost, reason) = (Cost::Emulated, "because".into());
    Finding {
        stack: Stack::Go,
        basis: Basis::Inference,
        version: Some("1".into()),
        evidence: vec!["a fact".into()],
        sites: vec![Site { function: Function::GoRead, offset, cost, parameter: -7, reason }],
    }
}

/// A copy of this program, to which something is appended.
fn program(folder: &Path, further: &[u8]) -> File {
    let path = folder.join("program");
    let mut bytes = fs::read("/proc/self/exe").unwrap();
    bytes.extend(further);
    fs::write(&path, bytes).unwrap();
    File::open(path).unwrap()
}

#[test]
fn what_was_found_is_found_again_in_the_same_bytes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("a/b")).unwrap();
    let file = program(folder.path(), b"x");
    let image = Image::read(&file).unwrap();
    assert_eq!(cache.find(&image, &file), None);
    cache.keep(&image, &file, &[finding(1), finding(2)]).unwrap();
    assert_eq!(cache.find(&image, &file), Some(vec![finding(1), finding(2)]));
    // The same build id and length, and other bytes.
    let other = program(folder.path(), b"y");
    assert_eq!(cache.find(&Image::read(&other).unwrap(), &other), None);
    // Of another llmtap.
    let another = Cache { inspector: "00".into(), ..cache.clone() };
    assert_eq!(another.find(&image, &file), None);
    let [entry] = &fs::read_dir(&cache.folder).unwrap().collect::<Vec<_>>()[..] else {
        panic!("one entry")
    };
    fs::write(entry.as_ref().unwrap().path(), b"{").unwrap();
    assert_eq!(cache.find(&image, &file), None);
}

#[test]
fn folder_that_others_write_into_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
        let refused = Cache::open(&open).unwrap_err();
        assert!(matches!(refused, CacheError::Shared(_)), "{mode:o}: {refused}");
    }
    // A link that leads there is as good as the folder.
    let link = folder.path().join("link");
    symlink(&open, &link).unwrap();
    assert!(matches!(Cache::open(&link), Err(CacheError::Shared(_))));
    fs::write(folder.path().join("file"), b"").unwrap();
    let refused = Cache::open(&folder.path().join("file")).unwrap_err();
    assert!(matches!(refused, CacheError::Folder { .. }), "{refused}");
}

#[test]
fn oldest_entries_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    for number in 0..ENTRIES {
        fs::write(folder.path().join(format!("{number}.json")), b"").unwrap();
    }
    let of = |name: &str| folder.path().join(name);
    File::options()
        .write(true)
        .open(of("7.json"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let outside = tempfile::tempdir().unwrap();
    let file = program(outside.path(), b"");
    cache.keep(&Image::read(&file).unwrap(), &file, &[]).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), ENTRIES);
    assert!(!of("7.json").exists() && of("8.json").exists());
}
