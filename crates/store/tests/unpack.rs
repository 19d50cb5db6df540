//! Layers on a real file system: what an archive says is what is there, and a hostile archive reaches
//! nothing outside.

mod support;

use resource::{Digest, Mapping};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use store::{LayerSlot, Omitted, Source, StoreError, UnpackError, digest_of};
use support::user::{mapping, opaque, owner};
use support::{Entry, Tar, TestStore, attribute, is_whiteout};

runs_again_in_user_namespaces!();

#[test]
fn owner_mode_time_and_content_are_kept() {
    let test = TestStore::new();
    let layer = test
        .layer(
            &Tar::default()
                .entry(&Entry { mode: 0o2750, uid: 33, gid: 44, ..Entry::new(b'5', "dir/") })
                .entry(&Entry {
                    mode: 0o4711,
                    uid: 1000,
                    gid: 1001,
                    content: b"hello",
                    ..Entry::new(b'0', "dir/program")
                })
                .entry(&Entry { mode: 0o600, ..Entry::new(b'6', "dir/fifo") })
                .entry(&Entry { mode: 0o660, device: (1, 3), ..Entry::new(b'3', "dir/null") })
                .symlink("dir/link", "/etc/../x y")
                .hard_link("dir/again", "dir/program")
                .end(),
        )
        .unwrap();
    let tree = test.store.layer_path(&layer.diff_id);
    let status = |name: &str| std::fs::symlink_metadata(tree.join(name)).unwrap();
    let program = status("dir/program");
    assert_eq!((program.mode() & 0o7777, (program.uid(), program.gid())), (0o4711, owner(1000, 1001)));
    assert_eq!((program.mtime(), program.nlink()), (0o14_000_000_000, 2));
    assert_eq!(std::fs::read(tree.join("dir/again")).unwrap(), b"hello");
    let dir = status("dir");
    assert_eq!((dir.mode() & 0o7777, (dir.uid(), dir.gid())), (0o2750, owner(33, 44)));
    assert_eq!(dir.mtime(), 0o14_000_000_000);
    assert!(status("dir/fifo").file_type().is_fifo());
    // Only the machine's root makes devices, and where there is a single id everything is its own.
    let omitted = match mapping() {
        Mapping::Host => Omitted::default(),
        Mapping::Subordinate => Omitted { devices: 1, owners: 0 },
        Mapping::Single => Omitted { devices: 1, owners: 2 },
    };
    assert_eq!((layer.omitted, test.store.layer(&layer.diff_id).unwrap().omitted), (omitted, omitted));
    if omitted.devices == 0 {
        let null = status("dir/null");
        assert_eq!((null.file_type().is_char_device(), null.rdev()), (true, 0x103));
    } else {
        assert!(!tree.join("dir/null").exists());
    }
    assert_eq!(std::fs::read_link(tree.join("dir/link")).unwrap(), Path::new("/etc/../x y"));
}

#[test]
fn extended_headers_carry_names_numbers_times_and_attributes() {
    let test = TestStore::new();
    let long = format!("{}/{}", "d".repeat(250), "f".repeat(250));
    let value = b"a\nb\0c=\xff";
    let tree = test.tree(
        &Tar::default()
            .pax(&[
                ("path", long.as_bytes()),
                ("uid", b"0000000030000"),
                ("mtime", b"-1.5"),
                ("SCHILY.xattr.user.test", value),
                ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ])
            .file("short", "x")
            .entry(&Entry { content: b"gnu/long\0", ..Entry::new(b'L', "././@LongLink") })
            .file("short", "y")
            .entry(&Entry { path: b"bad\xff\xfename", ..Entry::new(b'0', "") })
            .cut(),
    );
    let file = tree.join(long);
    let status = std::fs::symlink_metadata(&file).unwrap();
    assert_eq!((status.uid(), status.mtime(), status.mtime_nsec()), (owner(30_000, 0).0, -2, 500_000_000));
    assert_eq!(attribute(&file, "user.test").unwrap(), value);
    assert_eq!(attribute(&file, "trusted.overlay.redirect"), None);
    assert_eq!(std::fs::read(tree.join("gnu/long")).unwrap(), b"y");
    assert!(tree.join(std::ffi::OsStr::from_bytes(b"bad\xff\xfename")).exists());
}

