//! Puts entries of one tree into another, by descriptor only: `COPY`, `ADD` and writable mounts.

use crate::tree::{self, Entry};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Bytes that are copied as they are read.
const SMALL: i64 = 64 << 10;

/// How entries arrive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// Whose they are; `None` leaves them to whom they belong.
    pub(crate) owner: Option<(u32, u32)>,
    /// Their permission bits; `None` leaves them as they are.
    pub(crate) mode: Option<crate::mode::Mode>,
}

impl Manner {
    /// The permission bits of what has `bits` where it comes from.
    fn bits(&self, bits: u32, is_folder: bool) -> u32 {
        self.mode.as_ref().map_or(bits, |mode| mode.of(bits, is_folder))
    }
}

/// A tree that is being written to.
pub(crate) struct Target<'a> {
    root: &'a OwnedFd,
    manner: Manner,
    /// The folder that the last entry went to, which the next mostly goes to as well.
    last: Option<(PathBuf, OwnedFd)>,
    /// Files with several names that are here by now: device and inode over there, path here.
    linked: HashMap<(u64, u64), PathBuf>,
    /// Folders that were made, with their times, which what comes into them changes.
    times: Vec<(PathBuf, Timestamps)>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(root: &'a OwnedFd, manner: Manner) -> Self {
        Self { root, manner, last: None, linked: HashMap::new(), times: vec![] }
    }

    /// Copies entries of `source`, folders before what is in them, each to the place that `to` names.
    pub(crate) fn copy(
        &mut self,
        source: &OwnedFd,
        entries: &[Entry],
        to: &dyn Fn(&Path) -> PathBuf,
    ) -> io::Result<()> {
        for entry in entries {
            let place = to(&entry.path);
            self.entry(source, entry, &place).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", entry.path.display()))
            })?;
        }
        // Inner folders came later.
        for (path, times) in std::mem::take(&mut self.times).into_iter().rev() {
            let folder = self.existing(&path)?;
            rustix::fs::futimens(&folder, &times)?;
        }
        Ok(())
    }

    /// Makes a folder and those above it that are missing.
    pub(crate) fn make_folder(&mut self, path: &Path) -> io::Result<OwnedFd> {
        match self.existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut way = PathBuf::new();
        let mut folder = self.existing(&way)?;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            way.push(name);
            folder = match self.existing(&way) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755))?;
                    let made = self.existing(&way)?;
                    let (uid, gid) = self.manner.owner.unwrap_or((0, 0));
                    rustix::fs::fchown(&made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
                    rustix::fs::fchmod(&made, Mode::from_raw_mode(0o755))?;
                    made
                }
                other => other?,
            };
        }
        Ok(folder)
    }

    /// Writes a file, root's unless the manner says otherwise, with this mode unless that does, too.
    pub(crate) fn write(
        &mut self,
        path: &Path,
        content: &mut dyn io::Read,
        mode: u32,
        modified: Option<Timespec>,
    ) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.make_folder(path.parent().unwrap_or(Path::new("")))?;
        clear(&folder, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o600))?;
        let (uid, gid) = self.manner.owner.unwrap_or((0, 0));
        rustix::fs::fchown(&made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        rustix::fs::fchmod(&made, Mode::from_raw_mode(self.manner.bits(mode, false)))?;
        let mut file = std::fs::File::from(made);
        io::copy(content, &mut file)?;
        if let Some(at) = modified {
            rustix::fs::futimens(&file, &Timestamps { last_access: at, last_modification: at })?;
        }
        Ok(())
    }

    /// Does something while owners are left as they are.
    pub(crate) fn keeping_owners(
        &mut self,
        work: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let owner = self.manner.owner.take();
        let done = work(self);
        self.manner.owner = owner;
        done
    }

    /// Whether there is a folder at this place, links followed.
    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.existing(path).is_ok()
    }

    fn existing(&self, path: &Path) -> io::Result<OwnedFd> {
        let shown = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        sys::file::open_in_root(self.root, shown, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    fn entry(&mut self, source: &OwnedFd, entry: &Entry, to: &Path) -> io::Result<()> {
        let Some(name) = to.file_name().map(OsString::from) else {
            return self.make_folder(to).map(drop);
        };
        if entry.is_folder() && self.is_folder(to) {
            return Ok(());
        }
        let above = to.parent().unwrap_or(Path::new(""));
        if self.last.as_ref().is_none_or(|(path, _)| path != above) {
            self.last = Some((above.to_owned(), self.make_folder(above)?));
        }
        let Some((_, folder)) = &self.last else { return Err(io::ErrorKind::NotFound.into()) };
        let key = (entry.status.st_dev, entry.status.st_ino);
        if !entry.is_folder() && entry.status.st_nlink > 1 {
            if let Some(first) = self.linked.get(&key) {
                let first = sys::file::open_in_root(
                    self.root,
                    first,
                    OFlags::PATH | OFlags::NOFOLLOW,
                    Mode::empty(),
                )?;
                let path = format!("/proc/self/fd/{}", first.as_raw_fd());
                clear(folder, &name)?;
                return Ok(rustix::fs::linkat(
                    rustix::fs::CWD,
                    path,
                    folder,
                    &name,
                    AtFlags::SYMLINK_FOLLOW,
                )?);
            }
            self.linked.insert(key, to.to_owned());
        }
        if entry.kind() == FileType::RegularFile {
            return self.file(source, entry, folder, &name);
        }
        if !entry.is_folder() {
            clear(folder, &name)?;
        }
        make(source, entry, folder, &name)?;
        self.dress(source, entry, folder, &name)?;
        if entry.is_folder() {
            self.times.push((to.to_owned(), times(entry)));
        }
        Ok(())
    }

    /// A regular file, which is most of what is copied: all is done to its descriptor.
    fn file(&self, source: &OwnedFd, entry: &Entry, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let made = match create(folder, name) {
            Err(Errno::EXIST) => {
                clear(folder, name)?;
                create(folder, name)?
            }
            other => other?,
        };
        let from = tree::open_file(source, &entry.path)?;
        let mut made = std::fs::File::from(made);
        fill(&from, &mut made, entry.status.st_size)?;
        let (uid, gid) = self.owner(entry);
        rustix::fs::fchown(&made, uid, gid)?;
        // After the owner: a change of that takes set-id bits away.
        rustix::fs::fchmod(&made, Mode::from_raw_mode(self.manner.bits(entry.mode(), false)))?;
        if self.manner.owner.is_none() {
            set_attributes(&made, attributes_of(&from)?)?;
        }
        Ok(rustix::fs::futimens(&made, &times(entry))?)
    }

    fn owner(&self, entry: &Entry) -> (Option<Uid>, Option<Gid>) {
        let (uid, gid) = self.manner.owner.unwrap_or((entry.status.st_uid, entry.status.st_gid));
        (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
    }

    /// Gives what was made its owner, mode, attributes and times.
    fn dress(&self, source: &OwnedFd, entry: &Entry, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let (uid, gid) = self.owner(entry);
        rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.kind() != FileType::Symlink {
            // After the owner: a change of that takes set-id bits away.
            let mode = Mode::from_raw_mode(self.manner.bits(entry.mode(), entry.is_folder()));
            rustix::fs::chmodat(folder, name, mode, AtFlags::empty())?;
        }
        if self.manner.owner.is_none() {
            give_attributes(source, entry, folder, name)?;
        }
        if !entry.is_folder() {
            rustix::fs::utimensat(folder, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }
}

fn times(entry: &Entry) -> Timestamps {
    let at = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    let modified = at(entry.status.st_mtime, entry.status.st_mtime_nsec);
    Timestamps { last_access: modified, last_modification: modified }
}

/// Takes away what is in the way of something that is no folder.
fn clear(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => Err(io::Error::other("a folder is in its place")),
        Err(error) => Err(error.into()),
    }
}

fn make(source: &OwnedFd, entry: &Entry, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match entry.kind() {
        FileType::Directory => rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700))?,
        FileType::Symlink => {
            use std::os::unix::ffi::OsStrExt;
            let target = tree::read_link(source, &entry.path)?;
            rustix::fs::symlinkat(OsStr::from_bytes(&target), folder, name)?;
        }
        kind @ (FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice) => {
            rustix::fs::mknodat(folder, name, kind, Mode::from_raw_mode(0o600), entry.status.st_rdev)?;
        }
        _ => return Err(io::Error::other("a socket cannot be copied")),
    }
    Ok(())
}

fn create(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))
}

