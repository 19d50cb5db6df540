//! A folder stands for the container's root: what is written there is what the host has.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Bed {
    folder: tempfile::TempDir,
    root: OwnedFd,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["host", "root"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let root = sys::file::open_folder(&folder.path().join("root")).unwrap();
        Self { folder, root }
    }

    fn host(&self, name: &str) -> PathBuf {
        self.folder.path().join("host").join(name)
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    fn send(&self, name: &str) -> Sent {
        self.send_to(name, &Path::new("/").join(name)).unwrap()
    }

    fn send_to(&self, name: &str, inside: &Path) -> io::Result<Sent> {
        self.send_as(Sending {
            host: self.host(name),
            inside: inside.to_owned(),
            redressed: false,
            follows: false,
        })
    }

    fn send_as(&self, sending: Sending) -> io::Result<Sent> {
        let mut sent = Sent::default();
        Place::new(&self.root).send(&sending, &|path, _| path.ends_with("kept"), &mut sent)?;
        Ok(sent)
    }
}

const WRITTEN: Sent = Sent { written: 1, removed: 0, same: 0 };
const SAME: Sent = Sent { written: 0, removed: 0, same: 1 };
const REMOVED: Sent = Sent { written: 0, removed: 1, same: 0 };

#[test]
fn content_mode_and_time_are_the_hosts() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.host("sub/deep")).unwrap();
    std::fs::set_permissions(bed.host("sub"), PermissionsExt::from_mode(0o750)).unwrap();
    std::fs::write(bed.host("sub/deep/run"), "one").unwrap();
    std::fs::set_permissions(bed.host("sub/deep/run"), PermissionsExt::from_mode(0o4755)).unwrap();
    assert_eq!(bed.send("sub/deep/run"), WRITTEN);
    let (host, inside) = (bed.host("sub/deep/run").metadata().unwrap(), bed.inside("sub/deep/run"));
    assert_eq!(std::fs::read(&inside).unwrap(), b"one");
    let found = inside.metadata().unwrap();
    assert_eq!((found.mode(), found.modified().unwrap()), (host.mode(), host.modified().unwrap()));
    assert_eq!(bed.inside("sub").metadata().unwrap().mode() & 0o7777, 0o750);
    assert_eq!(bed.send("sub/deep/run"), SAME);
    std::fs::write(bed.host("sub/deep/run"), "two").unwrap();
    assert_eq!(bed.send("sub/deep/run"), WRITTEN);
    assert_eq!(std::fs::read(&inside).unwrap(), b"two");
    std::fs::set_permissions(bed.host("sub/deep/run"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(bed.send("sub/deep/run"), WRITTEN);
    assert_eq!(inside.metadata().unwrap().mode() & 0o7777, 0o600);
    let left: Vec<_> = std::fs::read_dir(bed.inside("sub/deep")).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_folder_that_is_there_gets_a_mode_when_it_was_given_another() {
    let bed = Bed::new();
    for folder in [bed.host("sub"), bed.inside("sub")] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::set_permissions(bed.host("sub"), PermissionsExt::from_mode(0o1770)).unwrap();
    let mode = || bed.inside("sub").metadata().unwrap().mode() & 0o7777;
    let before = mode();
    assert_eq!(bed.send("sub"), SAME);
    assert_eq!(mode(), before);
    let sending = Sending { host: bed.host("sub"), inside: "/sub".into(), redressed: true, follows: false };
    assert_eq!(bed.send_as(sending).unwrap(), WRITTEN);
    assert_eq!(mode(), 0o1770);
}

#[test]
fn the_same_content_at_another_time_is_the_same() {
    let bed = Bed::new();
    for path in [bed.host("a"), bed.inside("a")] {
        std::fs::write(path, "text").unwrap();
    }
    let old = std::time::SystemTime::UNIX_EPOCH;
    File::options().write(true).open(bed.inside("a")).unwrap().set_modified(old).unwrap();
    assert_eq!(bed.send("a"), SAME);
    std::fs::write(bed.host("a"), "next").unwrap();
    assert_eq!(bed.send("a"), WRITTEN);
    assert_eq!(std::fs::read(bed.inside("a")).unwrap(), b"next");
}

#[test]
fn what_is_gone_goes_but_for_what_is_the_containers_own() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.inside("src/sub")).unwrap();
    for name in ["src/a", "src/sub/b", "src/sub/kept", "plain"] {
        std::fs::write(bed.inside(name), "").unwrap();
    }
    assert_eq!(bed.send("plain"), REMOVED);
    assert_eq!(bed.send("plain"), Sent::default());
    bed.send("src");
    assert!(!bed.inside("src/a").exists() && !bed.inside("src/sub/b").exists());
    assert!(bed.inside("src/sub/kept").exists());
    std::fs::remove_file(bed.inside("src/sub/kept")).unwrap();
    assert_eq!(bed.send("src"), REMOVED);
    assert!(!bed.inside("src").exists());
}

