//! Fills a new volume with what the image has at the place where it is mounted.
//!
//! ```text
//! empty, no marker --write marker--> filling --all copied, remove marker--> filled
//! filling, process died: the next call goes on; it never removes what the image does not have
//! not empty, no marker: nothing is done, ever
//! ```
//! Attributes and times of a file are set after its content, so a file with the image's time is whole.

use crate::lock::Claim;
use crate::{Store, StoreError, attributes};
use resource::{Image, VolumeName};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Folders inside folders; more is nothing that an honest image has.
const DEPTH_LIMIT: usize = 1000;

impl Store {
    /// Fills an empty volume with the image's folder at `path`: content, owner, mode, times, extended
    /// attributes, hard links. Whether anything was done: not when the volume has content, nor when the
    /// image has no folder there. A copy cut short by a crash is completed by the next call.
    ///
    /// # Errors
    /// [`StoreError::NoVolume`], [`StoreError::View`], [`StoreError::Io`].
    pub fn copy_up(&self, image: &Image, path: &str, volume: &VolumeName) -> Result<bool, StoreError> {
        let (folder, data) = (self.roots.volume(volume), self.volume_path(volume));
        if self.volume(volume).is_none() {
            return Err(StoreError::NoVolume(volume.clone()));
        }
        self.prepare()?;
        let lock = self.roots.run.join("locks").join(format!("volume-{volume}"));
        let _claim = Claim::take(&lock).map_err(|source| StoreError::io("lock", &lock, source))?;
        let marker = folder.join("filling");
        let fill = |source| StoreError::io("fill", &data, source);
        let begun = marker.exists();
        if !begun && std::fs::read_dir(&data).map_err(fill)?.next().is_some() {
            return Ok(false);
        }
        let failed = |source| StoreError::View { image: image.id.to_string(), source };
        let view = self.view(&image.layers).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let source = match sys::file::open_in_root(&view, Path::new(path), flags, Mode::empty()) {
            Err(error) if sys::file::is_absent(&error) => return Ok(false),
            other => other.map_err(failed)?,
        };
        let copy = || -> io::Result<()> {
            std::fs::write(&marker, "")?;
            let target = rustix::fs::open(&data, flags | OFlags::CLOEXEC, Mode::empty())?;
            let mut copy = Copy { root: target.try_clone()?, links: HashMap::new() };
            copy.folder(&source, &target, &PathBuf::new(), 0)?;
            std::fs::remove_file(&marker)
        };
        copy().map_err(fill)?;
        Ok(true)
    }
}

/// A copy in progress.
struct Copy {
    /// The folder copied to.
    root: OwnedFd,
    /// Files with several names: device and inode of the source, and where the first name was copied to.
    links: HashMap<(u64, u64), PathBuf>,
}

/// One entry of a folder that is copied.
struct Entry<'a> {
    source: &'a OwnedFd,
    target: &'a OwnedFd,
    name: &'a CStr,
    status: Stat,
    /// Its path below the root.
    path: PathBuf,
}

