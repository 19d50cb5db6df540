//! What GNU tar packs is unpacked as GNU tar does it, to the last attribute: whole trees are compared.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use resource::Mapping;
use rustix::fs::{AtFlags, FileType, Mode, SeekFrom, Timespec, Timestamps, XattrFlags};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use store::digest_of;
use support::user::{mapping, opaque};
use support::{TestStore, attribute, is_whiteout};

runs_again_in_user_namespaces!();

/// The formats that GNU tar writes all of this in; only PAX headers have attributes and parts of seconds.
const FORMATS: [&[&str]; 5] = [
    &["--format=gnu"],
    &["--format=oldgnu"],
    &["--format=posix", "--sparse-version=0.0", "--xattrs", "--xattrs-include=*"],
    &["--format=posix", "--sparse-version=0.1", "--xattrs", "--xattrs-include=*"],
    &["--format=posix", "--sparse-version=1.0", "--xattrs", "--xattrs-include=*"],
];

#[test]
fn what_tar_packs_is_unpacked_as_tar_does_it() {
    let test = TestStore::new();
    let source = test.folder.join("source");
    make_tree(&source);
    for (number, format) in FORMATS.iter().enumerate() {
        let archive = pack(&source, format);
        let expected = tar_unpacked(&test.folder.join(format!("tar-{number}")), &archive);
        let found = tree(&test.tree(&archive));
        same(&found, &expected, format);
    }
    // The tree itself, as far as an archive can have it: what tar makes of it is no accident.
    let (found, made) = (tree(&test.tree(&pack(&source, FORMATS[4]))), tree(&source));
    same(&found, &made, FORMATS[4]);
    assert_eq!(found.values().filter(|entry| entry.links.len() == 3).count(), 3);
    assert!(found["sparse/both"].extents.len() == 2, "{:?}", found["sparse/both"]);
    assert!(found["with attributes"].attributes.contains_key("user.test"));
    assert!(found["with attributes"].attributes.contains_key("security.capability"));
}

#[test]
fn what_layers_hide_is_all_that_tar_has_otherwise() {
    let test = TestStore::new();
    let source = test.folder.join("source");
    std::fs::create_dir_all(source.join("opaque/below")).unwrap();
    for name in ["kept", ".wh.gone", "opaque/.wh..wh..opq", "opaque/own", "opaque/below/.wh.x"] {
        std::fs::write(source.join(name), name).unwrap();
    }
    let archive = pack(&source, FORMATS[4]);
    let mut expected = tar_unpacked(&test.folder.join("tar"), &archive);
    let hidden: Vec<String> = expected.keys().filter(|name| name.contains(".wh.")).cloned().collect();
    for name in &hidden {
        expected.remove(name);
    }
    let unpacked = test.tree(&archive);
    let mut found = tree(&unpacked);
    for name in ["gone", "opaque/below/x"] {
        assert!(is_whiteout(&unpacked.join(name)), "{name}");
        found.remove(name);
    }
    assert_eq!(attribute(&unpacked.join("opaque"), opaque()).unwrap(), b"y");
    assert_eq!(attribute(&unpacked.join("opaque/below"), opaque()), None);
    same(&found, &expected, &[]);
}

/// How many random archives are compared.
const RANDOM: usize = 60;

#[test]
fn random_archives_are_unpacked_as_tar_does_it() {
    let test = TestStore::new();
    let folder = test.folder.join("random");
    std::fs::create_dir_all(&folder).unwrap();
    let (largest, devices) = match mapping() {
        Mapping::Host => ("3000000000", "1"),
        Mapping::Subordinate => ("65000", "0"),
        Mapping::Single => ("0", "0"),
    };
    // Where it was built may be closed to other users.
    let script = include_str!("random_tars.py");
    let made = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .arg(&folder)
        .args([&RANDOM.to_string(), largest, devices])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for number in 0..RANDOM {
        let archive = std::fs::read(folder.join(format!("{number}.tar"))).unwrap();
        // Entries of folders come before and after what is in them.
        let options = ["--delay-directory-restore"];
        let expected = tar_unpacked_with(&options, &folder.join(number.to_string()), &archive);
        let found = tree(&test.tree(&archive));
        same(&found, &expected, &[&format!("random archive {number}")]);
    }
}