#[test]
fn a_link_makes_way_for_a_folder_but_where_the_place_is_the_containers_own() {
    let bed = Bed::new();
    std::fs::create_dir(bed.host("sub")).unwrap();
    std::fs::write(bed.host("sub/a"), "new").unwrap();
    std::fs::create_dir(bed.inside("other")).unwrap();
    symlink("other", bed.inside("sub")).unwrap();
    let sending = Sending { host: bed.host("sub"), inside: "/sub".into(), redressed: false, follows: true };
    assert_eq!(bed.send_as(sending.clone()).unwrap(), SAME);
    assert!(bed.inside("sub").is_symlink());
    assert_eq!(bed.send_as(Sending { follows: false, ..sending }).unwrap(), WRITTEN);
    assert!(!bed.inside("sub").is_symlink());
    assert_eq!(bed.send("sub/a"), WRITTEN);
    assert_eq!(std::fs::read_dir(bed.inside("other")).unwrap().count(), 0);
}

#[test]
fn kinds_change_into_each_other() {
    let bed = Bed::new();
    std::fs::create_dir(bed.inside("x")).unwrap();
    std::fs::write(bed.inside("x/old"), "").unwrap();
    std::fs::write(bed.host("x"), "file").unwrap();
    assert_eq!(bed.send("x"), WRITTEN);
    assert_eq!(std::fs::read(bed.inside("x")).unwrap(), b"file");
    std::fs::remove_file(bed.host("x")).unwrap();
    symlink("target", bed.host("x")).unwrap();
    assert_eq!(bed.send("x"), WRITTEN);
    assert_eq!(std::fs::read_link(bed.inside("x")).unwrap(), Path::new("target"));
    assert_eq!(bed.send("x"), SAME);
    std::fs::remove_file(bed.host("x")).unwrap();
    std::fs::create_dir(bed.host("x")).unwrap();
    bed.send("x");
    assert!(bed.inside("x").symlink_metadata().unwrap().is_dir());
    assert_eq!(bed.send("x"), SAME);
}

#[test]
fn no_link_inside_leads_out() {
    let bed = Bed::new();
    let outside = bed.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, bed.inside("way")).unwrap();
    symlink("/inner", bed.inside("absolute")).unwrap();
    std::fs::create_dir(bed.inside("inner")).unwrap();
    std::fs::write(bed.host("a"), "text").unwrap();
    assert!(bed.send_to("a", Path::new("/way/a")).is_err());
    assert!(!outside.join("a").exists());
    bed.send_to("a", Path::new("/absolute/../absolute/a")).unwrap();
    assert_eq!(std::fs::read(bed.inside("inner/a")).unwrap(), b"text");
}

#[test]
fn what_would_wait_for_ever_is_left_out() {
    let bed = Bed::new();
    rustix::fs::mknodat(rustix::fs::CWD, bed.host("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    assert_eq!(bed.send("pipe"), Sent::default());
    assert!(!bed.inside("pipe").exists());
}