/// Copies all that a file holds, which had `size` bytes when it was looked at. The kernel shares or sends the bytes of
/// large ones; for small ones it takes longer to ask it whether it can.
fn fill(mut from: &std::fs::File, to: &mut std::fs::File, size: i64) -> io::Result<()> {
    if size > SMALL {
        return io::copy(&mut from, to).map(drop);
    }
    let mut piece = [0; SMALL as usize];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            length => to.write_all(&piece[..length])?,
        }
    }
}

/// The extended attributes of a file or folder that mean the same elsewhere, in the order of their names.
pub(crate) fn attributes(source: &OwnedFd, entry: &Entry) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    if !matches!(entry.kind(), FileType::RegularFile | FileType::Directory) {
        return Ok(vec![]);
    }
    let from = sys::file::open_in_root(
        source.as_fd(),
        if entry.path.as_os_str().is_empty() { Path::new(".") } else { &entry.path },
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        Mode::empty(),
    )?;
    attributes_of(&from)
}

fn attributes_of(from: impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut list = vec![0; 1 << 16];
    let length = match rustix::fs::flistxattr(&from, &mut list[..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(vec![]),
        other => other?,
    };
    let mut found = vec![];
    for key in list[..length].split(|byte| *byte == 0).filter(|key| travels(key)) {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::fgetxattr(&from, key, &mut value[..])?;
        value.truncate(length);
        found.push((key.to_vec(), value));
    }
    found.sort();
    Ok(found)
}

/// Gives what was made the attributes of what it was made of.
fn give_attributes(source: &OwnedFd, entry: &Entry, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let attributes = attributes(source, entry)?;
    if attributes.is_empty() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let to = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    set_attributes(&to, attributes)
}

fn set_attributes(to: impl AsFd, attributes: Vec<(Vec<u8>, Vec<u8>)>) -> io::Result<()> {
    for (key, value) in attributes {
        rustix::fs::fsetxattr(&to, key, &value, rustix::fs::XattrFlags::empty())?;
    }
    Ok(())
}

fn travels(key: &[u8]) -> bool {
    let own_books = key.starts_with(b"user.overlay.");
    key == b"security.capability" || (key.starts_with(b"user.") && !own_books)
}