#[test]
fn global_headers_hold_until_something_else_is_said() {
    let test = TestStore::new();
    let tree = test.tree(
        &Tar::default()
            .global(&[("mtime", b"77.5"), ("uid", b"7"), ("comment", b"of all"), ("path", b"nonsense")])
            .file("a", "x")
            .pax(&[("mtime", b"5")])
            .file("own", "x")
            .pax(&[("mtime", b"")])
            .file("header", "x")
            .global(&[("mtime", b"99")])
            .file("b", "x")
            .end(),
    );
    let status = |name: &str| {
        let status = std::fs::metadata(tree.join(name)).unwrap();
        (status.mtime(), status.mtime_nsec(), status.uid())
    };
    let seven = owner(7, 0).0;
    assert_eq!(status("a"), (77, 500_000_000, seven));
    assert_eq!(status("own"), (5, 0, seven));
    assert_eq!(status("header"), (0o14_000_000_000, 0, seven));
    assert_eq!(status("b"), (99, 0, seven));
}

/// As GNU tar has them, and POSIX: what nobody knows is a file.
#[test]
fn seldom_kinds_of_entries_are_what_tar_makes_of_them() {
    let test = TestStore::new();
    let with = |kind: u8, path: &'static str| Entry { content: b"content", ..Entry::new(kind, path) };
    let tree = test.tree(
        &Tar::default()
            .entry(&with(b'Z', "unknown"))
            .entry(&with(b'7', "contiguous"))
            .entry(&with(b'V', "label"))
            .entry(&with(b'D', "listed/"))
            .entry(&Entry { content: b"16 path=renamed\n", ..Entry::new(b'X', "PaxHeaders/0") })
            .file("named", "renamed")
            .pax(&[("path", b""), ("linkpath", b""), ("size", b""), ("uid", b""), ("gid", b"")])
            .file("kept", "kept")
            .end(),
    );
    for name in ["unknown", "contiguous"] {
        assert_eq!(std::fs::read(tree.join(name)).unwrap(), b"content", "{name}");
    }
    assert!(!tree.join("label").exists() && !tree.join("named").exists());
    assert!(tree.join("listed").is_dir() && std::fs::read_dir(tree.join("listed")).unwrap().next().is_none());
    assert_eq!(std::fs::read(tree.join("renamed")).unwrap(), b"renamed");
    assert_eq!(std::fs::read(tree.join("kept")).unwrap(), b"kept");
}

#[test]
fn names_are_as_long_as_the_kernel_lets_them_be() {
    let test = TestStore::new();
    let longest = "n".repeat(255);
    // More than a call takes at once.
    let deep = [longest.as_str(); 20].join("/");
    let link = format!("{deep}/link");
    let tree = test.tree(
        &Tar::default()
            .pax(&[("path", deep.as_bytes())])
            .folder("d/")
            .pax(&[("path", format!("{deep}/file").as_bytes())])
            .file("f", "far down")
            .pax(&[("path", link.as_bytes()), ("linkpath", format!("./{deep}/file").as_bytes())])
            .hard_link("l", "f")
            .file("after", "x")
            .end(),
    );
    let mut at = std::fs::File::open(&tree).unwrap();
    for _ in 0..20 {
        let folder =
            std::path::PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&at)));
        at = std::fs::File::open(folder.join(&longest)).unwrap();
    }
    let folder = std::path::PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&at)));
    assert_eq!(std::fs::read(folder.join("link")).unwrap(), b"far down");
    assert_eq!(std::fs::metadata(folder.join("file")).unwrap().nlink(), 2);
    let longer = "n".repeat(256);
    let outcome = test.layer(&Tar::default().pax(&[("path", longer.as_bytes())]).file("f", "x").end());
    let Err(StoreError::Unpack { source, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(*source, UnpackError::Write { .. }), "{source:?}");
    assert!(test.leftovers().is_empty());
}