/// One of everything that an archive can have and whoever runs the test can make.
fn make_tree(root: &Path) {
    let long = "n".repeat(200);
    std::fs::create_dir_all(root.join("links/deep")).unwrap();
    std::fs::create_dir_all(root.join("modes")).unwrap();
    std::fs::create_dir_all(root.join("sparse")).unwrap();
    std::fs::create_dir_all(root.join(&long).join(&long)).unwrap();
    for (name, mode) in
        [("plain", 0o644), ("setuid", 0o4755), ("setgid", 0o2711), ("sticky", 0o1600), ("none", 0)]
    {
        let path = root.join("modes").join(name);
        std::fs::write(&path, name).unwrap();
        set_mode(&path, mode);
    }
    set_mode(&root.join("modes"), 0o3777);
    // Names: too long for the old headers, and of bytes that are no text.
    std::fs::write(root.join(&long).join(&long).join("x".repeat(255)), "far down").unwrap();
    std::fs::write(root.join(OsStr::from_bytes(b"\xff new\nline \\ \xc3\xa4")), "odd").unwrap();
    std::fs::write(root.join("empty"), "").unwrap();
    std::fs::write(root.join("large"), vec![0x5a; 700_001]).unwrap();
    // Links.
    std::fs::write(root.join("links/one"), "one file, three names").unwrap();
    std::fs::hard_link(root.join("links/one"), root.join("links/two")).unwrap();
    std::fs::hard_link(root.join("links/one"), root.join(&long).join("three")).unwrap();
    symlink("/nowhere/at all", root.join("links/dangling")).unwrap();
    symlink("../".repeat(60) + "etc/passwd", root.join("links/deep/outwards")).unwrap();
    std::fs::hard_link(root.join("links/dangling"), root.join("links/dangling too")).unwrap();
    // Holes, at either end and in the middle.
    for (name, length, parts) in [
        ("hole", 1 << 20, &[][..]),
        ("front", 1 << 20, &[0]),
        ("both", 3_000_000, &[1 << 20, 2 << 20]),
        ("end", (2 << 20) + 1, &[2 << 20]),
    ] {
        let file = File::create(root.join("sparse").join(name)).unwrap();
        file.set_len(length).unwrap();
        for offset in parts {
            file.write_all_at(b"!", *offset).unwrap();
        }
    }
    make_nodes(root);
    let attributed = root.join("with attributes");
    std::fs::write(&attributed, "attributes").unwrap();
    set_attribute(&attributed, "user.test", b"a\nb=\0c\xff");
    // CAP_NET_BIND_SERVICE, permitted and effective: VFS_CAP_REVISION_2 of linux/capability.h.
    let capability: [u32; 5] = [0x0200_0001, 1 << 10, 0, 0, 0];
    let bytes: Vec<u8> = capability.iter().flat_map(|word| word.to_le_bytes()).collect();
    set_attribute(&attributed, "security.capability", &bytes);
    set_attribute(&root.join("links"), "user.folder", b"too");
    // Times last: making things in a folder changes its.
    for (name, seconds, nanoseconds) in [
        ("modes/plain", 1, 0),
        ("large", 1_700_000_000, 123_456_789),
        ("links/one", 5_000_000_000, 999_999_999),
        ("links/dangling", 77, 7),
        ("sparse", 0, 500_000_000),
        ("fifo", 12, 12),
    ] {
        set_time(&root.join(name), seconds, nanoseconds);
    }
}

