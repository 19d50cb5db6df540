//! Reads a tree of files that steps take from: a context's folder or the files of a stage, by descriptor
//! only. What links lead to is looked for inside the tree.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A file, folder, link or device in a tree.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where it is, from the root of the tree, without a leading slash; empty for the root.
    pub(crate) path: PathBuf,
    /// What the kernel says of it; links are not followed.
    pub(crate) status: Stat,
}

/// What becomes of an entry in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It belongs to the tree.
    Kept,
    /// It does not, and nothing below it does.
    Left,
    /// A folder that does not; what is below it may.
    Below,
}

impl Entry {
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.status.st_mode)
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// Permission bits.
    pub(crate) fn mode(&self) -> u32 {
        self.status.st_mode & 0o7777
    }
}

/// The entry at a path, the links on the way to it and its own followed; its path has none.
pub(crate) fn resolve(root: &OwnedFd, path: &Path) -> io::Result<Entry> {
    let path = follow(root, path)?;
    let shown = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
    let found = sys::file::open_in_root(root, shown, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
    Ok(Entry { path, status: rustix::fs::fstat(&found)? })
}

/// A path without links, `.` and `..`.
fn follow(root: &OwnedFd, path: &Path) -> io::Result<PathBuf> {
    let parts = |path: &Path| -> Vec<Vec<u8>> {
        let names = path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.as_bytes().to_vec()),
            Component::ParentDir => Some(b"..".to_vec()),
            _ => None,
        });
        names.collect()
    };
    let (mut pending, mut way, mut links) = (parts(path), PathBuf::new(), 0);
    while let Some(part) = pending.pop() {
        if part == b".." {
            way.pop();
            continue;
        }
        let next = way.join(OsStr::from_bytes(&part));
        let found = sys::file::open_in_root(root, &next, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) != FileType::Symlink {
            way = next;
            continue;
        }
        links += 1;
        if links > 40 {
            return Err(Errno::LOOP.into());
        }
        let target = rustix::fs::readlinkat(&found, "", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            way = PathBuf::new();
        }
        pending.extend(parts(Path::new(OsStr::from_bytes(&target))));
    }
    Ok(way)
}

/// What is at `start` and below it, each folder before what is in it, names in order. `judge` says what
/// of it counts.
pub(crate) fn walk(
    root: &OwnedFd,
    start: &Entry,
    judge: &dyn Fn(&Path, bool) -> Verdict,
) -> io::Result<Vec<Entry>> {
    let mut found = vec![];
    let verdict = judge(&start.path, start.is_folder());
    match verdict {
        Verdict::Left => {}
        _ if start.is_folder() => {
            let folder = open_folder(root, &start.path)?;
            below(&folder, start, verdict, judge, &mut found)?;
        }
        Verdict::Kept => found.push(start.clone()),
        Verdict::Below => {}
    }
    Ok(found)
}

/// Opens a folder of the tree, whose path has no links.
pub(crate) fn open_folder(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let shown = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    sys::file::open_in_root(root, shown, flags, Mode::empty())
}

fn below(
    folder: &OwnedFd,
    entry: &Entry,
    verdict: Verdict,
    judge: &dyn Fn(&Path, bool) -> Verdict,
    found: &mut Vec<Entry>,
) -> io::Result<()> {
    let at = found.len();
    if verdict == Verdict::Kept {
        found.push(entry.clone());
    }
    let mut names = vec![];
    for name in Dir::read_from(folder)? {
        let name = name?;
        if !matches!(name.file_name().to_bytes(), b"." | b"..") {
            names.push(name.file_name().to_owned());
        }
    }
    names.sort();
    for name in names {
        let status = match rustix::fs::statat(folder, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            // It went away while we were looking.
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        let path = entry.path.join(OsStr::from_bytes(name.to_bytes()));
        let next = Entry { path, status };
        let is_folder = next.is_folder();
        let verdict = judge(&next.path, is_folder);
        match verdict {
            Verdict::Left => {}
            _ if is_folder => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = rustix::fs::openat(folder, &*name, flags, Mode::empty())?;
                below(&inner, &next, verdict, judge, found)?;
            }
            Verdict::Kept => found.push(next),
            Verdict::Below => {}
        }
    }
    // A folder that is left out is needed after all for what is in it.
    if verdict == Verdict::Below && found.len() > at {
        found.insert(at, entry.clone());
    }
    Ok(())
}

/// Opens a file of the tree for reading, whose path has no links.
pub(crate) fn open_file(root: impl AsFd, path: &Path) -> io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(sys::file::open_in_root(root, path, flags, Mode::empty())?.into())
}

/// What a link of the tree says, whose own path has no links.
pub(crate) fn read_link(root: impl AsFd, path: &Path) -> io::Result<Vec<u8>> {
    let link = sys::file::open_in_root(root, path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
    Ok(rustix::fs::readlinkat(&link, "", Vec::new())?.into_bytes())
}
