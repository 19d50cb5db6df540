//! Images, garbage, volumes and copy-up on a real file system, with real overlays.

mod support;

use resource::{ImageConfig, Mapping, Platform, Reference, Roots, VolumeName, VolumeSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use store::{InUse, Store, StoreError, digest_of};
use support::user::{mapping, owner};
use support::{Entry, Tar, TestStore, attribute};

fn volume(name: &str) -> VolumeSpec {
    VolumeSpec {
        name: VolumeName(name.to_owned()),
        external: false,
        driver: "local".to_owned(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

runs_again_in_user_namespaces!();

/// Opens a store as an engine with this mapping does.
fn open(test: &TestStore, mapping: Mapping) -> Result<Store, StoreError> {
    Store::open(&Roots { mapping, ..test.store.roots().clone() })
}

#[test]
fn a_store_of_other_ids_is_refused() {
    let test = TestStore::new();
    test.layer(&Tar::default().file("a", "b").end()).unwrap();
    std::fs::create_dir_all(test.store.roots().data.join("pods/shop")).unwrap();
    for other in [Mapping::Host, Mapping::Subordinate, Mapping::Single] {
        match open(&test, other) {
            Ok(_) => assert_eq!(other, mapping()),
            Err(StoreError::Foreign { written, opened, .. }) => {
                assert_ne!(other, mapping());
                assert_eq!((written, opened), (Some(mapping()), other));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn with_subordinate_ids_a_store_without_containers_begins_again() {
    let test = TestStore::new();
    let archive = Tar::default().entry(&Entry { uid: 7, ..Entry::new(b'0', "a") }).end();
    test.image("app:1", &[&archive]);
    test.store.create_volume(&volume("kept"), false).unwrap();
    let data = &test.store.roots().data;
    std::fs::write(data.join("format"), "1 single\n").unwrap();
    let store = open(&test, Mapping::Subordinate).unwrap();
    assert_eq!((store.images().len(), store.volumes().len()), (0, 1));
    assert!(!store.has_layer(&digest_of(&archive)) && test.leftovers().is_empty());
    assert_eq!(std::fs::read_to_string(data.join("format")).unwrap(), "1 subordinate\n");
    // Without them again it would be out of reach: there is a volume.
    assert!(matches!(open(&test, Mapping::Single), Err(StoreError::Foreign { .. })));
    assert!(store.remove_volume(&VolumeName("kept".to_owned())).unwrap());
    assert!(open(&test, Mapping::Single).is_ok());
}

#[test]
fn opening_writes_nothing_and_a_newer_store_is_refused() {
    let test = TestStore::new();
    assert!(!test.folder.exists());
    assert!(test.store.images().is_empty() && test.store.volumes().is_empty());
    assert!(!test.folder.exists());
    test.store.prepare().unwrap();
    assert_eq!(std::fs::metadata(&test.store.roots().data).unwrap().mode() & 0o777, 0o700);
    std::fs::write(test.store.roots().data.join("format"), "99\n").unwrap();
    let error = Store::open(test.store.roots()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { version: 99, .. }));
}

#[test]
fn an_image_is_found_by_reference_platform_and_id() {
    let test = TestStore::new();
    let archive = Tar::default().file("etc/passwd", "root:x:0:0::/root:/bin/sh\n").end();
    let image = test.image("app:1", &[&archive]);
    let reference = Reference::parse("app:1").unwrap();
    assert_eq!(test.store.image(&reference, None).unwrap(), image);
    assert_eq!(test.store.image(&reference, Some(&Platform::host())).unwrap(), image);
    let other = Platform { architecture: "other".to_owned(), ..Platform::host() };
    assert_eq!(test.store.image(&reference, Some(&other)), None);
    assert_eq!(test.store.image_by_id(&image.id).unwrap(), image);
    assert_eq!(image.config.command, ["/run"]);
    assert_eq!(image.passwd, "root:x:0:0::/root:/bin/sh\n");
    assert!(test.store.blob(&image.manifest).is_some());
    let second = Reference::parse("other:2").unwrap();
    test.store.tag_image(&image, &second).unwrap();
    assert_eq!(test.store.images().len(), 2);
    assert!(test.store.remove_image(&second, None).unwrap());
    assert!(!test.store.remove_image(&second, None).unwrap());
    assert_eq!(test.store.images().len(), 1);
}

#[test]
fn users_are_those_of_the_merged_layers() {
    let test = TestStore::new();
    let users = |archives: &[&[u8]]| {
        let image = test.image("users", archives);
        (image.passwd, image.group)
    };
    let low = Tar::default().file("etc/passwd", "low").file("etc/group", "low").end();
    let top = Tar::default().file("etc/passwd", "top").end();
    assert_eq!(users(&[&low, &top]), ("top".to_owned(), "low".to_owned()));
    let hidden = Tar::default().file("etc/.wh.group", "").end();
    assert_eq!(users(&[&low, &hidden]), ("low".to_owned(), String::new()));
    let opaque = Tar::default().file("etc/.wh..wh..opq", "").end();
    assert_eq!(users(&[&low, &opaque]), (String::new(), String::new()));
    // Followed inside the image, never outside it; and nothing but a file of a sensible size is read.
    let linked = Tar::default()
        .symlink("etc/passwd", "/real")
        .file("real", "inside")
        .symlink("etc/group", "/etc/hostname");
    assert_eq!(users(&[&linked.end()]), ("inside".to_owned(), String::new()));
    let fifo = Tar::default().entry(&Entry::new(b'6', "etc/passwd")).folder("etc/group").end();
    assert_eq!(users(&[&fifo]), (String::new(), String::new()));
    let device = Entry { device: (1, 5), ..Entry::new(b'3', "etc/passwd") };
    assert_eq!(users(&[&Tar::default().entry(&device).file("etc/group", &"x".repeat(1 << 21)).end()]).0, "");
    assert_eq!(users(&[]), (String::new(), String::new()));
}

#[test]
fn garbage_is_what_no_image_pin_or_container_needs() {
    let test = TestStore::new();
    let layers: Vec<Vec<u8>> = ["image", "pinned", "used", "loose"]
        .iter()
        .map(|name| Tar::default().file(name, name).end())
        .collect();
    let ids: Vec<_> = layers.iter().map(|layer| test.layer(layer).unwrap().diff_id).collect();
    let image = test.image("kept", &[&layers[0]]);
    let pin = test.store.pin(&[ids[1].clone()]).unwrap();
    let gone = test
        .store
        .collect_garbage(|| InUse { layers: BTreeSet::from([ids[2].clone()]), ..InUse::default() })
        .unwrap();
    assert_eq!((gone.layers, gone.bytes), (vec![ids[3].clone()], 5));
    assert_eq!(ids.iter().map(|id| test.store.has_layer(id)).collect::<Vec<_>>(), [true, true, true, false]);
    drop(pin);
    test.store.remove_image(&image.reference, None).unwrap();
    assert_eq!(test.store.collect_garbage(InUse::default).unwrap().layers.len(), 3);
    assert_eq!(test.store.blob(&image.id), None);
    assert!(test.leftovers().is_empty());
}

#[test]
fn what_dead_processes_left_is_swept_and_what_lives_is_not() {
    let test = TestStore::new();
    test.store.prepare().unwrap();
    let tmp = test.store.roots().data.join("tmp");
    // Nobody holds what it says; that there is a process with this number says nothing.
    let reused = std::process::id();
    let half = digest_of(b"half");
    for name in [
        "import-0123456789abcdef-0".to_owned(),
        format!("import-{reused}-0"),
        "dead-1-0".to_owned(),
        format!("layer-{}", digest_of(b"crashed").hex()),
    ] {
        std::fs::create_dir_all(tmp.join(name).join("tree/inside")).unwrap();
    }
    let alive = test.store.scratch("import").unwrap();
    std::fs::create_dir(&alive).unwrap();
    let writer = test.store.begin_layer(&half).unwrap();
    let held = tmp.join(format!("layer-{}", half.hex()));
    std::fs::create_dir(&held).unwrap();
    let (data, run) = (&test.store.roots().data, &test.store.roots().run);
    std::fs::write(data.join(format!("images/x.json.{reused}.0.tmp")), "").unwrap();
    std::fs::write(run.join("pins/1-0"), "").unwrap();
    let writing = test.store.share().unwrap();
    let unwritten = || std::fs::read_dir(data.join("images")).unwrap().count();
    test.store.sweep().unwrap();
    assert_eq!(unwritten(), 1, "somebody may be writing it");
    drop(writing);
    test.store.sweep().unwrap();
    let mut left = test.leftovers();
    left.sort();
    assert_eq!(left, [alive, held]);
    assert_eq!(unwritten(), 0);
    assert_eq!(std::fs::read_dir(run.join("pins")).unwrap().count(), 0);
    drop(writer);
}

#[test]
fn whoever_makes_an_image_first_clears_what_the_dead_have_left() {
    let test = TestStore::new();
    test.store.prepare().unwrap();
    let tmp = test.store.roots().data.join("tmp");
    std::fs::create_dir_all(tmp.join("import-0123456789abcdef-0/tree")).unwrap();
    drop(test.store.pin(&[]).unwrap());
    assert!(test.leftovers().is_empty());
}

#[test]
fn a_volume_is_filled_once_with_owner_mode_links_and_attributes() {
    let test = TestStore::new();
    let low = Tar::default()
        .entry(&Entry { mode: 0o1770, uid: 33, gid: 44, ..Entry::new(b'5', "data/") })
        .file("data/gone", "")
        .entry(&Entry {
            mode: 0o4755,
            uid: 7,
            gid: 8,
            content: b"program",
            ..Entry::new(b'0', "data/sub/program")
        })
        .hard_link("data/again", "data/sub/program")
        .pax(&[("SCHILY.xattr.user.note", b"x")])
        .file("data/noted", "n")
        .end();
    let top = Tar::default()
        .entry(&Entry { mode: 0o1770, uid: 33, gid: 44, ..Entry::new(b'5', "data") })
        .file("data/.wh.gone", "")
        .symlink("data/link", "/data/sub")
        .symlink("alias", "/data")
        .end();
    let image = test.image("filled", &[&low, &top]);
    let record = test.store.create_volume(&volume("fresh"), false).unwrap();
    let data = test.store.volume_path(&record.spec.name);
    assert!(test.store.copy_up(&image, "/alias", &record.spec.name).unwrap());
    let root = std::fs::metadata(&data).unwrap();
    assert_eq!((root.mode() & 0o7777, (root.uid(), root.gid())), (0o1770, owner(33, 44)));
    assert_eq!(root.mtime(), 0o14_000_000_000);
    let program = std::fs::metadata(data.join("sub/program")).unwrap();
    assert_eq!((program.mode() & 0o7777, program.uid(), program.nlink()), (0o4755, owner(7, 8).0, 2));
    assert_eq!(program.ino(), std::fs::metadata(data.join("again")).unwrap().ino());
    assert_eq!(attribute(&data.join("noted"), "user.note").unwrap(), b"x");
    assert_eq!(std::fs::read_link(data.join("link")).unwrap().to_str(), Some("/data/sub"));
    assert!(!data.join("gone").exists());
    assert!(!test.store.copy_up(&image, "/data", &record.spec.name).unwrap());
    assert!(std::fs::read_dir(data.parent().unwrap()).unwrap().count() == 2);
}

#[test]
fn a_copy_cut_short_is_completed_and_takes_nothing_away() {
    let test = TestStore::new();
    let archive = Tar::default().file("data/a", "whole").file("data/b", "b").end();
    let image = test.image("cut", &[&archive]);
    let name = test.store.create_volume(&volume("cut"), false).unwrap().spec.name;
    let data = test.store.volume_path(&name);
    std::fs::write(data.parent().unwrap().join("filling"), "").unwrap();
    std::fs::write(data.join("a"), "wh").unwrap();
    std::fs::write(data.join("written-since"), "mine").unwrap();
    assert!(test.store.copy_up(&image, "/data", &name).unwrap());
    assert_eq!(std::fs::read(data.join("a")).unwrap(), b"whole");
    assert!(data.join("b").exists() && data.join("written-since").exists());
    assert!(!test.store.copy_up(&image, "/data", &name).unwrap());
}

#[test]
fn a_volume_stays_empty_without_a_folder_in_the_image() {
    let test = TestStore::new();
    let image = test.image("plain", &[&Tar::default().file("file", "x").end()]);
    let name = test.store.create_anonymous_volume(&BTreeMap::new()).unwrap().spec.name;
    assert_eq!(name.as_str().len(), 64);
    for path in ["/file", "/missing", "/file/below", "/../../missing"] {
        assert!(!test.store.copy_up(&image, path, &name).unwrap(), "{path}");
    }
    assert_eq!(std::fs::read_dir(test.store.volume_path(&name)).unwrap().count(), 0);
    let missing = test.store.copy_up(&image, "/", &VolumeName("missing".to_owned()));
    assert!(matches!(missing, Err(StoreError::NoVolume(_))));
}

#[test]
fn volumes_are_made_once_listed_and_removed_whole() {
    let test = TestStore::new();
    let first = test.store.create_volume(&volume("b"), false).unwrap();
    assert_eq!(test.store.create_volume(&volume("b"), false).unwrap(), first);
    test.store.create_volume(&volume("a"), false).unwrap();
    let data = test.store.volume_path(&first.spec.name);
    std::fs::write(data.join("x"), "precious").unwrap();
    // A power cut may take the document, never the data.
    std::fs::write(data.parent().unwrap().join("volume.json"), "torn").unwrap();
    assert_eq!(test.store.volume(&first.spec.name), None);
    test.store.create_volume(&volume("b"), false).unwrap();
    assert_eq!(std::fs::read(data.join("x")).unwrap(), b"precious");
    let names: Vec<_> = test.store.volumes().into_iter().map(|volume| volume.spec.name.0).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(test.store.remove_volume(&first.spec.name).unwrap());
    assert!(!test.store.remove_volume(&first.spec.name).unwrap());
    assert!(test.leftovers().is_empty());
    let bad = test.store.create_volume(&volume("../x"), false);
    assert!(matches!(bad, Err(StoreError::BadVolumeName(_))));
}

#[test]
fn an_image_can_be_made_of_one_archive() {
    let test = TestStore::new();
    let archive = Tar::default().folder("etc").file("etc/group", "g").file("server", "#!").end();
    let config = ImageConfig { command: vec!["/server".into()], ..ImageConfig::default() };
    let reference = Reference::parse("example/hello").unwrap();
    let image = test.store.import(&reference, archive.as_slice(), &config).unwrap();
    assert_eq!((&image.config, image.layers.len(), image.group.as_str()), (&config, 1, "g"));
    // Whatever form the archive had, the layer can be given as it is named.
    let mut written = vec![];
    test.store.write_layer(&image.layers[0], &mut written).unwrap();
    assert_eq!(image.layers[0], digest_of(&written));
    assert_eq!(test.store.image(&reference, None).unwrap(), image);
    let again = test.store.import(&reference, archive.as_slice(), &config).unwrap();
    assert_eq!(again.layers, image.layers);
    assert!(test.leftovers().is_empty());
    assert!(test.store.import(&reference, &b"no archive"[..], &config).is_err());
    assert_eq!(test.store.image(&reference, None).unwrap(), again);
    assert!(test.leftovers().is_empty());
}