/// Devices and owners, where whoever runs the test may make them.
fn make_nodes(root: &Path) {
    let node = |name: &str, kind, device| {
        let made =
            rustix::fs::mknodat(rustix::fs::CWD, root.join(name), kind, Mode::from_raw_mode(0o640), device);
        made.unwrap();
    };
    node("fifo", FileType::Fifo, 0);
    let mut owners = vec![];
    match mapping() {
        Mapping::Host => {
            node("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
            node("loop", FileType::BlockDevice, rustix::fs::makedev(7, 300));
            owners.extend([("modes/setuid", 1000, 33), ("fifo", 4_000_000, 3_000_000), ("loop", 6, 6)]);
        }
        Mapping::Subordinate => owners.extend([("modes/setuid", 1000, 33), ("fifo", 65_000, 60_000)]),
        Mapping::Single => {}
    }
    for (name, uid, gid) in owners {
        let path = root.join(name);
        let mode = std::fs::symlink_metadata(&path).unwrap().mode();
        std::os::unix::fs::lchown(&path, Some(uid), Some(gid)).unwrap();
        // A change of owner takes set-uid bits away.
        set_mode(&path, mode & 0o7777);
    }
}

fn set_mode(path: &Path, mode: u32) {
    rustix::fs::chmod(path, Mode::from_raw_mode(mode)).unwrap();
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn tar(arguments: &[&OsStr]) {
    let done = Command::new("tar").args(arguments).env("LC_ALL", "C").output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn pack(source: &Path, format: &[&str]) -> Vec<u8> {
    let archive = source.with_extension("tar");
    let mut arguments: Vec<&OsStr> = format.iter().map(OsStr::new).collect();
    arguments.extend(["--create", "--sparse", "--numeric-owner", "--sort=name", "--file"].map(OsStr::new));
    arguments.extend([archive.as_os_str(), OsStr::new("--directory"), source.as_os_str(), OsStr::new(".")]);
    tar(&arguments);
    std::fs::read(archive).unwrap()
}

/// What tar makes of an archive in a folder of its own.
fn tar_unpacked(to: &Path, archive: &[u8]) -> BTreeMap<String, Entry> {
    tar_unpacked_with(&[], to, archive)
}

fn tar_unpacked_with(more: &[&str], to: &Path, archive: &[u8]) -> BTreeMap<String, Entry> {
    std::fs::create_dir(to).unwrap();
    let file = to.with_extension("tar");
    std::fs::write(&file, archive).unwrap();
    let options = [
        "--extract",
        "--preserve-permissions",
        "--same-owner",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--file",
    ];
    let mut arguments: Vec<&OsStr> = more.iter().chain(&options).map(OsStr::new).collect();
    arguments.extend([file.as_os_str(), OsStr::new("--directory"), to.as_os_str()]);
    tar(&arguments);
    tree(to)
}

/// All that is to be known of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    device: u64,
    size: u64,
    content: String,
    /// Where it has content: begin and end of each part.
    extents: Vec<(u64, u64)>,
    /// Its names in the tree, when it has several.
    links: Vec<String>,
    attributes: BTreeMap<String, Vec<u8>>,
}

/// The entries of a tree by their paths, its root included.
fn tree(root: &Path) -> BTreeMap<String, Entry> {
    let (mut names, mut entries) = (BTreeMap::<u64, Vec<String>>::new(), BTreeMap::new());
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let status = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
        if status.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            names.entry(status.ino()).or_default().push(name.clone());
        }
        entries.insert(name, (status.ino(), entry(&path, &status)));
    }
    names.values_mut().for_each(|names| names.sort());
    let linked = |inode| names.get(&inode).filter(|names| names.len() > 1).cloned().unwrap_or_default();
    entries
        .into_iter()
        .map(|(name, (inode, entry))| (name, Entry { links: linked(inode), ..entry }))
        .collect()
}

fn entry(path: &PathBuf, status: &std::fs::Metadata) -> Entry {
    let kind = status.file_type();
    let common = Entry {
        mode: status.mode() & 0o7777,
        owner: (status.uid(), status.gid()),
        modified: (status.mtime(), status.mtime_nsec()),
        attributes: attributes(path),
        ..Entry::default()
    };
    match () {
        () if kind.is_dir() => Entry { kind: "folder", ..common },
        () if kind.is_symlink() => {
            let content = std::fs::read_link(path).unwrap().to_string_lossy().into_owned();
            Entry { kind: "symbolic link", content, ..common }
        }
        () if kind.is_file() => Entry {
            kind: "file",
            size: status.len(),
            content: digest_of(&std::fs::read(path).unwrap()).to_string(),
            extents: extents(path, status.len()),
            ..common
        },
        () if kind.is_fifo() => Entry { kind: "fifo", ..common },
        () if kind.is_block_device() => Entry { kind: "block device", device: status.rdev(), ..common },
        () => Entry { kind: "character device", device: status.rdev(), ..common },
    }
}

fn extents(path: &Path, length: u64) -> Vec<(u64, u64)> {
    let file = File::open(path).unwrap();
    let (mut extents, mut at) = (vec![], 0);
    while at < length {
        let Ok(begin) = rustix::fs::seek(&file, SeekFrom::Data(at)) else { break };
        at = rustix::fs::seek(&file, SeekFrom::Hole(begin)).unwrap();
        extents.push((begin, at));
    }
    extents
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.map(|name| String::from_utf8(name.to_vec()).unwrap());
    // A security module's labels come by themselves, overlayfs's are told apart by the tests.
    let names = names.filter(|name| !name.contains(".overlay.") && name != "security.selinux");
    names.map(|name| (name.clone(), attribute(path, &name).unwrap())).collect()
}

fn same(found: &BTreeMap<String, Entry>, expected: &BTreeMap<String, Entry>, format: &[&str]) {
    let names = |tree: &BTreeMap<String, Entry>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{format:?}");
    for (name, entry) in expected {
        assert_eq!(&found[name], entry, "{name:?} in {format:?}");
    }
}