#[test]
fn an_archive_ends_at_its_zeros_whatever_is_behind() {
    let test = TestStore::new();
    let behind = Tar::default().file("behind", "x").end();
    let mut one = Tar::default().file("a", "x").cut();
    one.resize(one.len() + 512, 0);
    for (before, behind) in [
        (one.clone(), behind.as_slice()),
        (Tar::default().file("a", "x").end(), behind.as_slice()),
        (Tar::default().file("a", "x").end(), b"garbage that is no block"),
        (one, b""),
        (Tar::default().file("a", "x").cut(), b""),
    ] {
        let tree = test.tree(&[&before, behind].concat());
        assert!(tree.join("a").exists() && !tree.join("behind").exists());
    }
}

/// A header may give a size to what has no content: it counts for files alone.
#[test]
fn only_files_have_content() {
    let test = TestStore::new();
    let mut archive = Tar::default().file("a", "x");
    for kind in *b"1256" {
        let name = format!("of kind {}", char::from(kind));
        archive = archive.sized(700, &Entry { link: b"a", ..Entry::new(kind, &name) });
    }
    let tree = test.tree(&archive.file("after", "y").end());
    assert_eq!(std::fs::read(tree.join("after")).unwrap(), b"y");
    assert_eq!(std::fs::metadata(tree.join("of kind 1")).unwrap().nlink(), 2);
    assert!(tree.join("of kind 5").is_dir());
}

#[test]
fn sparse_files_are_as_long_as_they_were() {
    let test = TestStore::new();
    let mut first = b"2\n0\n3\n1048576\n2\n".to_vec();
    first.resize(512, 0);
    first.extend_from_slice(b"abcde");
    let tree = test.tree(
        &Tar::default()
            .pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"new"),
                ("GNU.sparse.realsize", b"2000000"),
            ])
            .entry(&Entry { content: &first, ..Entry::new(b'0', "GNUSparseFile.0/new") })
            .pax(&[("GNU.sparse.size", b"100000"), ("GNU.sparse.map", b"4096,2,8192,1")])
            .file("old", "xyz")
            .end(),
    );
    let new = std::fs::read(tree.join("new")).unwrap();
    assert_eq!((new.len(), &new[..4], &new[1_048_576..1_048_579]), (2_000_000, &b"abc\0"[..], &b"de\0"[..]));
    let old = std::fs::read(tree.join("old")).unwrap();
    assert_eq!((old.len(), &old[4096..4099], &old[8192..8194]), (100_000, &b"xy\0"[..], &b"z\0"[..]));
    assert!(std::fs::metadata(tree.join("new")).unwrap().blocks() * 512 < 1_000_000);
}

#[test]
fn whiteouts_hide_lower_layers_and_nothing_of_their_own() {
    let test = TestStore::new();
    let tree = test.tree(
        &Tar::default()
            .file("etc/.wh.gone", "")
            .file("etc/kept", "own")
            .file("etc/.wh.kept", "")
            .folder("merged/")
            .file("merged/own", "")
            .file(".wh.merged", "")
            .file(".wh.later", "")
            .folder("later/")
            .file("opaque/first", "")
            .file("opaque/.wh..wh..opq", "")
            .file("opaque/last", "")
            .file(".wh..wh.plnk", "")
            .end(),
    );
    assert!(is_whiteout(&tree.join("etc/gone")));
    assert_eq!(std::fs::read(tree.join("etc/kept")).unwrap(), b"own");
    for folder in ["merged", "later", "opaque"] {
        assert_eq!(attribute(&tree.join(folder), opaque()).unwrap(), b"y", "{folder}");
    }
    assert!(tree.join("merged/own").exists() && tree.join("opaque/first").exists());
    assert!(!tree.join(".wh..wh.plnk").exists() && !tree.join(".wh.plnk").exists());
}

#[test]
fn the_last_of_two_entries_wins_whatever_they_are() {
    let test = TestStore::new();
    let tree = test.tree(
        &Tar::default()
            .file("a", "one")
            .file("a", "two")
            .file("dir/inside", "")
            .file("dir", "a file now")
            .symlink("link", "a")
            .folder("link/")
            .file("link/inside", "")
            .folder("stays/")
            .file("stays/inside", "")
            .entry(&Entry { mode: 0o700, ..Entry::new(b'5', "stays/") })
            .end(),
    );
    assert_eq!(std::fs::read(tree.join("a")).unwrap(), b"two");
    assert_eq!(std::fs::read(tree.join("dir")).unwrap(), b"a file now");
    assert!(
        std::fs::symlink_metadata(tree.join("link")).unwrap().is_dir() && tree.join("link/inside").exists()
    );
    assert!(tree.join("stays/inside").exists());
    assert_eq!(std::fs::metadata(tree.join("stays")).unwrap().mode() & 0o777, 0o700);
}

