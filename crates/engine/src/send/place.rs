//! One container's root, and what is written into it.

use super::{Sending, Sent};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use sys::file::is_absent;

/// Folders of a container that are kept open while files are sent into them.
const OPEN_FOLDERS: usize = 64;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A container's root folder, with those of its folders that were written to lately.
pub(super) struct Place<'a> {
    root: &'a OwnedFd,
    folders: HashMap<PathBuf, OwnedFd>,
}

impl<'a> Place<'a> {
    pub(super) fn new(root: &'a OwnedFd) -> Self {
        Self { root, folders: HashMap::new() }
    }

    /// Makes one path what it is on the host.
    pub(super) fn send(
        &mut self,
        sending: &Sending,
        keeps: &dyn Fn(&Path, bool) -> bool,
        sent: &mut Sent,
    ) -> io::Result<()> {
        let Sending { host, inside, .. } = sending;
        let metadata = match std::fs::symlink_metadata(host) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return self.remove(inside, keeps, sent),
            Err(error) => return Err(error),
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            return self.make_folder(sending, &metadata, sent);
        }
        if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
            // Nobody keeps these among sources on purpose, and reading them would wait for ever.
            return Ok(());
        }
        let Some(name) = inside.file_name() else { return Err(Errno::ISDIR.into()) };
        let folder = self.folder_of(host, inside)?;
        let there = status(folder, name)?;
        let written = if kind.is_symlink() {
            put_link(folder, name, host, &metadata, there.as_ref())?
        } else {
            match put_file(folder, name, host, &metadata, there.as_ref()) {
                // It went away after it was looked at; that is another change, which is told by itself.
                Err(error) if is_absent(&error) && !host.exists() => return Ok(()),
                other => other?,
            }
        };
        *(if written { &mut sent.written } else { &mut sent.same }) += 1;
        Ok(())
    }

    /// The folder that holds `inside`, made if it is missing, as the host has it.
    fn folder_of(&mut self, host: &Path, inside: &Path) -> io::Result<&OwnedFd> {
        let parent = inside.parent().unwrap_or(Path::new("/"));
        if !self.folders.contains_key(parent) {
            if self.folders.len() >= OPEN_FOLDERS {
                self.folders.clear();
            }
            let opened = self.open_or_make(host.parent(), parent)?;
            self.folders.insert(parent.to_owned(), opened);
        }
        Ok(&self.folders[parent])
    }

    fn open(&self, inside: &Path) -> io::Result<OwnedFd> {
        sys::file::open_in_root(self.root, inside, FOLDER, Mode::empty())
    }

    fn open_if_there(&self, inside: &Path) -> io::Result<Option<OwnedFd>> {
        match self.open(inside) {
            Err(error) if is_absent(&error) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Opens a folder, making it and those above it. What is made has mode and owner of the host's folder
    /// of the same place, as far as there is one.
    fn open_or_make(&self, host: Option<&Path>, inside: &Path) -> io::Result<OwnedFd> {
        match self.open(inside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (Some(above), Some(name)) = (inside.parent(), inside.file_name()) else {
            return Err(Errno::NOENT.into());
        };
        let like = host.filter(|host| host.file_name() == Some(name));
        let parent = self.open_or_make(host.and_then(Path::parent), above)?;
        made(rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)))?;
        let folder = rustix::fs::openat(&parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        if let Some(metadata) = like.and_then(|like| std::fs::metadata(like).ok()) {
            dress(&folder, &metadata)?;
        }
        Ok(folder)
    }

    fn make_folder(&mut self, sending: &Sending, metadata: &Metadata, sent: &mut Sent) -> io::Result<()> {
        let inside = &sending.inside;
        if !sending.follows {
            self.clear_link(inside)?;
        }
        match self.open(inside) {
            Ok(folder) if sending.redressed => {
                dress(&folder, metadata)?;
                sent.written += 1;
                return Ok(());
            }
            // Folders that are there keep what the container made of them.
            Ok(_) => {
                sent.same += 1;
                return Ok(());
            }
            // A file, or a link that leads to none.
            Err(error) if is_absent(&error) => self.remove(inside, &|_, _| false, sent)?,
            Err(error) => return Err(error),
        }
        let folder = self.open_or_make(None, inside)?;
        dress(&folder, metadata)?;
        sent.written += 1;
        Ok(())
    }

    /// Removes a link that stands where a folder is to be: what is sent below it would go to where it leads.
    fn clear_link(&mut self, inside: &Path) -> io::Result<()> {
        let (Some(above), Some(name)) = (inside.parent(), inside.file_name()) else { return Ok(()) };
        let Some(parent) = self.open_if_there(above)? else { return Ok(()) };
        let is_link = |there: &Stat| FileType::from_raw_mode(there.st_mode) == FileType::Symlink;
        if status(&parent, name)?.as_ref().is_some_and(is_link) {
            self.folders.retain(|folder, _| !folder.starts_with(inside));
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Removes what is at `inside`; nothing there is fine.
    fn remove(
        &mut self,
        inside: &Path,
        keeps: &dyn Fn(&Path, bool) -> bool,
        sent: &mut Sent,
    ) -> io::Result<()> {
        self.folders.retain(|folder, _| !folder.starts_with(inside));
        let (Some(above), Some(name)) = (inside.parent(), inside.file_name()) else {
            return Err(io::Error::other("the container's root cannot be removed"));
        };
        let Some(parent) = self.open_if_there(above)? else { return Ok(()) };
        if remove_below(&parent, name, inside, keeps)? {
            sent.removed += 1;
        }
        Ok(())
    }
}

/// Removes an entry with all below it but what is kept; whether it is gone now and was there before.
fn remove_below(
    parent: &OwnedFd,
    name: &OsStr,
    inside: &Path,
    keeps: &dyn Fn(&Path, bool) -> bool,
) -> io::Result<bool> {
    let Some(status) = status(parent, name)? else { return Ok(false) };
    let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    if keeps(inside, is_folder) {
        return Ok(false);
    }
    if !is_folder {
        rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
        return Ok(true);
    }
    let folder = rustix::fs::openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    for entry in sys::file::names(&folder)? {
        let entry = OsStr::from_bytes(entry.to_bytes());
        remove_below(&folder, entry, &inside.join(entry), keeps)?;
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        // Something in it is kept.
        Err(Errno::NOTEMPTY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Replaces a regular file; `false` when it was the same.
fn put_file(
    folder: &OwnedFd,
    name: &OsStr,
    host: &Path,
    metadata: &Metadata,
    there: Option<&Stat>,
) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(rustix::fs::open(host, flags, Mode::empty())?);
    if let Some(there) = there.filter(|there| is_regular(there))
        && is_same(folder, name, there, &source, metadata)?
    {
        return Ok(false);
    }
    clear_folder(folder, name, there)?;
    let temporary = Temporary::beside(folder, name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target =
        File::from(rustix::fs::openat(folder, &temporary.name, flags, Mode::from_raw_mode(0o600))?);
    io::copy(&mut source, &mut target)?;
    dress(&target, metadata)?;
    rustix::fs::futimens(&target, &times(metadata))?;
    temporary.take_place_of(name)?;
    Ok(true)
}

/// Whether the container's file has the host's mode and content already. Files of one size and time are
/// not read: the time was copied with the content.
fn is_same(
    folder: &OwnedFd,
    name: &OsStr,
    there: &Stat,
    source: &File,
    metadata: &Metadata,
) -> io::Result<bool> {
    let size = u64::try_from(there.st_size).unwrap_or(u64::MAX);
    if size != metadata.len() || there.st_mode & 0o7777 != metadata.mode() & 0o7777 {
        return Ok(false);
    }
    let time = (there.st_mtime, i64::try_from(there.st_mtime_nsec).unwrap_or(-1));
    if time == (metadata.mtime(), metadata.mtime_nsec()) {
        return Ok(true);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let target = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
    let (mut ours, mut theirs) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut source = source.try_clone()?;
    let mut target = target;
    let same = loop {
        let count = source.read(&mut ours)?;
        if count == 0 {
            break target.read(&mut theirs)? == 0;
        }
        if target.read_exact(&mut theirs[..count]).is_err() || ours[..count] != theirs[..count] {
            break false;
        }
    };
    rustix::fs::seek(&source, rustix::fs::SeekFrom::Start(0))?;
    Ok(same)
}

/// Replaces a link; `false` when it was the same.
fn put_link(
    folder: &OwnedFd,
    name: &OsStr,
    host: &Path,
    metadata: &Metadata,
    there: Option<&Stat>,
) -> io::Result<bool> {
    let target = std::fs::read_link(host)?;
    if there.is_some_and(|there| FileType::from_raw_mode(there.st_mode) == FileType::Symlink)
        && rustix::fs::readlinkat(folder, name, vec![])?.as_bytes() == target.as_os_str().as_bytes()
    {
        return Ok(false);
    }
    clear_folder(folder, name, there)?;
    let temporary = Temporary::beside(folder, name);
    rustix::fs::symlinkat(&target, folder, &temporary.name)?;
    own(rustix::fs::chownat(
        folder,
        &temporary.name,
        Some(Uid::from_raw(metadata.uid())),
        Some(Gid::from_raw(metadata.gid())),
        AtFlags::SYMLINK_NOFOLLOW,
    ))?;
    temporary.take_place_of(name)?;
    Ok(true)
}

/// A file cannot be renamed over a folder: what was a folder goes first.
fn clear_folder(folder: &OwnedFd, name: &OsStr, there: Option<&Stat>) -> io::Result<()> {
    if there.is_some_and(|there| FileType::from_raw_mode(there.st_mode) == FileType::Directory) {
        remove_below(folder, name, Path::new(name), &|_, _| false)?;
    }
    Ok(())
}

/// A file beside the one it is to replace; gone when that fails.
struct Temporary<'a> {
    folder: &'a OwnedFd,
    name: CString,
    placed: bool,
}

impl<'a> Temporary<'a> {
    /// The name ends in `~`, which watchers inside the container take for an editor's. One that a killed
    /// command left is in the way of nobody but the next of the same name, which replaces it.
    fn beside(folder: &'a OwnedFd, name: &OsStr) -> Self {
        let mut bytes = b".".to_vec();
        // 255 bytes are the most that a name may have.
        bytes.extend(name.as_bytes().iter().take(240));
        bytes.extend(b".compose~");
        let name = CString::new(bytes).unwrap_or_default();
        let _ = rustix::fs::unlinkat(folder, &name, AtFlags::empty());
        Self { folder, name, placed: false }
    }

    fn take_place_of(mut self, name: &OsStr) -> io::Result<()> {
        rustix::fs::renameat(self.folder, &self.name, self.folder, name)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.placed {
            let _ = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Gives an open file the host's owner and mode; the owner first, because changing it takes set-uid bits.
fn dress(file: impl AsFd, metadata: &Metadata) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    own(rustix::fs::fchown(&file, Some(uid), Some(gid)))?;
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(metadata.mode() & 0o7777))?)
}

/// An owner that the container's user namespace does not have stays the one who writes.
fn own(outcome: Result<(), Errno>) -> io::Result<()> {
    match outcome {
        Err(Errno::INVAL | Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}

fn times(metadata: &Metadata) -> Timestamps {
    let time = |tv_sec, nanos: i64| Timespec { tv_sec, tv_nsec: nanos };
    Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    }
}

fn status(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn is_regular(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
}

fn made(outcome: Result<(), Errno>) -> io::Result<()> {
    match outcome {
        Err(Errno::EXIST) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests;
