//! A folder that is being filled with the entries of an archive, by descriptor only.
//!
//! The archive's names are hostile until shown otherwise. A name is split and its `.` and `..` are
//! resolved as text, so it cannot climb; the folder it lies in is opened with `RESOLVE_IN_ROOT`, so
//! links in it cannot leave the tree; the last part is only ever used beside that folder's descriptor,
//! with calls that do not follow links, and what is there is removed rather than opened.

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Links followed in one name before it is called a loop, as the kernel has it.
const LINK_LIMIT: usize = 40;

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Nothing,
    Folder,
    /// A character device 0:0, which hides what lower layers have there.
    Whiteout,
    Other,
}

/// The place of an entry: the folder it lies in, open, and its name there.
pub(crate) struct Place<'a> {
    pub(crate) folder: Rc<OwnedFd>,
    pub(crate) name: &'a [u8],
}

/// A folder that is being filled.
pub(crate) struct Tree {
    root: Rc<OwnedFd>,
    /// The folder opened last, which the next entry mostly lies in too.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// `trusted.overlay.opaque`, or `user.…` where only that may be set.
    opaque: &'static str,
}

/// The parts of an entry's name, `.` and `..` resolved; `..` at the top stays there.
pub(crate) fn parts(path: &[u8]) -> Vec<&[u8]> {
    let mut parts = vec![];
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

impl Tree {
    pub(crate) fn open(path: &Path, user_attributes: bool) -> io::Result<Self> {
        Ok(Self::of(rustix::fs::open(path, folder_flags(), Mode::empty())?, user_attributes))
    }

    /// The same of a folder that is open.
    pub(crate) fn of(root: OwnedFd, user_attributes: bool) -> Self {
        let root = Rc::new(root);
        let opaque = if user_attributes { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
        Self { root, last: None, opaque }
    }

    pub(crate) fn root(&self) -> &Rc<OwnedFd> {
        &self.root
    }

    /// The place with these parts, of which there is at least one. Missing folders on the way are made.
    pub(crate) fn place<'a>(&mut self, parts: &[&'a [u8]]) -> io::Result<Place<'a>> {
        let (name, above) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        if parts.iter().any(|part| part.contains(&0)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Place { folder: self.folder(above)?, name })
    }

    fn folder(&mut self, parts: &[&[u8]]) -> io::Result<Rc<OwnedFd>> {
        if parts.is_empty() {
            return Ok(self.root.clone());
        }
        let path = parts.join(&b'/');
        if let Some((last, folder)) = &self.last
            && *last == path
        {
            return Ok(folder.clone());
        }
        let as_path = Path::new(OsStr::from_bytes(&path));
        let folder = match sys::file::open_in_root(&self.root, as_path, folder_flags(), Mode::empty()) {
            Ok(folder) => folder,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
                    self.make_folders(parts)?
                }
                _ => return Err(error),
            },
        };
        let folder = Rc::new(folder);
        self.last = Some((path, folder.clone()));
        Ok(folder)
    }

    /// Walks part by part, makes what is missing, and follows links inside the tree.
    fn make_folders(&self, parts: &[&[u8]]) -> io::Result<OwnedFd> {
        let mut pending: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut way: Vec<OwnedFd> = vec![];
        let mut links = 0;
        while let Some(part) = pending.pop() {
            if part == b".." {
                way.pop();
                continue;
            }
            let here = way.last().unwrap_or(&self.root);
            match existing(here, &part)? {
                Existing::Folder => way.push(open_folder(here, &part)?),
                Existing::Nothing => way.push(make_folder(here, &part)?),
                Existing::Whiteout => {
                    rustix::fs::unlinkat(here, part.as_slice(), AtFlags::empty())?;
                    let made = make_folder(here, &part)?;
                    self.make_opaque(&made)?;
                    way.push(made);
                }
                Existing::Other => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Err(Errno::LOOP.into());
                    }
                    let target = match rustix::fs::readlinkat(here, part.as_slice(), Vec::new()) {
                        Ok(target) => target.into_bytes(),
                        Err(Errno::INVAL) => return Err(Errno::NOTDIR.into()),
                        Err(error) => return Err(error.into()),
                    };
                    if target.starts_with(b"/") {
                        way.clear();
                    }
                    let parts = target.split(|byte| *byte == b'/').rev();
                    pending.extend(parts.filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec));
                }
            }
        }
        match way.pop() {
            Some(folder) => Ok(folder),
            None => self.root.try_clone(),
        }
    }

    /// Removes what is at the place, a folder with its content.
    pub(crate) fn clear(&mut self, place: &Place<'_>) -> io::Result<()> {
        // The folder kept may be inside what goes, or be reached through it.
        self.last = None;
        match rustix::fs::unlinkat(&place.folder, place.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => std::fs::remove_dir_all(place.by_descriptor()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a folder show nothing of what lower layers have in it.
    pub(crate) fn make_opaque(&self, folder: impl AsFd) -> io::Result<()> {
        Ok(rustix::fs::fsetxattr(folder, self.opaque, b"y", rustix::fs::XattrFlags::empty())?)
    }

    /// Opens the folder with these parts to change its times; its last part is not followed.
    pub(crate) fn reopen(&mut self, parts: &[&[u8]]) -> io::Result<OwnedFd> {
        if parts.is_empty() {
            return self.root.try_clone();
        }
        let place = self.place(parts)?;
        open_folder(&place.folder, place.name)
    }
}

impl Place<'_> {
    /// What is here.
    pub(crate) fn existing(&self) -> io::Result<Existing> {
        existing(&self.folder, self.name)
    }

    /// A path to it through /proc, for calls that take no descriptor; the last part must not be followed.
    pub(crate) fn by_descriptor(&self) -> PathBuf {
        let folder = PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()));
        folder.join(OsStr::from_bytes(self.name))
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn existing(folder: &OwnedFd, name: &[u8]) -> io::Result<Existing> {
    let status = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => status,
        Err(Errno::NOENT) => return Ok(Existing::Nothing),
        Err(error) => return Err(error.into()),
    };
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => Existing::Folder,
        FileType::CharacterDevice if status.st_rdev == 0 => Existing::Whiteout,
        _ => Existing::Other,
    })
}

fn open_folder(folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, name, folder_flags() | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Makes a folder that the archive implies without naming it: root's, mode 0755.
fn make_folder(folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
    let made = open_folder(folder, name)?;
    rustix::fs::fchown(&made, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT))?;
    rustix::fs::fchmod(&made, Mode::from_raw_mode(0o755))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_climb() {
        let shown = |path: &str| {
            parts(path.as_bytes())
                .iter()
                .map(|part| String::from_utf8_lossy(part).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("./a//b/./c/"), ["a", "b", "c"]);
        assert_eq!(shown("../../etc/passwd"), ["etc", "passwd"]);
        assert_eq!(shown("a/../../b"), ["b"]);
        assert!(shown("./").is_empty());
        assert!(shown("/..").is_empty());
    }
}