/// Archives that want to write to `outside`; `{}` in a name is a path to it.
#[test]
fn nothing_is_written_outside_the_layer() {
    let outside = std::env::temp_dir().join(format!("store-outside-{}", std::process::id()));
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("target"), "untouched").unwrap();
    let out = outside.to_str().unwrap();
    let up = format!("../../../../../../../../../..{out}");
    let target = format!("{out}/target");
    let archives = [
        Tar::default().file(&format!("{up}/new"), "bad"),
        Tar::default().file(&format!("{out}/new"), "bad"),
        Tar::default().symlink("link", out).file("link/new", "bad").file("link/target", "bad"),
        Tar::default().symlink("link", &up).file("link/new", "bad"),
        Tar::default().symlink("file", &target).file("file", "bad"),
        Tar::default().symlink("link", out).folder("link/").file("link/new", "bad"),
        Tar::default().hard_link("hard", &target).file("hard", "bad"),
        Tar::default().hard_link("hard", &format!("{up}/target")),
        Tar::default().symlink("soft", &target).hard_link("hard", "soft").file("hard", "bad"),
        Tar::default().symlink("link", out).hard_link("hard", "link/target").file("hard", "bad"),
        Tar::default().symlink("link", out).file("link/.wh.target", ""),
        Tar::default().symlink("link", out).file("link/.wh..wh..opq", ""),
        Tar::default().file(&format!("{up}/.wh.target"), ""),
        Tar::default().file(".wh...", "").file("x/.wh...", ""),
        Tar::default().symlink("a", "/proc/self/root").file(&format!("a{target}"), "bad"),
        Tar::default().symlink("a", "b").symlink("b", "a").file("a/x", "bad"),
    ];
    let test = TestStore::new();
    for (number, archive) in archives.into_iter().enumerate() {
        // Confined or refused, either will do.
        let outcome = test.layer(&archive.end());
        if let Err(error) = outcome {
            assert!(matches!(error, StoreError::Unpack { .. }), "{number}: {error:?}");
        }
        let names: Vec<_> =
            std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["target"], "archive {number}");
        assert_eq!(std::fs::read(outside.join("target")).unwrap(), b"untouched", "archive {number}");
        assert_eq!(std::fs::metadata(outside.join("target")).unwrap().nlink(), 1, "archive {number}");
        assert_eq!(attribute(&outside, opaque()), None, "archive {number}");
    }
    assert!(test.leftovers().is_empty());
    std::fs::remove_dir_all(outside).unwrap();
}

#[test]
fn what_no_honest_image_has_is_refused() {
    let test = TestStore::new();
    let refused = |archive: Vec<u8>| match test.layer(&archive) {
        Err(StoreError::Unpack { source, .. }) => match *source {
            UnpackError::Refused { path, .. } => path,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Tar::default().file("x/.wh.", "").end()), "x/.wh.");
    assert_eq!(refused(Tar::default().file("x/.wh...", "").end()), "x/.wh...");
    assert_eq!(refused(Tar::default().entry(&Entry::new(b'3', "dev")).end()), "dev");
    assert_eq!(refused(Tar::default().file("/", "x").file("a/", "y").symlink("..", "x").end()), "..");
    assert_eq!(refused(Tar::default().hard_link("a", "missing").end()), "a");
    assert_eq!(refused(Tar::default().folder("d/").hard_link("a", "d").end()), "a");
    assert_eq!(refused(Tar::default().file(".wh.a", "").hard_link("b", "a").end()), "b");
    assert_eq!(refused(Tar::default().pax(&[("path", b"a\0b")]).file("a", "").end()), "a\0b");
    assert_eq!(refused(Tar::default().pax(&[("linkpath", b"a\0b")]).symlink("a", "").end()), "a");
}

