//! Layers and images made of what a container has changed.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

mod support;

use resource::{ImageConfig, Reference, Timestamp};
use rustix::fs::{AtFlags, CWD, FileType, Mode, XattrFlags};
use std::collections::BTreeMap;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use store::{Assembly, History, LayerParts, PackError, StoreError, digest_of};
use support::user::{opaque, owner};
use support::{Tar, TestStore, attribute, is_whiteout};

runs_again_in_user_namespaces!();

/// An upper folder with everything in it that a container can do to its files.
fn upper(folder: &Path) {
    std::fs::create_dir_all(folder.join("etc/opaque")).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("etc/text"), "changed").unwrap();
    let (uid, gid) = owner(7, 8);
    chown(folder.join("etc/text"), Some(uid), Some(gid)).unwrap();
    std::fs::set_permissions(folder.join("etc/text"), std::fs::Permissions::from_mode(0o4711)).unwrap();
    std::fs::hard_link(folder.join("etc/text"), folder.join("another")).unwrap();
    rustix::fs::setxattr(folder.join("etc/text"), "user.note", b"x\0y", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(folder.join("etc/opaque"), opaque(), b"y", XattrFlags::empty()).unwrap();
    std::fs::write(folder.join("etc/opaque/new"), "").unwrap();
    let gone = folder.join("etc/gone");
    rustix::fs::mknodat(CWD, &gone, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    rustix::fs::mknodat(CWD, folder.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    symlink("../somewhere", folder.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    let mut sparse = std::fs::File::create(folder.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(8 << 20)).unwrap();
    sparse.write_all(b"middle").unwrap();
    sparse.set_len(16 << 20).unwrap();
    let long = folder.join("a-rather-long-name".repeat(12));
    std::fs::write(&long, "text").unwrap();
    let time = rustix::fs::Timespec { tv_sec: -5, tv_nsec: 5_000_000 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, &long, &times, AtFlags::empty()).unwrap();
}

/// What can be seen of every path below a folder, in words.
fn listing(folder: &Path) -> BTreeMap<String, String> {
    let mut listing = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in std::fs::read_dir(&path).unwrap().map(Result::unwrap) {
            let (path, status) = (entry.path(), entry.metadata().unwrap());
            let kind = status.file_type();
            if kind.is_dir() {
                pending.push(path.clone());
            }
            let content = if kind.is_file() {
                digest_of(&std::fs::read(&path).unwrap()).to_string()
            } else {
                String::new()
            };
            // A whiteout's own times and modes mean nothing.
            let time = if is_whiteout(&path) { (0, 0) } else { (status.mtime(), status.mtime_nsec()) };
            let words = format!(
                "{kind:?} {:o} {}:{} {time:?} links {} {content} {:?} {:?}",
                status.mode(),
                status.uid(),
                status.gid(),
                if kind.is_dir() { 0 } else { status.nlink() },
                attribute(&path, "user.note"),
                attribute(&path, opaque()),
            );
            listing.insert(path.strip_prefix(folder).unwrap().display().to_string(), words);
        }
    }
    listing
}

#[test]
fn a_layer_of_changes_is_what_was_changed_and_packs_to_its_digest() {
    let test = TestStore::new();
    let folder = test.folder.join("upper");
    upper(&folder);
    let made = test.store.layer_of_changes(&folder).unwrap();
    let tree = test.store.layer_path(&made.info.diff_id);
    let mut wanted = listing(&folder);
    wanted.remove("socket").unwrap();
    let whiteout = |words: String| words.split(' ').next().map(str::to_owned);
    assert!(is_whiteout(&tree.join("etc/gone")));
    let mut found = listing(&tree);
    assert_eq!(wanted.remove("etc/gone").map(whiteout), found.remove("etc/gone").map(whiteout));
    assert_eq!(wanted, found);
    let sparse = std::fs::metadata(tree.join("sparse")).unwrap();
    assert!(sparse.len() == 16 << 20 && sparse.blocks() * 512 < 1 << 20);

    let mut archive = vec![];
    test.store.write_layer(&made.info.diff_id, &mut archive).unwrap();
    assert_eq!((digest_of(&archive), archive.len() as u64), (made.info.diff_id.clone(), made.archive_size));
    assert_eq!(test.store.layer_of_changes(&folder).unwrap().info.diff_id, made.info.diff_id);
    assert!(test.leftovers().is_empty());
}

#[test]
fn tar_reads_what_is_written() {
    let test = TestStore::new();
    let folder = test.folder.join("upper");
    upper(&folder);
    let made = test.store.layer_of_changes(&folder).unwrap();
    let archive = test.folder.join("layer.tar");
    test.store.write_layer(&made.info.diff_id, std::fs::File::create(&archive).unwrap()).unwrap();
    let listed = std::process::Command::new("tar").arg("tf").arg(&archive).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<&str> = names.lines().collect();
    for name in ["another", "etc/", "etc/.wh.gone", "etc/opaque/.wh..wh..opq", "etc/text", "pipe", "sparse"] {
        assert!(lines.contains(&name), "{name} is not in {lines:?}");
    }
    let text = std::process::Command::new("tar").arg("xOf").arg(&archive).arg("sparse").output().unwrap();
    assert_eq!(text.stdout.len(), 16 << 20);
}

#[test]
fn a_name_that_a_layer_cannot_have_is_refused_and_nothing_stays() {
    let test = TestStore::new();
    let folder = test.folder.join("upper");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(".wh.x"), "").unwrap();
    let error = test.store.layer_of_changes(&folder).unwrap_err();
    assert!(
        matches!(&error, StoreError::Pack { source, .. } if matches!(**source, PackError::Refused { .. }))
    );
    assert!(test.leftovers().is_empty());
}

#[test]
fn an_image_is_assembled_over_another_and_a_container_is_packed_whole() {
    let test = TestStore::new();
    let low = Tar::default().folder("etc").file("etc/gone", "1").file("etc/stays", "2").end();
    let base = test.image("app:1", &[&low]);
    let folder = test.folder.join("upper");
    upper(&folder);
    let made = test.store.layer_of_changes(&folder).unwrap();
    let reference = Reference::parse("app:2").unwrap();
    let config = ImageConfig { command: vec!["/other".to_owned()], ..base.config.clone() };
    let step = History {
        created: Timestamp::UNIX_EPOCH.to_string(),
        created_by: "/run".to_owned(),
        author: "Ada".to_owned(),
        comment: "first".to_owned(),
        empty_layer: false,
    };
    let assembly = Assembly {
        reference: &reference,
        platform: None,
        base: Some(&base),
        layers: &[(made.info.diff_id.clone(), made.archive_size)],
        config: &config,
        author: Some("Ada"),
        created: Timestamp::UNIX_EPOCH,
        history: &[step],
        cache: None,
    };
    let image = test.store.assemble_image(&assembly, made.pin).unwrap();
    assert_eq!(image.layers, [base.layers[0].clone(), made.info.diff_id]);
    assert_eq!(image.config, config);
    let text: serde_json::Value = serde_json::from_slice(&test.store.blob(&image.id).unwrap()).unwrap();
    assert_eq!(
        (text["author"].as_str(), text["history"][1]["comment"].as_str()),
        (Some("Ada"), Some("first"))
    );
    // The base told nothing of its layer.
    assert_eq!(text["history"].as_array().unwrap().len(), image.layers.len());
    assert_eq!(test.store.image(&reference, None).as_ref(), Some(&image));

    let layers = [test.store.layer_path(&base.layers[0])];
    let mut archive = vec![];
    let parts = LayerParts { layers: &layers, upper: &folder };
    test.store.write_container(parts, &mut archive).unwrap();
    let tree = test.tree(&archive);
    assert!(!tree.join("etc/gone").exists());
    assert_eq!(std::fs::read_to_string(tree.join("etc/stays")).unwrap(), "2");
    assert_eq!(std::fs::read_to_string(tree.join("etc/text")).unwrap(), "changed");
    assert_eq!(std::fs::metadata(tree.join("another")).unwrap().nlink(), 2);
}

#[test]
fn a_folder_that_is_taken_becomes_the_layer_that_its_copy_would_be() {
    let test = TestStore::new();
    let (taken, copied) = (test.store.scratch("step").unwrap(), test.store.scratch("step").unwrap());
    upper(&taken);
    upper(&copied);
    // Two folders made one after the other differ in nothing but times.
    for folder in [&taken, &copied] {
        set_times(folder);
    }
    let copy = test.store.layer_of_changes(&copied).unwrap();
    let before = test.store.layer(&copy.info.diff_id).unwrap();
    let taken_layer = test.store.take_changes(taken.clone()).unwrap().unwrap();
    assert_eq!((&taken_layer.info.diff_id, taken_layer.archive_size), (&before.diff_id, copy.archive_size));
    assert!(!taken.exists());
    let nothing = test.store.scratch("step").unwrap();
    std::fs::create_dir(&nothing).unwrap();
    assert!(test.store.take_changes(nothing.clone()).unwrap().is_none());
    assert!(!nothing.exists());
}

/// The same times for everything below a folder.
fn set_times(folder: &Path) {
    let time = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            set_times(&entry.path());
        }
        rustix::fs::utimensat(CWD, entry.path(), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

#[test]
fn a_step_is_made_once_and_its_layer_stays_until_it_is_forgotten() {
    use store::{StepResult, StepSlot};
    let test = TestStore::new();
    let key = digest_of(b"key");
    let folder = test.store.scratch("step").unwrap();
    upper(&folder);
    let StepSlot::Missing(writer) = test.store.begin_step(&key).unwrap() else { panic!("it is new") };
    let made = test.store.take_changes(folder).unwrap().unwrap();
    let layer = made.info.diff_id.clone();
    let result =
        StepResult { layer: Some((layer.clone(), made.archive_size)), created: Timestamp::UNIX_EPOCH };
    writer.keep(&result).unwrap();
    drop(made);
    assert!(test.store.collect_garbage(Default::default).unwrap().layers.is_empty());
    let StepSlot::Present(found) = test.store.begin_step(&key).unwrap() else { panic!("it was kept") };
    assert_eq!(found, result);
    assert_eq!(test.store.forget_steps(1 << 40).unwrap().count, 0);
    assert_eq!(test.store.forget_steps(0).unwrap().count, 1);
    assert!(test.store.step(&key).is_none());
    assert_eq!(test.store.collect_garbage(Default::default).unwrap().layers, [layer]);
}

#[test]
fn the_folders_that_were_used_last_stay_within_the_bound() {
    use store::CacheSharing::{Locked, Private, Shared};
    let test = TestStore::new();
    let make = |id: &str, sharing, bytes: usize| {
        let mount = test.store.cache_mount(id, sharing).unwrap();
        std::fs::create_dir_all(&mount.path).unwrap();
        std::fs::write(mount.path.join("file"), vec![0; bytes]).unwrap();
        mount.measure();
        mount
    };
    let old = make("old", Shared, 600).path.clone();
    let middle = make("middle", Locked, 600).path.clone();
    let new = make("new", Private, 600).path.clone();
    let at = |path: &Path, seconds| {
        let lock = std::fs::File::options().write(true).open(path.with_extension("lock")).unwrap();
        lock.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    for (path, seconds) in [(&old, 1), (&middle, 2), (&new, 3)] {
        at(path, seconds);
    }
    assert_eq!(test.store.forget_mounts(1800).unwrap().count, 0);
    // To use one makes it the newest; what is in use stays.
    drop(test.store.cache_mount("old", Shared).unwrap());
    let held = test.store.cache_mount("new", Shared).unwrap();
    at(&new, 3);
    let forgotten = test.store.forget_mounts(1000).unwrap();
    assert_eq!((forgotten.count, forgotten.bytes), (1, 600));
    assert!(old.exists() && new.exists() && !middle.exists());
    // Whoever was killed did not say how large it has become.
    std::fs::write(old.with_extension("lock"), "").unwrap();
    drop(held);
    assert_eq!(test.store.forget_mounts(1199).unwrap().count, 1);
    assert_eq!(test.store.forget_builds().unwrap().count, 1);
    assert!(!old.exists() && !new.exists());
}