impl Copy {
    fn folder(&mut self, source: &OwnedFd, target: &OwnedFd, path: &Path, depth: usize) -> io::Result<()> {
        if depth > DEPTH_LIMIT {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        for name in sys::file::names(source)? {
            let status = rustix::fs::statat(source, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let entry = Entry { source, target, name: &name, status, path };
            match FileType::from_raw_mode(status.st_mode) {
                FileType::Directory => self.enter(&entry, depth)?,
                FileType::RegularFile => self.file(&entry)?,
                FileType::Socket => {} // means nothing without the process that listened
                kind => special(&entry, kind)?,
            }
        }
        let status = rustix::fs::fstat(source)?;
        copy_attributes(source, target, &status)?;
        Ok(rustix::fs::futimens(target, &modified(&status))?)
    }

    fn enter(&mut self, entry: &Entry<'_>, depth: usize) -> io::Result<()> {
        match rustix::fs::mkdirat(entry.target, entry.name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |folder| rustix::fs::openat(folder, entry.name, flags, Mode::empty());
        self.folder(&open(entry.source)?, &open(entry.target)?, &entry.path, depth + 1)
    }

    fn file(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let status = &entry.status;
        if let Ok(there) = rustix::fs::statat(entry.target, entry.name, AtFlags::SYMLINK_NOFOLLOW) {
            let time = |status: &Stat| (status.st_mtime, status.st_mtime_nsec, status.st_size);
            if time(&there) != time(status) {
                rustix::fs::unlinkat(entry.target, entry.name, AtFlags::empty())?;
            }
        }
        let identity = (status.st_dev, status.st_ino);
        if let Some(first) = self.links.get(&identity) {
            return exists(rustix::fs::linkat(&self.root, first, entry.target, entry.name, AtFlags::empty()));
        }
        if status.st_nlink > 1 {
            self.links.insert(identity, entry.path.clone());
        }
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let target = match rustix::fs::openat(entry.target, entry.name, create, Mode::from_raw_mode(0o600)) {
            Err(Errno::EXIST) => return Ok(()), // whole since an earlier attempt
            other => other?,
        };
        let source = rustix::fs::openat(entry.source, entry.name, flags | OFlags::RDONLY, Mode::empty())?;
        let (mut from, mut to) = (File::from(source), File::from(target));
        io::copy(&mut from, &mut to)?;
        copy_attributes(&from, &to, status)?;
        Ok(rustix::fs::futimens(&to, &modified(status))?)
    }
}

/// Links, FIFOs and devices: made, never opened.
fn special(entry: &Entry<'_>, kind: FileType) -> io::Result<()> {
    let (target, name, status) = (entry.target, entry.name, &entry.status);
    match rustix::fs::unlinkat(target, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    if kind == FileType::Symlink {
        let link = rustix::fs::readlinkat(entry.source, name, Vec::new())?;
        rustix::fs::symlinkat(link, target, name)?;
    } else {
        rustix::fs::mknodat(target, name, kind, Mode::from_raw_mode(0o600), status.st_rdev)?;
    }
    let (uid, gid) = owner(status);
    rustix::fs::chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if kind != FileType::Symlink {
        rustix::fs::chmodat(target, name, Mode::from_raw_mode(status.st_mode), AtFlags::empty())?;
    }
    let by = |folder: &OwnedFd| {
        PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
            .join(OsStr::from_bytes(name.to_bytes()))
    };
    let (from, to) = (by(entry.source), by(target));
    let list = attributes::read(|buffer| rustix::fs::llistxattr(&from, buffer))?;
    for key in attributes::kept(&list) {
        let value = attributes::read(|buffer| rustix::fs::lgetxattr(&from, key, buffer))?;
        tolerate(rustix::fs::lsetxattr(&to, key, &value, XattrFlags::empty()))?;
    }
    Ok(rustix::fs::utimensat(target, name, &modified(status), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Owner, mode and extended attributes, in the order that keeps set-uid bits and file capabilities.
fn copy_attributes(source: impl AsFd, target: impl AsFd, status: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(status);
    rustix::fs::fchown(&target, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(status.st_mode))?;
    let list = attributes::read(|buffer| rustix::fs::flistxattr(&source, buffer))?;
    for key in attributes::kept(&list) {
        let value = attributes::read(|buffer| rustix::fs::fgetxattr(&source, key, buffer))?;
        tolerate(rustix::fs::fsetxattr(&target, key, &value, XattrFlags::empty()))?;
    }
    Ok(())
}

fn tolerate(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}

fn exists(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::EXIST) => Ok(()),
        other => Ok(other?),
    }
}

fn owner(status: &Stat) -> (rustix::fs::Uid, rustix::fs::Gid) {
    (rustix::fs::Uid::from_raw(status.st_uid), rustix::fs::Gid::from_raw(status.st_gid))
}

fn modified(status: &Stat) -> rustix::fs::Timestamps {
    crate::unpack::times((status.st_mtime, status.st_mtime_nsec as u32))
}