#[test]
fn headers_that_lie_are_damage() {
    let test = TestStore::new();
    let damaged = |archive: Vec<u8>| match test.layer(&archive) {
        Err(StoreError::Unpack { source, .. }) => match *source {
            UnpackError::Archive { reason, .. } => reason,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let header = |kind: u8, content: &'static [u8]| Entry { content, ..Entry::new(kind, "header") };
    let pax = |text: &'static [u8]| Tar::default().entry(&header(b'x', text)).file("a", "").end();
    for text in [&b"99 path=x\n"[..], b"4 path=x\n", b"path=x\n", b"9 path\n", b"-9 path=x\n", b"10 path=x"] {
        assert!(damaged(pax(text)).contains("PAX header"), "{text:?}");
    }
    for record in ["uid", "gid", "size", "mtime"] {
        for value in [&b"x"[..], b"99999999999999999999", b"1e3"] {
            let archive = Tar::default().pax(&[(record, value)]).file("a", "").end();
            assert!(damaged(archive).contains("number"), "{record}");
        }
    }
    let global = Tar::default().global(&[("uid", &[b'0'; 101])]).file("a", "").end();
    assert!(damaged(global).contains("number"));
    assert!(damaged(Tar::default().pax(&[("size", b"-1")]).file("a", "").end()).contains("number"));
    assert!(damaged(Tar::default().entry(&header(b'M', b"rest")).end()).contains("another archive"));
    let huge = Tar::default().sized(1 << 30, &Entry::new(b'x', "header"));
    assert!(damaged(huge.end()).contains("too long"));
    let cut = Tar::default().sized(1 << 20, &Entry::new(b'L', "header"));
    assert!(damaged(cut.end()).contains("ends inside a header"));
    let mut archive = Tar::default().file("a", "").end();
    archive[0] ^= 1;
    assert!(damaged(archive).contains("checksum"));
}

/// An id that is too large for a header's field; a user namespace has no such one.
#[test]
fn an_owner_beyond_the_mapped_ids_is_named() {
    let test = TestStore::new();
    let archive = Tar::default().pax(&[("gid", b"3000000")]).file("shared", "").end();
    let outcome = test.layer(&archive);
    if mapping() == Mapping::Subordinate {
        let Err(StoreError::Unpack { digest, source }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(digest, digest_of(&archive).to_string());
        assert_eq!(
            source.to_string(),
            "`shared` belongs to the group id 3000000, and this account has 65537 group ids: \
             it needs a longer range in /etc/subgid"
        );
        // Of a blob the rest is not even read.
        let archive = Tar::default().pax(&[("gid", b"3000000")]).file("shared", "");
        let blob = archive.file("more", &"x".repeat(1 << 23)).end();
        let promise = Some((digest_of(&blob), blob.len() as u64));
        let Ok(LayerSlot::Missing(writer)) = test.store.begin_layer(&digest_of(&blob)) else {
            panic!("it cannot be there")
        };
        let outcome = writer.unpack(Source { bytes: blob.as_slice(), blob: promise, from: None });
        let Err(StoreError::Unpack { source, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(*source, UnpackError::NoId { id: 3_000_000, .. }), "{source:?}");
        assert!(test.leftovers().is_empty());
    } else {
        let file = test.store.layer_path(&outcome.unwrap().diff_id).join("shared");
        assert_eq!(std::fs::metadata(file).unwrap().gid(), owner(0, 3_000_000).1);
    }
}

#[test]
fn a_hard_link_to_a_device_shares_its_fate() {
    let test = TestStore::new();
    let device = Entry { device: (1, 3), ..Entry::new(b'3', "dev/null") };
    let archive = Tar::default().entry(&device).hard_link("dev/nil", "./dev/null").file("after", "x").end();
    let layer = test.layer(&archive).unwrap();
    let tree = test.store.layer_path(&layer.diff_id);
    let devices = if mapping().is_rootless() { 2 } else { 0 };
    assert_eq!((layer.omitted.devices, tree.join("after").exists()), (devices, true));
    assert_eq!(tree.join("dev/nil").exists(), devices == 0);
}

/// What a program may do by itself, in version 2 of the attribute: CAP_NET_BIND_SERVICE, effective.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn capabilities_and_attributes_of_users_are_kept_and_those_of_the_machine_are_not() {
    let test = TestStore::new();
    let tree = test.tree(
        &Tar::default()
            .pax(&[
                ("SCHILY.xattr.security.capability", &CAPABILITY),
                ("SCHILY.xattr.user.note", b"x"),
                ("SCHILY.xattr.trusted.note", b"y"),
                ("SCHILY.xattr.security.selinux", b"system_u:object_r:etc_t:s0"),
                ("SCHILY.xattr.security.SMACK64EXEC", b"floor"),
            ])
            .entry(&Entry { mode: 0o755, uid: 7, ..Entry::new(b'0', "server") })
            .end(),
    );
    let server = tree.join("server");
    assert_eq!(attribute(&server, "security.capability").as_deref(), Some(&CAPABILITY[..]));
    assert_eq!(attribute(&server, "user.note").as_deref(), Some(&b"x"[..]));
    // Where there is a security module, what it has given the file itself is another.
    let label = attribute(&server, "security.selinux");
    assert_ne!(label.as_deref(), Some(&b"system_u:object_r:etc_t:s0"[..]));
    assert_eq!(attribute(&server, "security.SMACK64EXEC"), None);
    let trusted = (!mapping().is_rootless()).then(|| b"y".to_vec());
    assert_eq!(attribute(&server, "trusted.note"), trusted);
}

#[test]
fn a_damaged_or_wrong_archive_leaves_nothing() {
    let test = TestStore::new();
    let archive = Tar::default().file("a", &"x".repeat(5000)).end();
    let unpack = |bytes: &[u8], diff_id: &Digest, blob| match test.store.begin_layer(diff_id).unwrap() {
        LayerSlot::Missing(writer) => writer.unpack(Source { bytes, blob, from: None }),
        LayerSlot::Present(_) => panic!("it cannot be there"),
    };
    let cause = |error: Result<_, StoreError>| match error {
        Err(StoreError::Unpack { source, .. }) => *source,
        other => panic!("{other:?}"),
    };
    let (right, wrong) = (digest_of(&archive), digest_of(b"something else"));
    let blob = Some((right.clone(), archive.len() as u64));
    let error = cause(unpack(&archive, &wrong, blob.clone()));
    assert!(matches!(error, UnpackError::WrongDigest { what: "diff id", .. }), "{error:?}");
    let error = cause(unpack(&archive[..2000], &right, blob.clone()));
    assert!(matches!(error, UnpackError::WrongSize { .. }), "{error:?}");
    let error = cause(unpack(&archive[..2000], &digest_of(&archive[..2000]), None));
    assert!(matches!(error, UnpackError::Archive { .. }), "{error:?}");
    let error = cause(unpack(&archive, &right, Some((wrong, archive.len() as u64))));
    assert!(matches!(error, UnpackError::WrongDigest { what: "digest", .. }), "{error:?}");
    assert!(test.leftovers().is_empty() && !test.store.has_layer(&right));
    unpack(&archive, &right, blob).unwrap();
    assert!(test.store.has_layer(&right));
}

#[test]
fn a_layer_is_made_once_and_the_others_wait_for_it() {
    let test = TestStore::new();
    let archive = Tar::default().file("a", "b").end();
    let diff_id = digest_of(&archive);
    let LayerSlot::Missing(writer) = test.store.begin_layer(&diff_id).unwrap() else {
        panic!("it is not there")
    };
    assert!(test.store.try_begin_layer(&diff_id).unwrap().is_none());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| test.store.begin_layer(&diff_id).unwrap());
        writer.unpack(Source { bytes: archive.as_slice(), blob: None, from: None }).unwrap();
        assert!(matches!(waiting.join().unwrap(), LayerSlot::Present(_)));
    });
    // One that gives up leaves the right to the next.
    let other = digest_of(b"other");
    let LayerSlot::Missing(writer) = test.store.begin_layer(&other).unwrap() else {
        panic!("it is not there")
    };
    drop(writer);
    assert!(matches!(test.store.begin_layer(&other).unwrap(), LayerSlot::Missing(_)));
    assert_eq!(std::fs::read_dir(test.store.roots().run.join("locks")).unwrap().count(), 0);
}
